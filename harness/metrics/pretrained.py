"""Pretrained feature extractors, read from a local file: nothing here reaches for the network."""

import hashlib
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from harness.metrics.features import Extractor

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
SQUEEZENET_SMALLEST = 64
INCEPTION_SIZE = 299
INCEPTION_CHUNK = 32

# What a file of other contents raises: no archive, no tensors, or those of another network.
UNREADABLE = (RuntimeError, pickle.UnpicklingError, EOFError, TypeError, SafetensorError)


class SqueezeNetFeatures(Extractor):
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
        network = _load(lambda: squeezenet1_1(weights=None), path, self.weights_file)
        self.trunk = network.get_submodule("features")
        self.signature = (
            f"squeezenet|dims={self.dims}|torchvision-1.1|bilinear>={SQUEEZENET_SMALLEST}"
            f"|rounding=8bit|weights={_digest(path)}|v1"
        )
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(3, 1, 1))

    def extract(self, rgb: Tensor) -> Tensor:
        """Map `(b, 3, H, W)` in [0, 1] to `(b, 512)`."""
        scale = SQUEEZENET_SMALLEST / min(rgb.shape[2:])
        if scale > 1:
            size = [round(side * scale) for side in rgb.shape[2:]]
            rgb = F.interpolate(rgb, size=size, mode="bilinear", align_corners=False)
        normalised = (rgb - self.get_buffer("mean")) / self.get_buffer("std")
        maps: Tensor = self.trunk(normalised)
        return maps.mean((2, 3))

    def chunk(self, height: int, width: int) -> int:
        """Return how many images fill 2^20 pixels at the size the network sees."""
        scale = max(1.0, SQUEEZENET_SMALLEST / min(height, width))
        return max(1, int(2**20 / (height * width * scale**2)))


class InceptionFeatures(Extractor):
    """2048 features: the last average pool of the Inception network that defines FID.

    Images are resized to 299x299 (bilinear, no antialiasing, `align_corners=False`) and scaled to
    [-1, 1], as pytorch-fid does. Source: Heusel et al. 2017; architecture and weights of
    pytorch-fid.
    """

    name = "inception"
    weights_file: ClassVar[str] = "pytorch-fid's weights file pt_inception-2015-12-05-6726825d.pth"

    def __init__(self, channels: int, path: Path) -> None:
        """Read the weights from `path`; raises ValueError on other contents."""
        super().__init__(channels)
        layers = dict(_load(_inception_skeleton, path, self.weights_file).named_children())
        del layers["dropout"], layers["fc"]
        self.trunk = nn.Sequential(*layers.values(), nn.Flatten())
        self.signature = (
            f"inception|dims={self.dims}|pytorch-fid|bilinear={INCEPTION_SIZE}"
            f"|rounding=8bit|weights={_digest(path)}|v1"
        )

    def extract(self, rgb: Tensor) -> Tensor:
        """Map `(b, 3, H, W)` in [0, 1] to `(b, 2048)`."""
        size = (INCEPTION_SIZE, INCEPTION_SIZE)
        resized = F.interpolate(rgb, size=size, mode="bilinear", align_corners=False)
        features: Tensor = self.trunk(2 * resized - 1)
        return features

    def chunk(self, height: int, width: int) -> int:
        """Return 32: a map of the stem takes 5.5 MB an image, whatever the image's own size."""
        return INCEPTION_CHUNK


EXTRACTORS: dict[str, type[SqueezeNetFeatures] | type[InceptionFeatures]] = {
    "squeezenet": SqueezeNetFeatures,
    "inception": InceptionFeatures,
}


def _inception_skeleton() -> nn.Module:
    # pytorch-fid's own constructor downloads the weights, so its blocks are put in place here.
    from pytorch_fid import inception as fid
    from torchvision.models import inception_v3

    network = inception_v3(weights=None, num_classes=1008, aux_logits=False, init_weights=False)
    for name, inputs, pooled in (("5b", 192, 32), ("5c", 256, 64), ("5d", 288, 64)):
        setattr(network, f"Mixed_{name}", fid.FIDInceptionA(inputs, pool_features=pooled))
    for name, width in (("6b", 128), ("6c", 160), ("6d", 160), ("6e", 192)):
        setattr(network, f"Mixed_{name}", fid.FIDInceptionC(768, channels_7x7=width))
    network.Mixed_7b = fid.FIDInceptionE_1(1280)
    network.Mixed_7c = fid.FIDInceptionE_2(2048)
    return network


def _load(build: Callable[[], nn.Module], path: Path, expected: str) -> nn.Module:
    # On the meta device nothing is initialised, so torch's global generator is left alone.
    with torch.device("meta"):
        network = build()
    try:
        network.load_state_dict(_read(path), assign=True)
    except UNREADABLE as error:
        raise ValueError(f"{path} is not {expected}; give that file.") from error
    return network.float().eval().requires_grad_(False)


def _read(path: Path) -> Mapping[str, Tensor]:
    if path.suffix == ".safetensors":
        return load_file(path)
    state: Mapping[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return state


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:8]
