"""Contrast and luminance masking on 8x8 blocks, what both of Watson's losses share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Unpack

import torch
from torch import Tensor

from losses.base import Context, MissingContext, ReconstructionLoss
from losses.blocks8 import check_sides, move_grid
from losses.colour import YCBCR, YCBCR_OFFSET, check_channels, mix_channels
from losses.watson_parameters import Initial, Parameters, initial, tuned_by_czolbe

EPS = 1e-10
"""The source's, wherever a quotient, root or power could meet 0."""


class BlockMasking(ReconstructionLoss):
    """Colour, grid shift, masking and pooling; subclasses give the distance of one channel.

    Class attributes: `transform` names the loss and its weights, `untuned` holds what the authors
    started from, `beta_factors` takes `beta_range` to (tuned, grey).
    """

    transform: ClassVar[str]
    untuned: ClassVar[Initial]
    beta_factors: ClassVar[Mapping[tuple[bool, bool], float]]

    log_t: Tensor
    alpha: Tensor
    w: Tensor
    beta: Tensor
    phase: Tensor
    colours: Tensor
    ycbcr: Tensor
    offset: Tensor

    def __init__(
        self,
        *,
        tuned: bool = False,
        shift: bool = True,
        per_image_mean: bool = False,
        **context: Unpack[Context],
    ) -> None:
        super().__init__(**context)
        self.shift, self.per_image_mean = shift, per_image_mean
        self.batch_coupled = not per_image_mean
        self.channels, height, width = self.needed_image_shape()
        factor = self.beta_factors[tuned, self.channels == 1]
        self.beta_range = (factor * self.beta_range[0], factor * self.beta_range[1])
        check_channels(f"watson-{self.transform}", self.channels)
        check_sides(f"watson-{self.transform}", height, width)
        self._keep(self._choose(tuned))
        self._buffer("ycbcr", torch.tensor(YCBCR, dtype=torch.float64))
        self._buffer("offset", torch.tensor(YCBCR_OFFSET, dtype=torch.float64).view(3, 1, 1))

    @classmethod
    def required(cls, channels: int | None, **options: Any) -> tuple[str, ...]:
        """Return the names of the tuned weights for grey or colour images, both if unknown."""
        if not options.get("tuned", False):
            return ()
        kinds = ("rgb", "gray") if channels is None else ("gray" if channels == 1 else "rgb",)
        return tuple(f"watson-{cls.transform}-{kind}" for kind in kinds)

    def _choose(self, tuned: bool) -> Parameters:
        if not tuned:
            return initial(self.untuned, self.channels)
        (name,) = self.required(self.channels, tuned=True)
        return tuned_by_czolbe(self.weights_file(name), self.untuned, self.channels)

    def _keep(self, found: Parameters) -> None:
        """Register what the formula uses, shaped for `(B, C, K, 8, 8 or 5)`."""
        self._buffer("log_t", found.t_tilde.unsqueeze(1))
        self._buffer("alpha", found.alpha.unsqueeze(1))
        self._buffer("w", found.w_tilde.sigmoid().view(-1, 1, 1, 1))
        self._buffer("beta", found.beta.view(-1, 1, 1, 1))
        self._buffer("phase", found.phase_weights().unsqueeze(1))
        self._buffer("colours", found.colour_tilde.softmax(0))

    def _buffer(self, name: str, values: Tensor) -> None:
        self.register_buffer(name, values, persistent=False)

    def forward(
        self, recon: Tensor, target: Tensor, latent: Tensor, *, logits: Tensor | None = None
    ) -> Tensor:
        """Return the energy of each image, `(B,)`; images must have the shape built for."""
        self.check_shape(recon)
        if self.shift and self.training:
            down, right = self._draw_shift()
            recon, target = (move_grid(images, down, right) for images in (recon, target))
        if self.channels == 3:
            recon, target = (self._to_ycbcr(images) for images in (recon, target))
        return (self.distances(recon, target) * self.colours.to(recon.dtype)).sum(1)

    def _draw_shift(self) -> tuple[int, int]:
        if self.generator is None:
            raise MissingContext(
                f"watson-{self.transform} draws the place of its grid in training; pass "
                "generator=torch.Generator() to losses.build, or set shift=false"
            )
        # The generator lives on the CPU, so reading the draw waits for no accelerator.
        drawn = torch.randint(-4, 4, (2,), generator=self.generator, device=self.generator.device)
        down, right = drawn.tolist()
        return down, right

    def _to_ycbcr(self, images: Tensor) -> Tensor:
        return mix_channels(images, self.ycbcr) + self.offset.to(images.dtype)

    def distances(self, recon: Tensor, target: Tensor) -> Tensor:
        """Return the distance of each image in each of its channels, `(B, C)`."""
        raise NotImplementedError

    def thresholds(self, luminance: Tensor, amplitude: Tensor) -> Tensor:
        """Return s, the error that is just noticed, from `(B, C, K)` and `(B, C, K, 8, 8 or 5)`."""
        dtype = amplitude.dtype
        alpha, w, log_t = self.alpha.to(dtype), self.w.to(dtype), self.log_t.to(dtype)
        mean = luminance.mean(2 if self.per_image_mean else (0, 2), keepdim=True)
        brightness = alpha * ((luminance + EPS) / (mean + EPS)).log()
        log_t = log_t + brightness[..., None, None]
        t = log_t.exp()
        masked = (w * (amplitude + EPS).log() + (1 - w) * log_t).exp()
        return t + (masked - t) * (masked - t).sigmoid()  # smax of the pair

    def pool(self, error: Tensor) -> Tensor:
        """Return D of each image and channel from errors in units of s: `(B, C)`."""
        beta = self.beta.to(error.dtype)
        summed = ((error + EPS).pow(beta) + EPS).sum((2, 3, 4))
        return summed.pow(1 / beta.flatten())
