"""How far the Fourier phases of reconstructions lie from their targets', one value per image."""

import math

import torch
from torch import Tensor

from harness.metrics.pairs import check_pair
from harness.metrics.precision import float64

PHASE_SIGNATURE = "phase-error|fft2|target-amplitude-weighted|without-dc|radians|per-image|v1"

# Amplitudes below this share of a white image's DC are rounding: they have no phase.
NEGLIGIBLE = 1e-10


@torch.no_grad()
def phase_error(recon: Tensor, target: Tensor) -> Tensor:
    """Return the mean angle between the Fourier phases of each image and its target, in radians.

    `sum |F(target)| |arg(F(recon) conj F(target))| / sum |F(target)|` over channels and all
    frequencies but zero, the angle wrapped into [0, π]. `recon`, `target`: `(B, C, H, W)` in
    [0, 1], neither clipped nor rounded. Returns `(B,)` float64: 0 where all edges are in place,
    π/2 on average where phases are random, π for the negative. Contrast and brightness do not
    change it. A frequency that the reconstruction lacks counts as π/2, and so does an image whose
    target is flat: neither knows a phase. Raises ValueError when the shapes differ.
    """
    check_pair(recon, target)
    values = 2**18 if recon.device.type == "cpu" else 2**23
    chunk = max(1, values // recon[:1].numel()) if recon.numel() else 1
    pairs = zip(recon.split(chunk), target.split(chunk), strict=True)
    return torch.cat([_phase_error(float64(x), float64(y)) for x, y in pairs])


def _phase_error(recon: Tensor, target: Tensor) -> Tensor:
    made, wanted = (torch.fft.fft2(images).flatten(2)[..., 1:] for images in (recon, target))
    least = NEGLIGIBLE * math.prod(recon.shape[2:])
    angle = (made * wanted.conj()).angle().abs_()
    angle.masked_fill_(made.abs() < least, math.pi / 2)
    amplitude = wanted.abs()
    amplitude.masked_fill_(amplitude < least, 0)
    weight = amplitude.sum((1, 2))
    mean = (amplitude * angle).sum((1, 2)) / weight
    return mean.masked_fill(weight == 0, math.pi / 2)
