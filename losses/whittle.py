"""A Gaussian likelihood whose covariance is diagonal in the Fourier domain."""

from __future__ import annotations

import math
from typing import Unpack

import torch
from torch import Tensor

from losses.base import Context, ReconstructionLoss
from losses.half_plane import multiplicity
from losses.options import InvalidOption, check_floor, check_positive


class FixedSpectrum(ReconstructionLoss):
    """Gaussian negative log-likelihood with one variance per frequency, in nats on [0, 1] images.

    `1/2 sum_f [ |E_f|^2 / S_f + log S_f ] + D/2 log(2 pi)` over all frequencies f of all channels
    with all constants, where E is the orthonormal Fourier transform of the error y - x, S_f the
    variance of E_f and D = C*H*W: the density in x of a stationary Gaussian on the torus, channels
    independent. Only the spectrum of the errors is learned; their phases stay random, which makes
    this the plainest loss with a weight for each frequency. Not bounded from above.

    S is a running mean of |E_f|^2, in the state dict. Each batch of training is scored with the S
    of the batches before it and enters S afterwards, so that the energy of an image depends on no
    batch mate and remains a likelihood. The t-th batch enters with the rate `max(1/t, 1 - decay)`:
    `init` is forgotten after the first batch, and the plain mean is kept until the window is full.
    Under `eval()` S does not change.

    Options:
      decay: of the running mean; 0.99 looks back over some hundred batches.
      init: S at every frequency for the first batch.
      floor: log of a standard deviation of white noise, whose variance `exp(2 floor)` is added to
        S, so that a perfect reconstruction costs a finite number; None for none.

    Source: Whittle 1953 (likelihood); ours as a reconstruction loss. Needs `image_shape`; raises
    `InvalidOption` for a decay outside [0, 1), an `init` that is not positive and finite, a
    floor that is not finite, and images of another shape.
    """

    # 1 is the evidence lower bound, but every frequency counts alike, so that coding the few that
    # images consist of gains little: on photographs of 32x32x3 a short training spends 40 nats at
    # 0.01 and 1 at 0.6.
    beta_range = (0.01, 0.5)
    density = True

    spectrum: Tensor
    batches: Tensor
    count: Tensor

    def __init__(
        self,
        *,
        decay: float = 0.99,
        init: float = 0.01,
        floor: float | None = -6.0,
        **context: Unpack[Context],
    ) -> None:
        super().__init__(**context)
        channels, height, width = self.needed_image_shape()
        if not 0 <= decay < 1:
            raise InvalidOption(f"decay is {decay!r}; give a number from 0 to under 1")
        check_positive("init", init, 0.01)
        check_floor(floor)
        self.decay = decay
        self.smallest = 0.0 if floor is None else math.exp(2 * floor)
        half_plane = (channels, height, width // 2 + 1)
        self.register_buffer("spectrum", torch.full(half_plane, float(init)))
        self.register_buffer("batches", torch.zeros((), dtype=torch.int64))
        self.register_buffer("count", multiplicity(width), persistent=False)

    def forward(
        self, recon: Tensor, target: Tensor, latent: Tensor, *, logits: Tensor | None = None
    ) -> Tensor:
        """Return the energy of each image, `(B,)`; images must have the shape built for."""
        self.check_shape(recon)
        error = torch.fft.rfft2(recon - target, norm="ortho")
        power = torch.view_as_real(error).square().sum(-1)
        variance = self.spectrum.to(power.dtype) + self.smallest
        count = self.count.to(power.dtype)
        energy = (power * (count / variance)).flatten(1).sum(1) / 2
        constant = recon[0].numel() / 2 * math.log(2 * math.pi)
        energy = energy + (count * variance.log()).sum() / 2 + constant
        if self.training:
            self._learn(power.detach())
        return energy

    @torch.no_grad()
    def _learn(self, power: Tensor) -> None:
        self.batches += 1
        rate = (1 / self.batches).clamp(min=1 - self.decay)
        # In place: the graph holds the variance, which is a copy.
        self.spectrum.lerp_(power.mean(0).to(self.spectrum.dtype), rate)
