"""The log amplitude spectrum of a set of images, and how far two sets lie apart.

Source: Bredell et al. 2023, figure 6: "absolute Fourier transform in log scale, averaged over 128
images". Blur shows as missing high frequencies.
"""

import torch
from torch import Tensor

from harness.metrics.precision import float64

SPECTRUM_SIGNATURE = "spectrum|mean-log|eps=1e-8|fft2-unnormalised|mean-abs-difference|v1"
SPECTRUM_SIGNED_SIGNATURE = "spectrum|mean-log|eps=1e-8|fft2-unnormalised|data-minus-x|v1"
SPECTRUM_HIGH_SIGNATURE = (
    "spectrum|mean-log|eps=1e-8|fft2-unnormalised|rings=1-bin|highest-third-to-nyquist"
    "|mean-abs-difference|v1"
)

# Keeps the logarithm finite where an amplitude is zero (a constant image).
EPSILON = 1e-8


class LogSpectrum:
    """Accumulate S, the mean over images and channels of log(|F| + 1e-8).

    F is the unnormalised two-dimensional transform, in float32; sums are float64.
    """

    def __init__(self) -> None:
        """Start with no images."""
        self.images = 0
        self._planes = 0
        self._sum = torch.zeros(0, 0, dtype=torch.float64)

    def update(self, images: Tensor) -> None:
        """Add `images`, `(B, C, H, W)` in [0, 1]; raises ValueError when H or W change."""
        _check_images(images)
        if self.images == 0:
            self._sum = torch.zeros(images.shape[2:], dtype=torch.float64)
        if images.shape[2:] != self._sum.shape:
            raise ValueError(
                f"Images are {_size(images.shape[2:])} and the ones before them "
                f"{_size(self._sum.shape)}; a spectrum needs images of one size."
            )
        self._sum += _log_amplitude(images).sum((0, 1)).cpu()
        self._planes += images.shape[0] * images.shape[1]
        self.images += images.shape[0]

    def mean(self) -> Tensor:
        """Return S, `(H, W)` float64, zero frequency at `(H // 2, W // 2)`.

        Raises ValueError before the first image.
        """
        if self.images == 0:
            raise ValueError("No images were given; call update before asking for the spectrum.")
        return torch.fft.fftshift(self._sum / self._planes)


def spectral_difference(a: Tensor, b: Tensor) -> tuple[float, float]:
    """Return the means over frequencies of |S(a) - S(b)| and of S(b) - S(a).

    `a`: `LogSpectrum.mean()` of reconstructions or generated images; `b`: of data, same size. In
    units of log amplitude; the second is positive where `a` lacks power. Raises ValueError when
    the sizes differ.
    """
    _check_sizes(a, b)
    excess = b - a
    return float(excess.abs().mean()), float(excess.mean())


def radial_profile(spectrum: Tensor) -> Tensor:
    """Return the mean of a spectrum over rings one bin wide, from zero frequency to Nyquist.

    `spectrum`: `(H, W)`, zero frequency at `(H // 2, W // 2)`, as `LogSpectrum.mean()` returns it.
    Returns `(min(H, W) // 2 + 1,)`, of which entry r is the mean at r / min(H, W) cycles per
    pixel; a ring holds the bins whose radius rounds to it. Corners beyond Nyquist are left out.
    Raises ValueError unless `spectrum` has two dimensions.
    """
    if spectrum.ndim != 2:
        raise ValueError(f"A spectrum has shape {tuple(spectrum.shape)}; pass one of (H, W).")
    side = min(spectrum.shape)
    vertical, horizontal = (
        torch.fft.fftshift(torch.fft.fftfreq(size, dtype=torch.float64)) for size in spectrum.shape
    )
    ring = (torch.hypot(vertical[:, None], horizontal) * side).round().long().flatten()
    total = torch.bincount(ring, weights=spectrum.cpu().flatten())
    return (total / torch.bincount(ring))[: side // 2 + 1]


def high_frequency_difference(a: Tensor, b: Tensor) -> float:
    """Return the mean |difference| of two log spectra's radial profiles over the highest third.

    `a`, `b`: `LogSpectrum.mean()` of two sets of images of one size. The highest third are the
    rings above 1/3 cycles per pixel up to Nyquist, 1/2; each ring counts once. In units of log
    amplitude. Raises ValueError when the sizes differ or are below 4 pixels.
    """
    _check_sizes(a, b)
    if min(a.shape) < 4:
        raise ValueError(
            f"Spectra are {_size(a.shape)}; the highest third of frequencies needs images of at "
            "least 4 pixels a side."
        )
    difference = radial_profile(a) - radial_profile(b)
    return float(difference[min(a.shape) // 3 + 1 :].abs().mean())


def _log_amplitude(images: Tensor) -> Tensor:
    # Half-precision transforms exist only for some sizes, so float32 whatever comes in.
    return float64((torch.fft.fft2(images.float()).abs() + EPSILON).log())


def _check_sizes(a: Tensor, b: Tensor) -> None:
    if a.shape != b.shape:
        raise ValueError(
            f"Spectra are {_size(a.shape)} and {_size(b.shape)}; compare images of one size."
        )


def _check_images(images: Tensor) -> None:
    if images.ndim != 4:
        raise ValueError(f"Images have shape {tuple(images.shape)}; pass a batch (B, C, H, W).")


def _size(shape: torch.Size) -> str:
    return "x".join(map(str, shape))
