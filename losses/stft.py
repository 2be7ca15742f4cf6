"""The short-time Fourier transform loss."""

from __future__ import annotations

import math
from typing import Literal, Unpack

import torch
from torch import Tensor

from losses.base import Context
from losses.half_plane import hann_window, radial_ramp
from losses.options import InvalidOption
from losses.phase_amplitude import SSIM_WINDOW, Base, PhaseAmplitude, PhaseWeighting


class STFT(PhaseAmplitude):
    """Phase and amplitude errors of the short-time Fourier transform, beside a pixel loss.

    `base + lambda_freq L_freq`, `L_freq = sum_j (phase |P_y - P_x| + amplitude |A_y - A_x|)_j W_j`,
    where A and P are the moduli and arguments of the 2-D Fourier transforms, unnormalised, of
    windows that slide over each channel, and j runs over windows, channels and the bins of
    `rfft2`. From 0, without bound, with every base but ce.

    - `window`, `stride`: side and step of the square windows in pixels; only whole windows count.
    - `phase`, `amplitude`: their weights, 9 to 1: the paper asks for more than 1 and its
      checkpoint is named after .9 and .1.
    - `lambda_freq`: weight of L_freq beside the pixel loss. The release uses .0015 beside
      500 (1 - SSIM) on 28x28 pixels, 2.35e-3 here; 1.8e-4 gives this form of L_freq, which is 13
      times as large as the released one, the same share.
    - `base`: "ssim", C*H*W (1 - SSIM), the proposal; "l1", "l2", "ce", the losses of those
      names, the paper's other trials; or "none", the frequency term alone.
    - `hann`: multiply by `1/4 (1 - cos(2 pi x/L)) (1 - cos(2 pi y/L))`.
    - `wrapped`: measure phase differences round the circle, at most pi; else plainly, at most
      2 pi with a jump where a phase passes pi.
    - `phase_weighting`: the phase of an empty bin is noise and its gradient up to 1/eps. "target"
      multiplies a bin's phase error by the target's amplitude, an arc's length; "mask" leaves out
      the bins whose target is below 0.001; "none" is the paper's.
    - `eps`: added to the spectra before their phase is taken, so that zeros have the phase 0.
    - `variant`: "released" is the code published with the paper, for reproduction only; it sets
      `hann` and `wrapped` aside, and wants `lambda_freq` 2.35e-3 at 28x28.
    - `ssim_window`: side of the SSIM's window, for images smaller than 11 pixels.

    Errata: the paper adds +SSIM to what it minimises; here 1 - SSIM. Its W is "linear" in the
    frequency; here r / r_max over the half-plane. The release transforms only rows (its 2-D
    transform runs over width and channels), keeps the first half of a window's rows and of the
    frequencies, weighs both by the outer product of two ramps from 0 to 1, which leaves purely
    vertical or horizontal detail free, and neither windows nor wraps.

    Source: Dalal 2024, secs. 3.1 and 3.2. Needs `image_shape`; raises `InvalidOption` for windows
    larger than the image, a stride below 1 and weights that are negative.
    """

    # ssim's, which makes up nearly all of the energy; another base brings its own.
    beta_range = (0.1, 1.5)
    taper: Tensor | None

    def __init__(
        self,
        *,
        window: int = 16,
        stride: int = 4,
        phase: float = 0.9,
        amplitude: float = 0.1,
        lambda_freq: float = 1.8e-4,
        base: Base = "ssim",
        hann: bool = True,
        wrapped: bool = True,
        phase_weighting: PhaseWeighting = "none",
        eps: float = 1e-6,
        variant: Literal["paper", "released"] = "paper",
        ssim_window: int = SSIM_WINDOW,
        **context: Unpack[Context],
    ) -> None:
        released = variant == "released"
        super().__init__(
            phase=phase,
            amplitude=amplitude,
            lambda_freq=lambda_freq,
            base=base,
            ssim_window=ssim_window,
            wrapped=wrapped and not released,
            phase_weighting=phase_weighting,
            eps=eps,
            **context,
        )
        _, height, width = self.needed_image_shape()
        check_windows(window, stride, height, width, least=4 if released else 2)
        self.window, self.stride, self.released = window, stride, released
        self.windows = math.prod((side - window) // stride + 1 for side in (height, width))
        ramp = released_ramp(window) if released else radial_ramp(window, window)
        taper = hann_window(window, window) if hann and not released else None
        self.register_buffer("ramp", ramp, persistent=False)
        self.register_buffer("taper", taper, persistent=False)

    def _spectra(self, images: Tensor) -> Tensor:
        """Return `(B, C, K, L, rows, columns)`, complex."""
        size, step = self.window, self.stride
        frames = images.unfold(2, size, step).unfold(3, size, step)
        if self.released:
            half = size // 2
            return torch.fft.fft2(frames[..., :half, :], dim=(5, 1))[..., :half]
        if self.taper is not None:
            frames = frames * self.taper.to(images.dtype)
        return torch.fft.rfft2(frames)


def check_windows(window: int, stride: int, height: int, width: int, least: int) -> None:
    """Raise `InvalidOption` when no window fits inside the image or the windows do not move."""
    side = min(height, width)
    if not least <= window <= side:
        raise InvalidOption(
            f"window is {window!r}; give a number from {least} to the image's {side} pixels"
        )
    if stride < 1:
        raise InvalidOption(f"stride is {stride!r}; give a positive number of pixels such as 4")


def released_ramp(window: int) -> Tensor:
    """Return the released weights, `(window // 2, window // 2)` in float64."""
    line = torch.linspace(0, 1, window // 2, dtype=torch.float64)
    return line[:, None] * line
