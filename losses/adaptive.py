"""Barron's adaptive robust loss on images."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal, Unpack

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from losses.base import Context, ReconstructionLoss
from losses.coefficients import representation as coefficients
from losses.colour import mix_channels, volume_preserving_yuv
from losses.options import InvalidOption
from losses.robust_density import MAX_ALPHA, log_partition, partition_table, rho

# softplus is 1 here, so that a latent of 0 stands for the initial scale
UNIT = math.log(math.e - 1)


class Adaptive(ReconstructionLoss):
    """Negative log-likelihood under Barron's density with a learned shape and scale everywhere.

    `sum_i rho(e_i, alpha_i, c_i) + log c_i + log Z(alpha_i)` over the coefficients e of the
    transformed residual, where
      rho(e, alpha, c) = |alpha - 2| / alpha ((e^2 / c^2 / |alpha - 2| + 1)^(alpha / 2) - 1),
      Z(alpha) = integral of exp(-rho(u, alpha, 1)) du.
    alpha = 2 is the Gaussian with sigma c, alpha = 0 the Cauchy density, in between lie heavy
    tails. Each of the C*H*W coefficients has a shape `alpha_lo + (alpha_hi - alpha_lo) sigmoid(l)`
    and a scale `scale_lo + (scale_init - scale_lo) softplus(m + log(e - 1))`, where l and m join
    the main optimiser and the checkpoint. In nats, all constants included: a density of the
    pixels, since the transforms preserve volume. It may be negative, bounded by `scale_lo`.

    `representation`: of the residual, `cdf97` wavelets, orthonormal `dct` of the whole image or
    `pixel`.
    `colour`: `yuv`, scaled to determinant 1, or `rgb`, the channels as they are; `auto` is `yuv`
    for three channels and `rgb` for others.
    `levels`: of the wavelets; fewer where the shorter side halves to 1 sooner.
    `alpha_lo`, `alpha_hi`, `alpha_init`: the shapes' range, within 0 to 4, and start. Equal bounds
    fix the shape: 2 and 2 for normal, 0 and 0 for Cauchy noise.
    `scale_lo`, `scale_init`: the scales' floor, without which the likelihood has no bound, and
    their start. Equal values fix the scale.

    Defaults are those of the source's VAE experiment. Resolved: the layout is `(B, C, H, W)` (the
    copy in Czolbe et al.'s code fed it to a function for channels last, and left the parameters
    out of the optimiser); levels are limited by the size instead of failing; at odd sizes, where
    the wavelets change volume, its logarithm is subtracted, so that the density stays normalised.

    Source: Barron 2019, eqs. 8, 16 and 17 and section 3.1. Needs `image_shape`. Raises
    `InvalidOption` for bounds out of order or range and for `yuv` of other than three channels.
    """

    # 1 is the evidence lower bound. Of pixels as of `sigma`; of coefficients less, for each counts
    # alike: on photographs of 32x32x3 2,400 steps spend 101 nats (dct) and 18 (cdf97) at 0.05.
    beta_range = (0.03, 1.5)
    pixel_beta_range = (0.3, 12.0)
    density = True

    yuv_matrix: Tensor
    table: Tensor

    def __init__(
        self,
        *,
        representation: Literal["cdf97", "dct", "pixel"] = "cdf97",
        colour: Literal["auto", "yuv", "rgb"] = "auto",
        levels: int = 5,
        alpha_lo: float = 1e-6,
        alpha_hi: float = 3.0,
        alpha_init: float = 1.0,
        scale_lo: float = 1e-8,
        scale_init: float = 1e-2,
        **context: Unpack[Context],
    ) -> None:
        if representation == "pixel":
            self.beta_range = self.pixel_beta_range
        super().__init__(**context)
        channels, height, width = self.needed_image_shape()
        _check(levels, (alpha_lo, alpha_init, alpha_hi), (scale_lo, scale_init))
        self.alpha_range, self.scale_range = (alpha_lo, alpha_hi), (scale_lo, scale_init)
        self.size = channels, height * width
        self.yuv = _is_yuv(colour, channels)
        self.transform = coefficients(representation, height, width, levels)
        yuv_matrix = torch.tensor(volume_preserving_yuv())
        self.register_buffer("yuv_matrix", yuv_matrix, persistent=False)
        self.register_buffer("table", torch.tensor(partition_table()), persistent=False)
        self._make_parameters(alpha_init)

    def _make_parameters(self, alpha_init: float) -> None:
        """Make the latent shapes and scales, each unless its bounds are equal."""
        (low, high), self.latent_alpha, self.latent_scale = self.alpha_range, None, None
        if low < high:
            start = math.log((alpha_init - low) / (high - alpha_init))
            self.latent_alpha = nn.Parameter(torch.full(self.size, start))
        if self.scale_range[0] < self.scale_range[1]:
            self.latent_scale = nn.Parameter(torch.zeros(self.size))

    def main_parameters(self) -> Iterable[nn.Parameter]:
        """Return the latent shapes and scales that are not fixed."""
        return [p for p in (self.latent_alpha, self.latent_scale) if p is not None]

    def shapes(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """Return alpha of each coefficient, `(C, H * W)`."""
        low, high = self.alpha_range
        if self.latent_alpha is None:
            return self.table.new_full((), low, dtype=dtype).expand(self.size)
        return low + (high - low) * self.latent_alpha.to(dtype).sigmoid()

    def scales(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """Return c of each coefficient, `(C, H * W)`."""
        low, start = self.scale_range
        if self.latent_scale is None:
            return self.table.new_full((), start, dtype=dtype).expand(self.size)
        return low + (start - low) * softplus(self.latent_scale.to(dtype) + UNIT)

    def forward(
        self, recon: Tensor, target: Tensor, latent: Tensor, *, logits: Tensor | None = None
    ) -> Tensor:
        """Return the energy of each image, `(B,)`; images must have the shape built for."""
        self.check_shape(recon)
        residual = target - recon
        if self.yuv:
            residual = mix_channels(residual, self.yuv_matrix)
        alpha, scale = self.shapes(residual.dtype), self.scales(residual.dtype)
        constant = (scale.log() + log_partition(alpha, self.table)).sum()
        constant = constant - self.size[0] * self.transform.log_volume
        return rho(self.transform(residual), alpha, scale).sum((1, 2)) + constant


def _is_yuv(colour: str, channels: int) -> bool:
    if colour == "yuv" and channels != 3:
        raise InvalidOption(
            f"colour is 'yuv' but the images have {channels} channel{'s' * (channels != 1)}; set "
            "colour=auto or rgb, or give images of 3 channels"
        )
    return colour != "rgb" and channels == 3


def _check(levels: int, shapes: tuple[float, float, float], scales: tuple[float, float]) -> None:
    low, start, high = shapes
    if levels < 1:
        raise InvalidOption(f"levels is {levels}; give a positive number such as 5")
    if not 0 <= low <= high <= MAX_ALPHA:
        raise InvalidOption(
            f"alpha_lo is {low} and alpha_hi {high}; give 0 <= alpha_lo <= alpha_hi <= "
            f"{MAX_ALPHA:g}, such as 1e-6 and 3"
        )
    if low < high and not low < start < high:
        raise InvalidOption(f"alpha_init is {start}; give a shape between {low} and {high}")
    if not 1e-15 <= scales[0] <= scales[1] <= 1e15:  # squares that float32 holds
        raise InvalidOption(
            f"scale_lo is {scales[0]} and scale_init {scales[1]}; give 1e-15 <= scale_lo <= "
            "scale_init <= 1e15, such as 1e-8 and 0.01"
        )
