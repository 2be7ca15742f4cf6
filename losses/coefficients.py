"""Ways of writing an image as C*H*W coefficients, with the logarithm of the change of volume."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from losses.blocks8 import dct_matrix

# Lifting steps of CDF9/7 (Daubechies & Sweldens 1998, section 7.7), odd and even places in turn,
# and the norm of the low pass at zero frequency before it is made sqrt(2).
STEPS = (-1.586134342059924, -0.052980118572961, 0.882911075530934, 0.443506852043971)
NORM = 1.230174104914001


class Pixels(nn.Module):
    """The pixels of `(B, C, H, W)` themselves, `(B, C, H * W)`."""

    log_volume = 0.0

    def forward(self, images: Tensor) -> Tensor:
        """Return the coefficients, `(B, C, H * W)`."""
        return images.flatten(2)


class CosineTransform(nn.Module):
    """The orthonormal two-dimensional DCT-II of each channel, `(B, C, H * W)`."""

    log_volume = 0.0
    rows: Tensor
    columns: Tensor

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        self.register_buffer("rows", torch.tensor(dct_matrix(height)), persistent=False)
        self.register_buffer("columns", torch.tensor(dct_matrix(width)), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Return the coefficients, `(B, C, H * W)`."""
        rows, columns = self.rows.to(images.dtype), self.columns.to(images.dtype)
        return (rows @ images @ columns.T).flatten(2)


class CDF97(nn.Module):
    """CDF9/7 wavelet coefficients of `(B, C, H, W)`, `(B, C, H * W)`: finest bands first.

    Each level splits both axes into low and high passes, sqrt(2) and 1 in gain, and the next one
    splits what is low in both. Images continue by reflection that does not repeat the edge.
    `log_volume` is the logarithm of the map's determinant for one channel, 0 where sides are
    even at every level.
    There are at most `deepest(height, width)` levels.
    """

    def __init__(self, height: int, width: int, levels: int) -> None:
        super().__init__()
        self.levels, self.log_volume = min(levels, deepest(height, width)), 0.0
        for level in range(self.levels):
            rows, columns = analysis_matrix(height), analysis_matrix(width)
            self.register_buffer(f"rows{level}", torch.tensor(rows), persistent=False)
            self.register_buffer(f"columns{level}", torch.tensor(columns), persistent=False)
            gains = (height % 2) * width + (width % 2) * height
            self.log_volume += gains * math.log(math.sqrt(2) / NORM)
            height, width = (height + 1) // 2, (width + 1) // 2

    def forward(self, images: Tensor) -> Tensor:
        """Return the coefficients, `(B, C, H * W)`."""
        bands = []
        for level in range(self.levels):
            rows = self.get_buffer(f"rows{level}").to(images.dtype)
            columns = self.get_buffer(f"columns{level}").to(images.dtype)
            split = rows @ images @ columns.T
            height, width = ((side + 1) // 2 for side in images.shape[2:])
            bands += [split[:, :, height:].flatten(2), split[:, :, :height, width:].flatten(2)]
            images = split[:, :, :height, :width]
        return torch.cat((*bands, images.flatten(2)), 2)


def representation(
    name: str, height: int, width: int, levels: int
) -> Pixels | CosineTransform | CDF97:
    """Return the transform called `pixel`, `dct` or `cdf97`; `levels` counts for the last."""
    if name == "pixel":
        return Pixels()
    return CosineTransform(height, width) if name == "dct" else CDF97(height, width, levels)


def deepest(height: int, width: int) -> int:
    """Return how many levels it takes to reach a single row or column."""
    return (min(height, width) - 1).bit_length()


def analysis_matrix(side: int) -> np.ndarray:
    """Return one level of CDF9/7 along an axis, `(side, side)` in float64, low passes on top.

    Its determinant is 1 or -1 for even sides: each lifting step adds multiples of some values to
    others, and the gains of low and high passes are inverse.
    """
    lifted = np.eye(side)
    for step, weight in enumerate(STEPS):
        for place in range(1 - step % 2, side, 2):
            before, after = (_reflected(place + offset, side) for offset in (-1, 1))
            lifted[place] += weight * (lifted[before] + lifted[after])
    gain = math.sqrt(2) / NORM
    return np.concatenate((lifted[::2] * gain, lifted[1::2] / gain))


def _reflected(place: int, side: int) -> int:
    return side - 1 - abs(side - 1 - abs(place))
