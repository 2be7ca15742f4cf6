"""Losses on the spectrum of the whole image."""

from __future__ import annotations

import math
from typing import Literal, Unpack

import torch
from torch import Tensor

from losses.base import Context, ReconstructionLoss
from losses.half_plane import hann_window, multiplicity, phase_error, radial_ramp
from losses.phase_amplitude import SSIM_WINDOW, PhaseAmplitude


class Spectral(ReconstructionLoss):
    """The absolute difference of the spectra, summed over all bins and channels.

    With the orthonormal 2-D Fourier transform F of each channel,

    - `variant="complex"`: `sum_uv |F_y(u,v) - F_x(u,v)|`, the complex modulus;
    - `variant="log-amplitude"`: `sum_uv |log(1 + |F_y(u,v)|) - log(1 + |F_x(u,v)|)|`, blind to
      phase: shifting an image round its borders costs nothing, so use it beside another loss.

    From 0, without bound. A squared difference would be the squared error (Parseval), which no
    transform is needed for; the modulus spares large errors and presses small ones to zero.

    Source: after Björk et al. 2022, who add a spectral term to a VAE's pixel loss but of which
    neither code nor a verified norm is at hand: both variants are ours.
    """

    # On photographs of 32x32x3 a short training spends 60 and 12 nats at the ends, as l2.
    beta_range = (0.015, 0.3)

    def __init__(
        self,
        *,
        variant: Literal["complex", "log-amplitude"] = "complex",
        **context: Unpack[Context],
    ) -> None:
        super().__init__(**context)
        self.variant = variant

    def forward(
        self, recon: Tensor, target: Tensor, latent: Tensor, *, logits: Tensor | None = None
    ) -> Tensor:
        """Return the energy of each image, `(B,)`."""
        lines = self._distance(recon, target).sum((1, 2))
        return lines @ multiplicity(recon.shape[-1], lines)

    def _distance(self, recon: Tensor, target: Tensor) -> Tensor:
        if self.variant == "complex":
            return torch.fft.rfft2(recon - target, norm="ortho").abs()
        y, x = (torch.fft.rfft2(images, norm="ortho").abs() for images in (recon, target))
        return (y.log1p() - x.log1p()).abs()


class Fourier(ReconstructionLoss):
    """Errors of the amplitude and of the phase of the spectrum, averaged, times C*H*W.

    `C*H*W * 1/2 (L_amplitude + L_phase)` with the unnormalised 2-D Fourier transforms Y and X of
    reconstruction and target, each multiplied by a Hann window over the whole image, and

      L_amplitude = 2/(UV) sum_uv ||Y(u,v)| - |X(u,v)||
      L_phase     = 2/(UV) sum_uv |angle Y(u,v) - angle X(u,v)|

    over the non-redundant half of the bins, averaged over channels. From 0, without bound. Phases
    are differences round the circle and those of zeros are 0; where a spectrum is empty but for
    rounding, as that of a flat image is, its phases are noise, and so is their gradient.

    - `window`: multiply by `1/4 (1 - cos(2 pi m / H)) (1 - cos(2 pi n / W))` first.
    - `wrapped`: take phase differences round the circle, at most pi; else plainly, as the paper
      writes them, up to 2 pi and with a jump.
    - `plane`: "full" averages over all bins, which is the sum over the half with each of its bins
      counted for itself and its mirror image; "half" adds up u from 0 to U/2 - 1 and all v
      literally, which counts the line u = 0 twice and the line U/2 never.

    Source: Fuoli et al. 2021, its supervised Fourier loss. Needs `image_shape`.
    """

    # On photographs of 32x32x3 training spends 51 nats at 0.1 and 16 at 0.4. It is slow: 2,400
    # steps bring 2 dB over the mean image where l2 brings 9.
    beta_range = (0.08, 0.8)
    taper: Tensor

    def __init__(
        self,
        *,
        window: bool = True,
        wrapped: bool = True,
        plane: Literal["full", "half"] = "full",
        **context: Unpack[Context],
    ) -> None:
        super().__init__(**context)
        _, height, width = shape = self.needed_image_shape()
        self.native_scale = float(math.prod(shape))
        self.window, self.wrapped, self.plane = window, wrapped, plane
        self.register_buffer("taper", hann_window(height, width), persistent=False)

    def forward(
        self, recon: Tensor, target: Tensor, latent: Tensor, *, logits: Tensor | None = None
    ) -> Tensor:
        """Return the energy of each image, `(B,)`; images must have the shape built for."""
        self.check_shape(recon)
        y, x = self._spectrum(recon), self._spectrum(target)
        # far below the rounding of an unnormalised transform, but not zero
        eps = torch.finfo(recon.dtype).eps
        error = (y.abs() - x.abs()).abs() + phase_error(y, x, eps, wrapped=self.wrapped)
        lines = error.sum((1, 3))
        # C*H*W times the mean over C*U*V bins, U = H and V = W, is their sum
        return lines @ self._counts(recon.shape[2], lines) / 2

    def _spectrum(self, images: Tensor) -> Tensor:
        if self.window:
            images = images * self.taper.to(images.dtype)
        return torch.fft.rfft2(images, dim=(-1, -2))

    def _counts(self, height: int, like: Tensor) -> Tensor:
        if self.plane == "full":
            return multiplicity(height, like)
        counts = like.new_full((height // 2 + 1,), 2.0)
        if height % 2 == 0:
            counts[-1] = 0
        return counts


class DFT(PhaseAmplitude):
    """Phase and amplitude errors of the whole image's Fourier transform, beside the SSIM.

    `C*H*W (1 - SSIM) + lambda_freq sum_j (phase |P_y - P_x| + amplitude |A_y - A_x|)_j W_j`: the
    loss `stft` with one window of the image's size and without a Hann window, the control that
    shows what localisation buys. From 0, without bound.

    - `phase`, `amplitude`, `lambda_freq`, `wrapped`, `ssim_window`: as in `stft`.

    Source: Dalal 2024, Table 1, row DFT+SSIM; released with a stride of 0, which does not run.
    Needs `image_shape`; raises `InvalidOption` for weights that are negative.
    """

    # ssim's, which makes up nearly all of the energy.
    beta_range = (0.1, 1.5)

    def __init__(
        self,
        *,
        phase: float = 0.9,
        amplitude: float = 0.1,
        lambda_freq: float = 1.8e-4,
        wrapped: bool = True,
        ssim_window: int = SSIM_WINDOW,
        **context: Unpack[Context],
    ) -> None:
        super().__init__(
            phase=phase,
            amplitude=amplitude,
            lambda_freq=lambda_freq,
            base="ssim",
            ssim_window=ssim_window,
            wrapped=wrapped,
            phase_weighting="none",
            eps=1e-6,
            **context,
        )
        _, height, width = self.needed_image_shape()
        self.register_buffer("ramp", radial_ramp(height, width), persistent=False)

    def _spectra(self, images: Tensor) -> Tensor:
        return torch.fft.rfft2(images)
