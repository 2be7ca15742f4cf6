"""LPC-SI: sharpness by how coherent the phases of an image's edges are across scales."""

import math

import torch
from torch import Tensor

from harness.metrics.sharpness import luma

LPC_SI_SIGNATURE = (
    "lpc-si|hassen2013|log-gabor|wavelengths=4,6,8|orientations=8|C=2|beta=1e-4|border=side/16"
    "|luma=bt601|range=255|rounding=none|per-image|v1"
)

SMALLEST = 16
WAVELENGTHS = (4.0, 6.0, 8.0)  # pixels: scales 1, 1.5 and 2
RADIAL_RATIO = 0.75
ORIENTATIONS = 8
ANGULAR_RATIO = 1.5
CUTOFF, ORDER = 0.45, 15
NOISE_DEVIATIONS = 2.0
C = 2.0
BETA = 1e-4
# Rank weights below e^-40 of the first are lost in rounding.
RANKS = 40


@torch.no_grad()
def lpc_si(images: Tensor) -> Tensor:
    """Return the sharpness of each image by local phase coherence, in [0, 1).

    At an edge the phases of a finer scale follow from those of coarser ones; blur breaks that.
    With M_s the responses of log-Gabor filters of one orientation at wavelengths of 4, 6 and 8
    pixels, the coherence at a pixel is `max(0, cos arg(M1 M2^-3 M3^2))`. Its mean over 8
    orientations is weighted by the energy |M1| above the noise (mean + 2 standard deviations),
    with C = 2 beside the energies' sum; the index is the mean over pixels of falling rank, weighted
    by `exp(-n / (N - 1) / 1e-4)`, so by little more than the sharpest few. A border of a sixteenth
    of the shorter side is left out.

    `images`: `(B, C, H, W)` in [0, 1], C 1 or 3, H, W >= 16; colours become luma (BT.601) in
    0..255. Returns `(B,)` float64: 0 for flat images, higher is sharper; brightness does not change
    it, contrast does a little through C. Noise reads as detail: set it beside PSNR. Source: Hassen,
    Wang & Salama 2013, with the constants of the authors' release. Raises ValueError for other
    shapes.
    """
    grey = luma(images)
    height, width = grey.shape[1:]
    if min(height, width) < SMALLEST:
        raise ValueError(
            f"lpc_si: images are {height}x{width}; its filters need at least {SMALLEST} pixels a "
            "side."
        )
    filters = _filters(height, width).to(grey)
    pixels = 2**15 if grey.device.type == "cpu" else 2**21
    chunk = max(1, pixels // (height * width))
    return torch.cat([_index(_coherence_map(part, filters)) for part in grey.split(chunk)])


def _coherence_map(grey: Tensor, filters: Tensor) -> Tensor:
    """Return the energy-weighted coherence inside the border, `(b, h, w)`."""
    border = math.floor(min(grey.shape[1:]) / 16 + 0.5)
    inside = (..., slice(border, -border), slice(border, -border))
    spectrum = torch.fft.fft2(grey)
    weighted, energies = grey.new_zeros(()), grey.new_full((), C)
    for bank in filters:  # an orientation at a time, or memory would rise eightfold
        fine, middle, coarse = (torch.fft.ifft2(spectrum * band)[inside] for band in bank)
        # conj has the phase of the inverse
        product = fine * middle.conj().resolve_conj().pow(3) * coarse.square()
        coherence = product.real.clamp(min=0) / product.abs().clamp(min=1e-300)
        amplitude = fine.abs()
        deviation, mean = torch.std_mean(amplitude, dim=(1, 2), keepdim=True)
        energy = (amplitude - mean - NOISE_DEVIATIONS * deviation).clamp_(min=0)
        weighted = weighted + coherence * energy
        energies = energies + energy
    return weighted / energies


def _index(coherence: Tensor) -> Tensor:
    """Return the mean over pixels weighted by rank, the highest first, `(b,)`."""
    last = coherence[0].numel() - 1
    kept = min(last, math.ceil(RANKS * BETA * last)) + 1
    rank = torch.arange(kept, dtype=coherence.dtype, device=coherence.device)
    weights = torch.exp(-rank / last / BETA)
    return coherence.flatten(1).topk(kept).values @ (weights / weights.sum())


def _filters(height: int, width: int) -> Tensor:
    """Return the transfer functions, `(orientations, scales, H, W)` float64, DC first."""
    vertical, horizontal = (
        torch.fft.fftfreq(side, dtype=torch.float64) for side in (height, width)
    )
    radius = torch.hypot(vertical[:, None], horizontal)
    low_pass = 1 / (1 + (radius / CUTOFF) ** (2 * ORDER))
    radius[0, 0] = 1  # the logarithm's sake; the filters' DC is set below
    scales = torch.stack([_log_gabor(radius, 1 / wavelength) for wavelength in WAVELENGTHS])
    scales = scales * low_pass
    scales[:, 0, 0] = 0
    # Image lines run downwards, angles counter-clockwise.
    angle = torch.atan2(-vertical[:, None], horizontal)
    spreads = torch.stack(
        [_angular(angle, k * math.pi / ORIENTATIONS) for k in range(ORIENTATIONS)]
    )
    return spreads[:, None] * scales


def _log_gabor(radius: Tensor, centre: float) -> Tensor:
    return torch.exp(-((radius / centre).log() ** 2) / (2 * math.log(RADIAL_RATIO) ** 2))


def _angular(angle: Tensor, direction: float) -> Tensor:
    spread = math.pi / ORIENTATIONS / ANGULAR_RATIO
    distance = torch.atan2((angle - direction).sin(), (angle - direction).cos())
    return torch.exp(-(distance**2) / (2 * spread**2))
