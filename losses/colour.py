"""Linear colour transforms of `(B, 3, H, W)` images."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from losses.options import InvalidOption

# JPEG's, to the digits of Czolbe et al.'s code
YCBCR = ((0.299, 0.587, 0.114), (-0.1687, -0.3313, 0.5), (0.5, -0.4187, -0.0813))
YCBCR_OFFSET = (0.0, 0.5, 0.5)

# Television's YUV; the second and third row weight B - Y and R - Y.
YUV = (
    (0.299, 0.587, 0.114),
    (-0.14714119, -0.28886916, 0.43601035),
    (0.61497538, -0.51496512, -0.10001026),
)


def volume_preserving_yuv() -> np.ndarray:
    """Return the matrix of sYUV, YUV scaled to determinant 1, `(3, 3)` in float64.

    A density of its coefficients is one of the pixels. Source: Barron 2019, supplement; its
    factor is 1.580227820074.
    """
    matrix = np.array(YUV)
    return matrix / np.cbrt(np.linalg.det(matrix))


def mix_channels(images: Tensor, matrix: Tensor) -> Tensor:
    """Multiply the channels of `(B, C, H, W)` by a `(D, C)` matrix: `(B, D, H, W)`."""
    mixed = matrix.to(images.dtype) @ images.flatten(2)
    return mixed.unflatten(2, images.shape[2:])


def check_channels(subject: str, channels: int) -> None:
    """Raise `InvalidOption` unless the images are grey or RGB."""
    if channels not in (1, 3):
        raise InvalidOption(f"{subject} got images of {channels} channels; give it 1 or 3")
