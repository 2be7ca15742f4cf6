"""What losses on amplitudes and phases beside a pixel loss share."""

from __future__ import annotations

import math
from typing import Literal, Unpack

from torch import Tensor

from losses.base import Context, ReconstructionLoss
from losses.half_plane import phase_error
from losses.options import InvalidOption
from losses.pieces import in_pieces
from losses.pointwise import L1, L2, CrossEntropy
from losses.structural import SSIM

Base = Literal["ssim", "l1", "l2", "ce", "none"]
PhaseWeighting = Literal["none", "target", "mask"]

SSIM_WINDOW = 11  # pixels, the default
LEAST_AMPLITUDE = 1e-3
"""Bins whose target lies below it have no phase to match under `phase_weighting="mask"`."""


class PhaseAmplitude(ReconstructionLoss):
    """`base + lambda_freq sum_j (phase |P_y - P_x| + amplitude |A_y - A_x|)_j W_j`.

    What `STFT` and `DFT` share; they define `_spectra` and register the weights W as `ramp`.
    """

    ramp: Tensor
    windows: int = 1

    def __init__(
        self,
        *,
        phase: float,
        amplitude: float,
        lambda_freq: float,
        base: Base,
        ssim_window: int,
        wrapped: bool,
        phase_weighting: PhaseWeighting,
        eps: float,
        **context: Unpack[Context],
    ) -> None:
        super().__init__(**context)
        for name, value in (("phase", phase), ("amplitude", amplitude)):
            if not 0 <= value < math.inf:
                raise InvalidOption(f"{name} is {value!r}; give a weight from 0 on")
        if phase == amplitude == 0:
            raise InvalidOption(
                f"phase is {phase!r} and amplitude {amplitude!r}, which leaves no frequency term; "
                "give one of them a weight"
            )
        if not 0 < lambda_freq < math.inf:
            raise InvalidOption(f"lambda_freq is {lambda_freq!r}; give a positive number")
        if not 0 < eps <= 1:
            raise InvalidOption(f"eps is {eps!r}; give a small positive number such as 1e-6")
        self.phase, self.amplitude, self.lambda_freq = phase, amplitude, lambda_freq
        self.wrapped, self.phase_weighting, self.eps = wrapped, phase_weighting, eps
        self.base = pixel_loss(base, self.needed_image_shape(), ssim_window)
        if self.base is not None:
            self.native_scale = self.base.native_scale  # the paper weighs 1 - SSIM by 1
        low, high = self.beta_range
        # The pixel loss is nearly all of the energy; without one, a twentieth of ssim's is left.
        self.beta_range = self.base.beta_range if self.base else (low / 20, high / 20)

    def forward(
        self, recon: Tensor, target: Tensor, latent: Tensor, *, logits: Tensor | None = None
    ) -> Tensor:
        """Return the energy of each image, `(B,)`; images must have the shape built for."""
        self.check_shape(recon)
        values = recon.shape[1] * self.windows * self.ramp.numel()
        energy = self.lambda_freq * in_pieces(self._frequency_term, recon, target, values)
        if self.base is None:
            return energy
        return self.base(recon, target, latent, logits=logits) + energy

    def _frequency_term(self, recon: Tensor, target: Tensor) -> Tensor:
        y, x = self._spectra(recon), self._spectra(target)
        size_y, size_x = y.abs(), x.abs()
        error = self.amplitude * (size_y - size_x).abs()
        if self.phase > 0:
            error = error + self.phase * self._phase_error(y, x, size_x)
        return (error * self.ramp.to(error.dtype)).flatten(1).sum(1)

    def _phase_error(self, y: Tensor, x: Tensor, size_x: Tensor) -> Tensor:
        error = phase_error(y, x, self.eps, wrapped=self.wrapped)
        if self.phase_weighting == "target":
            return error * size_x
        if self.phase_weighting == "mask":
            return error * (size_x >= LEAST_AMPLITUDE)
        return error

    def _spectra(self, images: Tensor) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} does not define _spectra")


def pixel_loss(
    base: Base, image_shape: tuple[int, int, int], ssim_window: int
) -> ReconstructionLoss | None:
    """Return the loss of that name for images of that shape, None for "none"."""
    if base != "ssim" and ssim_window != SSIM_WINDOW:
        raise InvalidOption(f"ssim_window is {ssim_window!r}, but base={base}; set base=ssim")
    if base == "none":
        return None
    if base != "ssim":
        return {"l1": L1, "l2": L2, "ce": CrossEntropy}[base](image_shape=image_shape)
    side = min(image_shape[1:])
    if ssim_window < 1 or ssim_window % 2 == 0 or ssim_window > side:
        raise InvalidOption(
            f"ssim_window is {ssim_window!r}; give an odd number up to the image's {side} pixels"
        )
    return SSIM(window=ssim_window, image_shape=image_shape)
