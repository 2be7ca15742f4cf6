"""Losses on multiscale transforms of the error: both are linear, so one transform is enough."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Unpack

import torch
from torch import Tensor
from torch.nn.functional import pad

from losses.base import Context, ReconstructionLoss
from losses.options import InvalidOption

BINOMIAL = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)


class Haar(ReconstructionLoss):
    """The absolute error of the Haar wavelet coefficients, summed over all bands.

    `sum_j |H_j| + |V_j| + |D_j| (j = 1..levels) + |A_levels|` in absolute sums over coefficients of
    the error y - x, where a level turns each 2x2 block (a b; c d) of the last A, A_0 = y - x, into

    `A = (a+b+c+d)/2, V = (a-b+c-d)/2, H = (a+b-c-d)/2, D = (a-b-c+d)/2`.

    The transform is orthonormal, so squares in place of absolute values would give 2 `l2` at any
    number of levels (Parseval): what this loss adds to l1 is where the absolute value is taken.
    Every band has weight 1. Not in nats and no density; 0 for identical images; not negative.

    Sides that 2 does not divide at some level are extended by one line that both images share,
    that is by zeros in the error, which keeps Parseval.

    Options:
      levels: 1 to log2 of the longer side, rounded up.

    Source: ours, as a control of the frequency losses; transform of Haar 1910 and Mallat 1989.
    Raises `InvalidOption` for other levels.
    """

    # On photographs of 32x32x3 a short training spends 61 and 11 nats at the ends, about as l2.
    beta_range = (0.015, 0.25)

    def __init__(self, *, levels: int = 3, **context: Unpack[Context]) -> None:
        super().__init__(**context)
        most = math.inf
        if self.image_shape is not None:
            most = max(1, math.ceil(math.log2(max(self.image_shape[1:]))))
        _check_levels(levels, most)
        self.levels = levels

    def forward(
        self, recon: Tensor, target: Tensor, latent: Tensor, *, logits: Tensor | None = None
    ) -> Tensor:
        """Return the energy of each image, `(B,)`."""
        energy = recon.new_zeros(len(recon))
        approximation = recon - target
        for _ in range(self.levels):
            approximation, *details = haar(approximation)
            for detail in details:
                energy = energy + absolute_sum(detail)
        return energy + absolute_sum(approximation)


class LaplacianPyramid(ReconstructionLoss):
    """The absolute error of Laplacian pyramids, the level j weighted with `ratio^j`.

    `sum_j 4^j |L_j(y) - L_j(x)|` in absolute sums, j = 0 the finest: G_0 is the image, G_(j+1) is
    G_j smoothed with (1 4 6 4 1)/16 in both directions and taken at every other pixel, and
    L_j = G_j - expand(G_(j+1)), where expand puts zeros between the pixels and smooths with twice
    that kernel. What is left, G_levels, is the level j = levels. A level has a quarter of the
    values of the one before, so with 4^j the mean error of each counts the same.

    Borders are mirrored without repeating the border pixel. Any size works: the half of an odd
    side is rounded up, its last pixel kept. The pyramid of a constant is 0 but for G_levels, and
    identical images cost 0. Not in nats and no density.

    Options:
      levels: 1 to log2 of the longer side, rounded down, plus 1.
      ratio: of the weights of neighbouring levels. Public code for the same source also has
        1/4, which is for fine detail rather than for all levels alike.
      low_pass: compare G_levels too. Without, the loss is nearly blind to brightness and colour:
        the source adds l2 for these, as in `l2 + laplacian-pyramid[low_pass=false]`.

    Source: Bojanowski et al. 2018 (Lap1, weights 2^(2j)), after Ling & Okada 2006; pyramid of Burt
    & Adelson 1983 with a = 3/8. Needs `image_shape`; raises `InvalidOption` for other levels, a
    ratio that is not positive and finite, and images of another shape.
    """

    # On photographs of 32x32x3 a short training spends 60 and 13 nats at the ends, as l2.
    beta_range = (0.2, 3.2)

    def __init__(
        self,
        *,
        levels: int = 4,
        ratio: float = 4.0,
        low_pass: bool = True,
        **context: Unpack[Context],
    ) -> None:
        super().__init__(**context)
        _, height, width = self.needed_image_shape()
        _check_levels(levels, math.floor(math.log2(max(height, width))) + 1)
        if not 1e-3 <= ratio <= 1e3:  # to the power of the level
            raise InvalidOption(f"ratio is {ratio!r}; give a number from 0.001 to 1000, such as 4")
        self.levels, self.ratio, self.low_pass = levels, ratio, low_pass
        for level in range(levels):
            for name, side in (("rows", height), ("columns", width)):
                reduce, expand = pyramid_matrices(-(-side // 2**level))
                self.register_buffer(f"reduce_{name}_{level}", reduce, persistent=False)
                self.register_buffer(f"expand_{name}_{level}", expand, persistent=False)

    def forward(
        self, recon: Tensor, target: Tensor, latent: Tensor, *, logits: Tensor | None = None
    ) -> Tensor:
        """Return the energy of each image, `(B,)`; images must have the shape built for."""
        self.check_shape(recon)
        energy = recon.new_zeros(len(recon))
        for level, band in enumerate(self._bands(recon - target)):
            energy = energy + self.ratio**level * absolute_sum(band)
        return energy

    def _bands(self, images: Tensor) -> Iterable[Tensor]:
        for level in range(self.levels):
            coarser = self._both_ways("reduce", level, images)
            yield images - self._both_ways("expand", level, coarser)
            images = coarser
        if self.low_pass:
            yield images

    def _both_ways(self, name: str, level: int, images: Tensor) -> Tensor:
        rows = self.get_buffer(f"{name}_rows_{level}").to(images.dtype)
        columns = self.get_buffer(f"{name}_columns_{level}").to(images.dtype)
        return rows @ (images @ columns.T)


def haar(images: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return one level of the orthonormal Haar transform, A, V, H and D, each of half the size."""
    height, width = images.shape[-2:]
    images = pad(images, (0, width % 2, 0, height % 2))
    upper, lower = images[..., 0::2, :] / 2, images[..., 1::2, :] / 2
    sums, differences = upper + lower, upper - lower
    left, right = sums[..., 0::2], sums[..., 1::2]
    top, bottom = differences[..., 0::2], differences[..., 1::2]
    return left + right, left - right, top + bottom, top - bottom


def pyramid_matrices(side: int) -> tuple[Tensor, Tensor]:
    """Return the matrices that reduce a line of `side` pixels and expand it again.

    Shapes `(half, side)` and `(side, half)` with half = side/2 rounded up, float64.
    """
    smooth = torch.zeros(side, side, dtype=torch.float64)
    for row in range(side):
        for offset, weight in enumerate(BINOMIAL, start=-2):
            smooth[row, _mirrored(row + offset, side)] += weight
    return smooth[::2].clone(), 2 * smooth[:, ::2] if side > 1 else smooth


def absolute_sum(values: Tensor) -> Tensor:
    """Return the sum of absolute values of each image, `(B,)`."""
    return values.abs().flatten(1).sum(1)


def _mirrored(index: int, side: int) -> int:
    period = max(1, 2 * (side - 1))
    index %= period
    return min(index, period - index) if side > 1 else 0


def _check_levels(levels: int, most: float) -> None:
    if not 1 <= levels <= most:
        limit = "1 or more" if most == math.inf else f"1 to {most} for images of this size"
        raise InvalidOption(f"levels is {levels}; give {limit}")
