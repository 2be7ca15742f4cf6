"""Half of a real image's spectrum: what a bin counts for, its frequency, its phase."""

from __future__ import annotations

import torch
from torch import Tensor


def multiplicity(side: int, like: Tensor | None = None) -> Tensor:
    """Return how many bins of the full spectrum each bin of the halved axis stands for.

    Shape `(side // 2 + 1,)`, dtype and device of the real tensor `like`, else float64: 2 but 1 at
    zero and, of an even side, at the last, whose mirror images are on the same line.
    """
    like = torch.empty(0, dtype=torch.float64) if like is None else like
    counts = like.new_full((side // 2 + 1,), 2.0)
    counts[0] = 1
    if side % 2 == 0:
        counts[-1] = 1
    return counts


def radial_ramp(height: int, width: int) -> Tensor:
    """Return `r / r_max` of each bin of `rfft2`, `(height, width // 2 + 1)` in float64.

    r is the distance from the zero frequency in cycles per pixel and r_max = sqrt(1/2) the
    corner's, so that the values run from 0 to 1.
    """
    rows = torch.fft.fftfreq(height, dtype=torch.float64)
    columns = torch.fft.rfftfreq(width, dtype=torch.float64)
    return torch.hypot(rows[:, None], columns) / 0.5**0.5


def hann_window(height: int, width: int) -> Tensor:
    """Return `1/4 (1 - cos(2 pi m / height)) (1 - cos(2 pi n / width))`, in float64."""
    rows, columns = (torch.hann_window(side, dtype=torch.float64) for side in (height, width))
    return rows[:, None] * columns


def phase_error(recon: Tensor, target: Tensor, eps: float, *, wrapped: bool) -> Tensor:
    """Return `|angle(recon + eps) - angle(target + eps)|` of complex spectra.

    Wrapped, it is the length of the shorter way round the circle, from 0 to pi; else it lies
    between 0 and 2 pi and jumps where one of the phases does. `eps > 0` gives a zero the phase 0
    and bounds the gradient by 1 / eps.
    """
    # On real parts, made contiguous, this costs a fraction of the same on complex numbers. Adding
    # 0 makes negative zeros positive: negative real numbers have the phase pi, not -pi.
    a, b = recon.real + eps, recon.imag + 0.0
    c, d = target.real + eps, target.imag + 0.0
    if wrapped:
        # the angle of recon times the conjugate of target
        return torch.atan2(b * c - a * d, a * c + b * d).abs()
    return (torch.atan2(b, a) - torch.atan2(d, c)).abs()
