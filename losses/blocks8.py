"""Blocks of 8x8 pixels: their Fourier and cosine transforms, and where their grid begins."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from losses.options import InvalidOption

SIDE = 8


def check_sides(subject: str, height: int, width: int) -> None:
    """Raise `InvalidOption` unless blocks tile the image."""
    if height % SIDE or width % SIDE:
        near = " x ".join(str(max(SIDE, round(side / SIDE) * SIDE)) for side in (height, width))
        raise InvalidOption(
            f"{subject} cuts images into blocks of {SIDE}x{SIDE} pixels but they are "
            f"{height} x {width}; resize them, for instance to {near}"
        )


def split(images: Tensor) -> Tensor:
    """Cut `(B, C, H, W)` into K blocks, row by row: `(B, C, K, 8, 8)`."""
    batch, channels, height, width = images.shape
    grid = images.reshape(batch, channels, height // SIDE, SIDE, width // SIDE, SIDE)
    return grid.transpose(3, 4).reshape(batch, channels, -1, SIDE, SIDE)


def fourier(images: Tensor) -> Tensor:
    """Return the means of pixel times wave, the half spectrum, `(B, C, K, 8, 5)` complex.

    A matrix product would be faster, but flat blocks would get coefficients of 1e-9 instead of 0,
    and those have phases.
    """
    return torch.fft.rfft2(split(images), norm="forward")


def cosine(images: Tensor, matrix: Tensor) -> Tensor:
    """Return the orthonormal DCT-II of the blocks, `(B, C, K, 8, 8)`; `matrix` is `dct2_matrix`."""
    return (split(images).flatten(3) @ matrix.to(images.dtype)).unflatten(3, (SIDE, SIDE))


def dct2_matrix() -> np.ndarray:
    """Return the matrix that block pixels, flattened, are multiplied with from the right."""
    one = dct_matrix(SIDE)
    return np.kron(one, one).T


def dct_matrix(side: int) -> np.ndarray:
    """Return the orthonormal DCT-II of `side` values, row k for frequency k, in float64."""
    frequency, place = np.mgrid[:side, :side]
    matrix = np.cos(np.pi * frequency * (2 * place + 1) / (2 * side)) * np.sqrt(2 / side)
    matrix[0] /= np.sqrt(2)
    return matrix


def move_grid(images: Tensor, down: int, right: int) -> Tensor:
    """Start the grid `down` and `right` pixels further on, repeating the last row or column."""
    return _advance(_advance(images, 2, down), 3, right)


def _advance(images: Tensor, axis: int, offset: int) -> Tensor:
    # Not pad and crop: on CUDA the derivative of padding is not deterministic.
    if offset == 0:
        return images
    side, repeated = images.shape[axis], abs(offset)
    kept = images.narrow(axis, max(offset, 0), side - repeated)
    edge = images.narrow(axis, side - 1 if offset > 0 else 0, 1)
    edge = edge.expand(*(repeated if i == axis else -1 for i in range(4)))
    return torch.cat((kept, edge) if offset > 0 else (edge, kept), axis)
