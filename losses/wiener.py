"""Gaussians whose covariance is a circular convolution: everything per frequency.

Spectra are the half planes `(..., H, W // 2 + 1)` of `rfft2`; `bins` is the `multiplicity` of their
columns. Images are transformed with norm "ortho", so that sums of
squares are the same on both sides (Parseval), kernels without a norm, so that the transform of a
convolution is the product of the transforms.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad


def plane_sum(values: Tensor, bins: Tensor) -> Tensor:
    """Sum a half plane `(..., H, W // 2 + 1)` over all frequencies of the full plane, `(...)`."""
    return (values * bins).sum((-2, -1))


def power(spectrum: Tensor) -> Tensor:
    """Return `|z|^2`, with gradient 0 at 0."""
    return spectrum.real.square() + spectrum.imag.square()


def transfer(kernels: Tensor, height: int, width: int) -> Tensor:
    """Return the transfer functions of kernels `(..., s, s)`, s odd, centred on the origin.

    Without the shift to the origin `|K|` would be the same, but not `|K + epsilon|`.
    """
    size = kernels.shape[-1]
    placed = pad(kernels, (0, width - size, 0, height - size))
    return torch.fft.rfft2(placed.roll((-(size // 2), -(size // 2)), (-2, -1)))


def convolve(images: Tensor, kernels: Tensor, padding: str) -> Tensor:
    """Return `x * k` of images `(B, C, H, W)` and kernels `(B, s, s)`, of the images' size.

    Outside, the images go on as zeros (`padding="zeros"`) or by torch's mode `padding`.
    """
    margin = kernels.shape[-1] // 2
    padded = pad(images, (margin,) * 4, "constant" if padding == "zeros" else padding)
    height, width = padded.shape[2:]
    K = transfer(kernels, height, width).unsqueeze(1)
    blurred = torch.fft.irfft2(torch.fft.rfft2(padded) * K, s=(height, width))
    # only within the margin does the circular convolution meet the other side
    return blurred[..., margin : height - margin, margin : width - margin]


def weight(K: Tensor, c: float) -> Tensor:
    """Return `|W|^2` of the Wiener filter `W = K* / (|K|^2 + C)` (Bredell et al. 2023, eq. 7)."""
    squared = power(K)
    return squared / (squared + c) ** 2


def log_determinant(K: Tensor, epsilon: float, bins: Tensor) -> Tensor:
    """Return `sum_f log|K_f + epsilon|`, the log-determinant of a channel's `K + epsilon I`."""
    return plane_sum((power(K + epsilon) + _floor(K)).log() / 2, bins)


def inverse(K: Tensor, epsilon: float, bins: Tensor) -> tuple[Tensor, Tensor]:
    """Return `|W|^2` of `W = 1 / (K + epsilon)`, and half the log-determinant of its covariance.

    The latter is of one channel, `sum_f log|K_f + epsilon|`.
    """
    squared = power(K + epsilon) + _floor(K)
    return 1 / squared, plane_sum(squared.log() / 2, bins)


def exact(K: Tensor, c: float, bins: Tensor) -> tuple[Tensor, Tensor]:
    """Return `|W|^2` of the Wiener filter, and half the log-determinant of its covariance.

    The latter is of one channel, `sum_f log((|K_f|^2 + C) / |K_f|)`.
    """
    squared = power(K) + _floor(K)
    half_log = (squared + c).log() - squared.log() / 2
    return squared / (squared + c) ** 2, plane_sum(half_log, bins)


def _floor(K: Tensor) -> float:
    # No |K| is known better than to the rounding error of a sum that is 1: below it, logarithms
    # and quotients would follow noise to infinity.
    return float(torch.finfo(K.dtype).eps ** 2)
