"""Pixel-wise agreement of reconstructions with their targets, one value per image."""

import torch
from torch import Tensor

from harness.metrics.precision import float64

MSE_SIGNATURE = "mse|range=1|rounding=none|mean-CHW|per-image|v1"
PSNR_SIGNATURE = "psnr|range=1|rounding=8bit|clip|cap=100dB|per-image|v1"
SSIM_SIGNATURE = "ssim|gaussian11|sigma=1.5|valid|range=1|rounding=none|mean-C|per-image|v1"

PSNR_CAP = 100.0
WINDOW, SIGMA = 11, 1.5
C1, C2 = 0.01**2, 0.03**2


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
    _check_pair(recon, target)
    return float64(recon - target).square_().mean((1, 2, 3))


def psnr(recon: Tensor, target: Tensor, *, rounding: bool = True) -> Tensor:
    """Return the peak signal-to-noise ratio of each image, -10 log10 of its MSE, peak 1.

    `recon`, `target`: `(B, C, H, W)`, nominally in [0, 1]. `recon` is clipped to [0, 1] and, unless
    `rounding` is off, rounded to 8 bits, as if saved; `target` is taken as it is. Returns `(B,)`
    float64 in dB, at most 100, which is also the value of identical images; NaN where an image has
    NaN. Raises ValueError when the shapes differ or are not `(B, C, H, W)`.
    """
    shown = quantise(recon) if rounding else recon.clamp(0, 1)
    return (-10 * mse(shown, target).log10()).clamp(max=PSNR_CAP)


@torch.no_grad()
def ssim(recon: Tensor, target: Tensor) -> Tensor:
    """Return the structural similarity of each image, the mean over channels and valid windows.

    `recon`, `target`: `(B, C, H, W)` in [0, 1] with H, W >= 11, neither clipped nor rounded.
    Returns `(B,)` float64, at most 1. Gaussian 11x11 window of sigma 1.5, population moments,
    C1 = 0.01², C2 = 0.03². Source: Wang et al. 2004, eq. 13; equals scikit-image's
    `structural_similarity` with `gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
    data_range=1`. Raises ValueError when the shapes differ or the images are smaller than the
    window.
    """
    _check_pair(recon, target)
    height, width = recon.shape[2:]
    if min(height, width) < WINDOW:
        raise ValueError(
            f"ssim: images are {height}x{width} and its window is {WINDOW}x{WINDOW}; "
            f"use images of at least {WINDOW} pixels a side."
        )
    # On a CPU a chunk's moments should stay in cache; a GPU wants few launches.
    pixels = 2**17 if recon.device.type == "cpu" else 2**22
    chunk = max(1, pixels // (height * width))
    pairs = zip(recon.split(chunk), target.split(chunk), strict=True)
    return torch.cat([_ssim(float64(x), float64(y)) for x, y in pairs])


def _ssim(x: Tensor, y: Tensor) -> Tensor:
    # With s = x + y and d = x - y four windowed means do the work of five:
    # 2 mx my = (ms² - md²)/2, mx² + my² = (ms² + md²)/2, and the same for (co)variances.
    moments = torch.empty((4, *x.shape), dtype=x.dtype, device=x.device)
    torch.add(x, y, out=moments[0])
    torch.sub(x, y, out=moments[1])
    torch.mul(moments[:2], moments[:2], out=moments[2:])
    means = _window_matrix(x.shape[2], x) @ (moments @ _window_matrix(x.shape[3], x).T)
    squares = means[:2].square()
    luminance, luminance_bound = _halves(squares, C1)
    structure, structure_bound = _halves(means[2:] - squares, C2)
    values = luminance.mul_(structure).div_(luminance_bound.mul_(structure_bound))
    return values.mean((1, 2, 3))


def _halves(pair: Tensor, constant: float) -> tuple[Tensor, Tensor]:
    of_sum, of_difference = pair
    return (
        (of_sum - of_difference).mul_(0.5).add_(constant),
        (of_sum + of_difference).mul_(0.5).add_(constant),
    )


def _window_matrix(size: int, like: Tensor) -> Tensor:
    """Return the banded `(size - 10, size)` matrix whose product means every valid window."""
    offset = torch.arange(WINDOW, dtype=like.dtype, device=like.device) - WINDOW // 2
    kernel = torch.exp(-(offset**2) / (2 * SIGMA**2))
    matrix = torch.zeros(size - WINDOW + 1, size, dtype=like.dtype, device=like.device)
    # Row i holds the kernel from column i on: a view with strides (size + 1, 1).
    matrix.as_strided((size - WINDOW + 1, WINDOW), (size + 1, 1)).copy_(kernel / kernel.sum())
    return matrix


def _check_pair(recon: Tensor, target: Tensor) -> None:
    if recon.ndim != 4 or recon.shape != target.shape:
        raise ValueError(
            f"Reconstructions have shape {tuple(recon.shape)} and targets {tuple(target.shape)}; "
            "pass two batches of the same shape (B, C, H, W)."
        )
