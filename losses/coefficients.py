"""Ways of writing an image as C*H*W coefficients that preserve volume."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from losses.blocks8 import dct_matrix
from losses.wavelets import CDF97


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


def representation(
    name: str, height: int, width: int, levels: int
) -> Pixels | CosineTransform | CDF97:
    """Return the transform called `pixel`, `dct` or `cdf97`; `levels` counts for the last."""
    if name == "pixel":
        return Pixels()
    return CosineTransform(height, width) if name == "dct" else CDF97(height, width, levels)
