"""Features of SqueezeNet 1.1: torchvision's weights, and those of the original Caffe release."""

from abc import abstractmethod
from pathlib import Path
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.metrics import pretrained
from harness.metrics.features import Extractor

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
CAFFE_MEAN = (104.0, 117.0, 123.0)  # blue, green, red on 0..255
SMALLEST = 64


class _SqueezeNet(Extractor):
    """512 features: the spatial mean of the last `features` layer, after its ReLU."""

    weights_file: ClassVar[str]
    trunk: nn.Module

    def extract(self, rgb: Tensor) -> Tensor:
        """Map `(b, 3, H, W)` in [0, 1] to `(b, 512)`."""
        scale = SMALLEST / min(rgb.shape[2:])
        if scale > 1:
            size = [round(side * scale) for side in rgb.shape[2:]]
            rgb = F.interpolate(rgb, size=size, mode="bilinear", align_corners=False)
        maps: Tensor = self.trunk(self.normalise(rgb))
        return maps.mean((2, 3))

    @abstractmethod
    def normalise(self, rgb: Tensor) -> Tensor:
        """Return what the network was trained on, `(b, 3, H, W)`."""

    def chunk(self, height: int, width: int) -> int:
        """Return how many images fill 2^20 pixels at the size the network sees."""
        scale = max(1.0, SMALLEST / min(height, width))
        return max(1, int(2**20 / (height * width * scale**2)))

    def describe(self, release: str, path: Path) -> str:
        """Return the signature of features with the weights in `path`."""
        return (
            f"{self.name}|dims={self.dims}|{release}|bilinear>={SMALLEST}"
            f"|rounding=8bit|weights={pretrained.digest(path)}|v1"
        )


class SqueezeNetFeatures(_SqueezeNet):
    """512 features: the spatial mean of SqueezeNet 1.1's last `features` layer, after its ReLU.

    Images whose shorter side is below 64 are enlarged to 64 (bilinear, `align_corners=False`), then
    normalised by ImageNet's mean and standard deviation. Source: Iandola et al. 2016, torchvision's
    `squeezenet1_1`.
    """

    name = "squeezenet"
    weights_file: ClassVar[str] = "torchvision's squeezenet1_1 weights file"

    def __init__(self, channels: int, path: Path) -> None:
        """Read the weights from `path`; raises ValueError on other contents."""
        from torchvision.models import squeezenet1_1

        super().__init__(channels)
        network = pretrained.load(lambda: squeezenet1_1(weights=None), path, self.weights_file)
        self.trunk = network.get_submodule("features")
        self.signature = self.describe("torchvision-1.1", path)
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(3, 1, 1))

    def normalise(self, rgb: Tensor) -> Tensor:
        """Return the images less ImageNet's mean, over its standard deviation."""
        return (rgb - self.get_buffer("mean")) / self.get_buffer("std")


class SqueezeNetCaffe(_SqueezeNet):
    """512 features of SqueezeNet 1.1 as first released, with that release's preprocessing.

    The layers are torchvision's: conv1 of stride 2 without padding, max pools 3x3 of stride 2 that
    round up. Images whose shorter side is below 64 are enlarged to 64 (bilinear,
    `align_corners=False`); the network sees blue, green, red on 0..255 less (104, 117, 123).
    Source: Iandola et al. 2016, weights of DeepScale's Caffe release.
    """

    name = "squeezenet-caffe"
    weights_file: ClassVar[str] = (
        "the weights file squeezenet1_1_caffe_features.safetensors of the Caffe release"
    )

    def __init__(self, channels: int, path: Path) -> None:
        """Read the weights from `path`; raises ValueError on other contents."""
        super().__init__(channels)
        self.trunk = pretrained.load(_features_alone, path, self.weights_file).get_submodule(
            "features"
        )
        self.signature = self.describe("caffe-1.1|bgr-255", path)
        self.register_buffer("mean", torch.tensor(CAFFE_MEAN).view(3, 1, 1))

    def normalise(self, rgb: Tensor) -> Tensor:
        """Return the images as blue, green, red on 0..255, less the training set's mean."""
        return 255 * rgb.flip(1) - self.get_buffer("mean")


def _features_alone() -> nn.Module:
    """Return SqueezeNet 1.1 without its classifier, which the file does not hold."""
    from torchvision.models import squeezenet1_1

    network: nn.Module = squeezenet1_1(weights=None)
    del network.classifier
    return network
