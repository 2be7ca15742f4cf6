"""Feature extractors for Fréchet distances, and the random one that is always there."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.metrics import FEATURE_DIMS, PREFIX
from harness.metrics.pixel import quantise
from harness.metrics.precision import full_convolutions

__all__ = [
    "PREFIX",
    "Extractor",
    "Features",
    "MissingFeatureWeights",
    "RandomFeatures",
    "make",
]

Found = TypeVar("Found")

SEED = 0
SMALLEST = 8
DETAIL_GAIN = 4
# (input channels, output channels, stride) of the random convolutions
LAYERS = ((3, 16, 1), (16, 32, 2), (32, 16, 2))


class MissingFeatureWeights(ValueError):
    """An extractor needs pretrained weights that were not given or cannot be read."""


class Features(Protocol):
    """What a Fréchet distance needs of an extractor."""

    name: str
    dims: int
    signature: str

    def __call__(self, images: Tensor) -> Tensor:
        """Map `(B, C, H, W)` in [0, 1] to `(B, dims)` float32."""
        ...


class Extractor(nn.Module, ABC):
    """An extractor of RGB features: rounds to 8 bits, repeats grey, works chunk by chunk.

    Rounding makes a reconstruction meet its data on equal terms, as if both had been saved.
    """

    name: str
    signature: str

    def __init__(self, channels: int) -> None:
        """Take images of `channels` channels, 1 or 3; raises ValueError on others."""
        super().__init__()
        if channels not in (1, 3):
            raise ValueError(f"Features need images of 1 or 3 channels, not {channels}.")
        self.channels = channels
        self.dims = FEATURE_DIMS[self.name]

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Return the features of `images`, `(B, C, H, W)` in [0, 1], as `(B, dims)` float32.

        An image's features do not depend on its batch. Raises ValueError when the images are not
        `(B, channels, H, W)` with H, W >= 8.
        """
        return torch.cat(self.in_chunks(images, self.extract)).float()

    def in_chunks(self, images: Tensor, extract: Callable[[Tensor], Found]) -> list[Found]:
        """Return what `extract` finds in each chunk of the images; raises as `forward`."""
        height, width = _checked_size(images, self.channels)
        with torch.autocast(images.device.type, enabled=False), full_convolutions():
            rgb = quantise(images.float()).expand(-1, 3, -1, -1)
            return [extract(part) for part in rgb.split(self.chunk(height, width))]

    @abstractmethod
    def extract(self, rgb: Tensor) -> Tensor:
        """Map `(b, 3, H, W)` float32 in [0, 1] to `(b, dims)`."""

    @abstractmethod
    def chunk(self, height: int, width: int) -> int:
        """Return how many images of this size to extract at a time."""


class RandomFeatures(Extractor):
    """64 features of three fixed random convolutions: fine texture and coarse structure.

    1. Images are clipped, rounded to 8 bits, grey repeated to three channels, scaled to [-1, 1].
    2. conv 3→16, 3x3, stride 1, edges replicated by one pixel; ReLU → a1.
    3. conv 16→32, 3x3, stride 2, one row of zeros around; ReLU → a2.
    4. conv 32→16, 3x3, stride 2, one row of zeros around; ReLU → a3.
    5. Features, in order: spatial mean of a1, spatial standard deviation (population) of a1, mean
       of a3, standard deviation of a3; 16 each, by output channel.

    No biases. Convolutions are cross-correlations with weights `(out, in, 3, 3)` in C order, drawn
    layer by layer from one `numpy.random.Generator(PCG64(0))` by `standard_normal` in float64, then
    times sqrt(2 / (9 in)). Of the first layer's odd filters the mean over the 3x3 window is then
    subtracted, per input channel, and the rest multiplied by 4: they are blind to flat colour and
    answer to edges and texture, of which photographs hold little, as loudly as the even ones do to
    colour. Weights are stored in float32; works from 8x8 up. Random convolutions tell images apart
    without any training: Saxe et al. 2011.
    """

    name = "random"

    def __init__(self, channels: int) -> None:
        """Draw the weights; raises ValueError unless `channels` is 1 or 3."""
        super().__init__(channels)
        self.signature = f"random|dims={self.dims}|conv16-32-16|pcg64={SEED}|rounding=8bit|v1"
        for index, weight in enumerate(_draw_weights()):
            self.register_buffer(f"weight{index}", weight)

    def extract(self, rgb: Tensor) -> Tensor:
        """Apply steps 1 to 5 of the class to `(b, 3, H, W)` in [0, 1]."""
        # cuDNN rounds float32 convolutions to TF32; float64 keeps the golden values there too.
        dtype = torch.float64 if rgb.is_cuda else torch.float32
        w0, w1, w2 = (self.get_buffer(f"weight{i}").to(dtype) for i in range(len(LAYERS)))
        x = (2 * rgb - 1).to(dtype, memory_format=torch.channels_last)
        a1 = F.conv2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), w0).relu_()
        a2 = F.conv2d(a1, w1, stride=LAYERS[1][2], padding=1).relu_()
        a3 = F.conv2d(a2, w2, stride=LAYERS[2][2], padding=1).relu_()
        return torch.cat([*_mean_and_std(a1), *_mean_and_std(a3)], dim=1)

    def chunk(self, height: int, width: int) -> int:
        """Return how many images fill 2^18 pixels, 256 of 32x32."""
        return max(1, 2**18 // (height * width))


def make(name: str, channels: int, weights: Mapping[str, Path | str] | None = None) -> Features:
    """Return the extractor `name` for images of `channels` channels, on the CPU.

    `weights` maps the name of a pretrained space to a local file; "random" needs none. Raises
    MissingFeatureWeights when the file is not given or not there, ValueError on an unknown name or
    a file of other contents.
    """
    if name == "random":
        return RandomFeatures(channels)
    if name not in FEATURE_DIMS:
        raise ValueError(f"Features {name!r} are unknown; choose one of {', '.join(FEATURE_DIMS)}.")
    from harness.metrics.inception import InceptionFeatures
    from harness.metrics.squeezenet import SqueezeNetCaffe, SqueezeNetFeatures

    extractors = (SqueezeNetFeatures, SqueezeNetCaffe, InceptionFeatures)
    extractor = next(each for each in extractors if each.name == name)
    path = (weights or {}).get(name)
    if path is None or not Path(path).is_file():
        seen = "no path was given" if path is None else f"{path} is not a file"
        raise MissingFeatureWeights(
            f"Features {name!r} need {extractor.weights_file}, but {seen}; "
            "give its path or use the features 'random'."
        )
    return extractor(channels, Path(path))


def _draw_weights() -> list[Tensor]:
    generator = np.random.Generator(np.random.PCG64(SEED))
    weights = [
        generator.standard_normal((out, inp, 3, 3)) * np.sqrt(2 / (9 * inp))
        for inp, out, _ in LAYERS
    ]
    odd = weights[0][1::2]
    weights[0][1::2] = DETAIL_GAIN * (odd - odd.mean(axis=(2, 3), keepdims=True))
    return [torch.from_numpy(weight.astype(np.float32)) for weight in weights]


def _mean_and_std(maps: Tensor) -> tuple[Tensor, Tensor]:
    variance, mean = torch.var_mean(maps, dim=(2, 3), correction=0)
    return mean, variance.sqrt()


def _checked_size(images: Tensor, channels: int) -> tuple[int, int]:
    if images.ndim != 4 or images.shape[1] != channels or min(images.shape[2:]) < SMALLEST:
        raise ValueError(
            f"Images have shape {tuple(images.shape)}; these features take "
            f"(B, {channels}, H, W) of at least {SMALLEST} pixels a side."
        )
    return images.shape[2], images.shape[3]
