"""Images as sums of cosines: filters and shifts without a seam at the borders."""

import math

import torch
from torch import Tensor


def basis(size: int, offset: Tensor | None = None) -> Tensor:
    """Return the orthonormal DCT-II basis at the samples, `(..., size, size)`, cosines last.

    Args:
        size: number of samples along the axis.
        offset: `(...)`, pixels to the right by which the samples are moved; None for none.
    """
    # In double precision, for the angles go up to π times the size.
    place = torch.arange(size, dtype=torch.float64) + 0.5
    shifted = place if offset is None else place - offset[..., None]
    order = torch.arange(size)
    scale = torch.full((size,), math.sqrt(2 / size))
    scale[0] = math.sqrt(1 / size)
    return scale * torch.cos(math.pi / size * shifted[..., None] * order).float()


def frequencies(height: int, width: int) -> tuple[Tensor, Tensor]:
    """Return the vertical `(height, 1)` and horizontal `(1, width)` cycles per pixel."""
    vertical = torch.arange(height)[:, None] / (2 * height)
    horizontal = torch.arange(width)[None, :] / (2 * width)
    return vertical, horizontal


def analyse(images: Tensor) -> Tensor:
    """Return the coefficients of images `(..., H, W)`: those of the image mirrored at its edges."""
    height, width = images.shape[-2:]
    return basis(height).mT @ images @ basis(width)


def synthesise(coefficients: Tensor) -> Tensor:
    """Return the images of coefficients `(..., H, W)`, the inverse of `analyse`."""
    height, width = coefficients.shape[-2:]
    return basis(height) @ coefficients @ basis(width).mT


def shifted(coefficients: Tensor, pixels: Tensor) -> Tensor:
    """Return the images moved down and to the right by `pixels` `(..., B)`, edges mirrored.

    `coefficients` are `(B, C, H, W)`; the result is `(..., B, C, H, W)`.
    """
    height, width = coefficients.shape[-2:]
    offset = pixels[..., None]  # one for all channels
    return basis(height, offset) @ coefficients @ basis(width, offset).mT
