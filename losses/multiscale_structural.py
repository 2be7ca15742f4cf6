"""Structural similarity over several scales."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Unpack

from torch import Tensor, nn, where
from torch.nn.functional import avg_pool2d

from losses.base import Context, ReconstructionLoss
from losses.options import InvalidOption
from losses.structural import ORIGIN, LocalMean, check_window

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of the scales, finest first (Wang et al. 2003, section 3.2)."""
WINDOW = 11
SMALLEST_WINDOW = 5
STRAIGHT_BELOW = 1e-3
"""Where the powers of a similarity continue as straight lines to 0."""


class MultiScaleSSIM(ReconstructionLoss):
    """One minus the multi-scale structural similarity, times C*H*W.

    `1 - l_M^w_M prod_j cs_j^w_j` for each channel, averaged over channels: cs_j is the mean over
    positions of contrast times structure at scale j, `(2 cov + C2) / (vx + vy + C2)`, and the
    coarsest scale M takes the mean of luminance times that. Scale j + 1 is the mean of blocks of
    2x2 pixels of scale j, where an odd last line counts as its own neighbour. Gaussian window,
    constants K = (0.01, 0.03) for data in [0, 1], windows wholly inside. Per image from 0
    (identical) to C*H*W; no likelihood.

    Means below 0, where a power is not defined, count as 0. The slope of a power at 0 is infinite,
    so below 0.001 it is replaced by the chord `0.001^(w-1) t`: value and gradient are finite and
    belong together, and means from 0.001 on keep their exact value. So where a scale's mean is 0 or
    below, as for images that have nothing in common or are each other's negatives, the energy of
    the channel is at its maximum and its gradient is zero: training cannot start from there alone,
    and `l2` or `l1` beside it helps.

    Options:
      scales: 1 to 5. The first `scales` of the five weights, divided by their sum. None takes 5
        where the shorter side exceeds 160 pixels, else 3, fewer where the coarsest scale
        would be under 5 pixels: 3 from 17 pixels on, 2 from 9 on, then 1.
      window: odd, fitting the coarsest scale. None takes 11, or where that does not fit the
        largest odd number that does: 11 from 41 pixels on, 7 at 28 and 32, 5 at 24, 7 at 16.
      sigma: of the window, in pixels of each scale.

    Settled where sources differ: odd sizes as in the authors' code (pytorch-msssim pads with
    zeros, which is visible at the border; even sizes agree); the product of the last scale is
    averaged before it is raised, as in all public code. A widely copied one has a window that
    grows outwards and counts the last scale four times.

    Source: Wang, Simoncelli & Bovik 2003, eq. 7. Needs `image_shape`; raises `InvalidOption` for
    other scales and windows and for images of another shape.
    """

    # On photographs of 32x32x3 a short training spends 80 and 25 nats at the ends (l2: 60 and 12).
    beta_range = (0.3, 5.0)

    def __init__(
        self,
        *,
        scales: int | None = None,
        window: int | None = None,
        sigma: float = 1.5,
        **context: Unpack[Context],
    ) -> None:
        super().__init__(**context)
        channels, height, width = self.needed_image_shape()
        self.native_scale = float(channels * height * width)
        scales, window = _chosen(min(height, width), scales, window, sigma)
        self.exponents = [weight / sum(WEIGHTS[:scales]) for weight in WEIGHTS[:scales]]
        self.local_means = nn.ModuleList(
            LocalMean(_side(height, scale), _side(width, scale), window, sigma)
            for scale in range(scales)
        )

    def forward(
        self, recon: Tensor, target: Tensor, latent: Tensor, *, logits: Tensor | None = None
    ) -> Tensor:
        """Return the energy of each image, `(B,)`; images must have the shape built for."""
        self.check_shape(recon)
        product = recon.new_ones(())
        for similarity, exponent in zip(
            self._similarities(target - ORIGIN, recon - ORIGIN), self.exponents, strict=True
        ):
            product = product * power(similarity, exponent)
        return self.native_scale * (1 - product.mean(1))

    def _similarities(self, x: Tensor, y: Tensor) -> Iterable[Tensor]:
        """Yield the mean similarity of each channel, `(B, C)`, from fine to coarse."""
        for scale, local_mean in enumerate(self.local_means):
            if scale > 0:
                # ceil_mode averages what there is of the last block
                x, y = (avg_pool2d(images, 2, ceil_mode=True) for images in (x, y))
            moments = local_mean.moments(x, y)  # type: ignore[operator]
            similarity = moments.contrast_and_structure()
            if scale == len(self.local_means) - 1:
                similarity = similarity * moments.luminance()
            yield similarity.mean((2, 3))


def power(base: Tensor, exponent: float) -> Tensor:
    """Return `max(base, 0)^exponent` for 0 < exponent <= 1, straight below `STRAIGHT_BELOW`."""
    below = base < STRAIGHT_BELOW
    chord = base.relu() * STRAIGHT_BELOW ** (exponent - 1)
    # the branch not taken must stay finite for the gradient
    return where(below, chord, where(below, STRAIGHT_BELOW, base) ** exponent)


def _chosen(side: int, scales: int | None, window: int | None, sigma: float) -> tuple[int, int]:
    if scales is not None and not 1 <= scales <= len(WEIGHTS):
        raise InvalidOption(f"scales is {scales}; give 1 to {len(WEIGHTS)}, or none to choose")
    check_window(WINDOW if window is None else window, sigma)
    if scales is None:
        least = SMALLEST_WINDOW if window is None else window
        allowed = len(WEIGHTS) if side > 160 else 3
        scales = max([1, *(n for n in range(1, allowed + 1) if _side(side, n - 1) >= least)])
    coarsest = _side(side, scales - 1)
    fitting = coarsest - 1 + coarsest % 2
    if window is not None and window > fitting:
        raise InvalidOption(
            f"a side of {side} pixels becomes {coarsest} at scale {scales}, smaller than the "
            f"window of {window}; set window={fitting} or fewer scales"
        )
    return scales, min(WINDOW, fitting) if window is None else window


def _side(side: int, scale: int) -> int:
    return -(-side // 2**scale)
