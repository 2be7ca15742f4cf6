"""Pixel-wise agreement of reconstructions with their targets, one value per image."""

import math

from torch import Tensor

from harness.metrics.pairs import check_pair
from harness.metrics.precision import float64
from harness.metrics.structural import SSIM_SIGNATURE, ssim

__all__ = [
    "LFD_SIGNATURE",
    "MSE_SIGNATURE",
    "PSNR_CAP",
    "PSNR_SIGNATURE",
    "SSIM_SIGNATURE",
    "lfd",
    "mse",
    "psnr",
    "quantise",
    "ssim",
]

MSE_SIGNATURE = "mse|range=1|rounding=none|mean-CHW|per-image|v1"
PSNR_SIGNATURE = "psnr|range=1|rounding=8bit|clip|cap=100dB|per-image|v1"
LFD_SIGNATURE = "lfd|range=255|rounding=8bit|clip|fft2-unnormalised|mean-CHW|ln|per-image|v1"

PSNR_CAP = 100.0


def quantise(images: Tensor) -> Tensor:
    """Clip to [0, 1] and round to the 256 levels an 8-bit file can hold; NaN stays NaN.

    Any shape and float dtype; both are kept.
    """
    return images.clamp(0, 1).mul(255).round().div(255)


def mse(recon: Tensor, target: Tensor) -> Tensor:
    """Return the mean squared error per pixel and channel of each image.

    `recon`, `target`: `(B, C, H, W)` in [0, 1], neither clipped nor rounded. Returns `(B,)`
    float64. Raises ValueError when the shapes differ or are not `(B, C, H, W)`.
    """
    check_pair(recon, target)
    return float64(recon - target).square_().mean((1, 2, 3))


def psnr(recon: Tensor, target: Tensor, *, rounding: bool = True) -> Tensor:
    """Return the peak signal-to-noise ratio of each image, -10 log10 of its MSE, peak 1.

    `recon`, `target`: `(B, C, H, W)`, nominally in [0, 1]. `recon` is clipped to [0, 1] and, unless
    `rounding` is off, rounded to 8 bits, as if saved; `target` is taken as it is. Returns `(B,)`
    float64 in dB, at most 100, which is also the value of identical images; NaN where an image has
    NaN. Raises ValueError when the shapes differ or are not `(B, C, H, W)`.
    """
    return (-10 * mse(_shown(recon, rounding), target).log10()).clamp(max=PSNR_CAP)


def lfd(recon: Tensor, target: Tensor, *, rounding: bool = True) -> Tensor:
    """Return the log frequency distance of each image, a function of its MSE and size alone.

    `ln(mean |F(recon) - F(target)|² + 1)` of images in 0..255, F the unnormalised transform, the
    mean over channels and frequencies. The transform is linear, and by Parseval's theorem that mean
    is H·W times the mean over pixels, so that no transform is needed:
    `ln(H·W·255²·MSE + 1) = ln(H·W·255²·10^(-PSNR/10) + 1)`. It says nothing that PSNR does not and
    must not be ranked beside it.

    `recon`, `target`, `rounding`: as in `psnr`. Returns `(B,)` float64, 0 for identical images.
    Source: Jiang et al. 2021, the released evaluation code. Raises ValueError when the shapes
    differ or are not `(B, C, H, W)`.
    """
    error = mse(_shown(recon, rounding), target)
    return (math.prod(recon.shape[2:]) * 255**2 * error).log1p()


def _shown(recon: Tensor, rounding: bool) -> Tensor:
    return quantise(recon) if rounding else recon.clamp(0, 1)
