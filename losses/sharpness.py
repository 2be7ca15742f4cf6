"""Losses that compare how sharp two images are."""

from __future__ import annotations

from typing import Any, Literal, Unpack

import torch
from torch import Tensor
from torch.autograd import Function

from losses.base import Context, ReconstructionLoss
from losses.options import InvalidOption

NEIGHBOURS = tuple((y, x) for y in range(3) for x in range(3) if (y, x) != (1, 1))
"""Where the images of the eight neighbours begin, the image of the centres beginning at (1, 1)."""
DEFAULT_START = 15.0

# l2's times the ratio of gradients at blurred photographs: 1.7 for a, 2 of 3.9 for b, 0.016 for c.
# `l2 + sharpness` so spends 32 nats at 0.075 on photographs of 32x32x3, 4 at 2.25.
BETA_RANGES = {"a": (0.025, 0.8), "b": (0.03, 1.0), "c": (2.5e-4, 7e-3), "d": (0.03, 1.0)}


class Sharpness(ReconstructionLoss):
    """Compare the intensity variations around each pixel, blind to any constant shift.

    With v_jk the eight differences "neighbour minus centre" at pixel j of each channel,
    m_j = max_k v_jk and Z = mean_j m_j, 1 for the reconstruction and 2 for the target:

    - `a`: C*H*W (Z1 - Z2)^2, a squared difference of means. Positions are lost.
    - `b`: sum_j (m_j1 - m_j2)^2. The report's best and the default.
    - `c`: C*H*W (V1 - V2)^2 with V = mean_jk v_jk^2. Positions are lost.
    - `d`: `b` from epoch `start` of the full budget on, 0 before; the time is the one last told to
      `start_epoch`, 0 after construction. A budget of `start` epochs or less is refused, for the
      loss would never begin.

    Not a likelihood; from 0, for identical images, to 4 C*H*W (`c`: 1 C*H*W). Adding a constant to
    an image changes none of its differences, so alone it cannot teach brightness: the report adds
    it with weight 1 to a VAE's own loss, as in `l2 + sharpness` or `vae-gan + sharpness`.

    Options:
      variant: `a`, `b`, `c` or `d`.
      absolute: take |v_jk|; the report's filters are signed. With a sign bright detail counts for
        more: on a flat ground a bright pixel raises m around it, a dark one only where it is.
      padding: `none`, centres are the pixels with eight neighbours, or `replicate`, every pixel is
        a centre and edges repeat outwards. Zeros would draw an edge of their own.
      start: for `d` only.

    Settled where the report is open: signed; no padding; `b` sums over pixels as its formula does,
    while a caption says average; a tie shares the gradient evenly, since flat grounds tie. `a` and
    `c` average over channels too.

    Source: Reddy and Harsha, report "Introducing Sharpness measure in Variational Autoencoders",
    losses (a) to (d), after the blur measure of Elsayed et al. 2018. Needs `image_shape`; raises
    `InvalidOption` for sides under 3 without padding, for images of another shape, for a `start`
    that is negative, not finite or without effect.
    """

    def __init__(
        self,
        *,
        variant: Literal["a", "b", "c", "d"] = "b",
        absolute: bool = False,
        padding: Literal["none", "replicate"] = "none",
        start: float = DEFAULT_START,
        **context: Unpack[Context],
    ) -> None:
        self.beta_range = BETA_RANGES[variant]
        super().__init__(**context)
        channels, height, width = self.needed_image_shape()
        if padding == "none" and min(height, width) < 3:
            raise InvalidOption(
                f"images of {height}x{width} have no pixel with eight neighbours; "
                "set padding=replicate"
            )
        self.variant, self.absolute, self.padding = variant, absolute, padding
        if variant in ("a", "c"):
            self.native_scale = float(channels * height * width)
        self._check_start(start)
        self.starts_at = start if variant == "d" else 0.0
        self.progress = 0.0

    def _check_start(self, start: float) -> None:
        if not 0 <= start < float("inf"):
            raise InvalidOption(f"start is {start}; give an epoch such as {DEFAULT_START}")
        if self.variant != "d" and start != DEFAULT_START:
            raise InvalidOption(
                f"start is {start} but variant {self.variant!r} is there from the beginning; "
                "set variant=d"
            )

    def start_epoch(self, progress: float) -> None:
        """Learn the time, in epochs of the full budget."""
        self.progress = progress

    def forward(
        self, recon: Tensor, target: Tensor, latent: Tensor, *, logits: Tensor | None = None
    ) -> Tensor:
        """Return the energy of each image, `(B,)`; images must have the shape built for."""
        self.check_shape(recon)
        if self.progress < self.starts_at:
            return 0 * recon.flatten(1).sum(1)  # nothing yet, but a term that has a gradient
        if self.variant == "a":
            mean1, mean2 = (self._maximum(image).flatten(1).mean(1) for image in (recon, target))
            return self.native_scale * (mean1 - mean2).square()
        if self.variant == "c":
            power1, power2 = self._power(recon), self._power(target)
            return self.native_scale * (power1 - power2).square()
        return (self._maximum(recon) - self._maximum(target)).square().flatten(1).sum(1)

    def _maximum(self, images: Tensor) -> Tensor:
        """Return m, the largest of the eight variations around each centre."""
        framed = self._framed(images)
        centre = framed[..., 1:-1, 1:-1]
        # Subtracting the centre is monotone, also rounded: once, after the maximum, will do.
        rise = highest_neighbour(framed) - centre
        if not self.absolute:
            return rise
        return torch.maximum(rise, centre + highest_neighbour(-framed))

    def _power(self, images: Tensor) -> Tensor:
        """Return V, the mean over pixels and neighbours of the squared variation, `(B,)`."""
        framed = self._framed(images)
        variations = 8 * framed[0, :, 1:-1, 1:-1].numel()
        return squared_variations(framed) / variations

    def _framed(self, images: Tensor) -> Tensor:
        return replicate_edges(images) if self.padding == "replicate" else images


def replicate_edges(images: Tensor) -> Tensor:
    """Repeat the outermost pixels once; unlike replication padding deterministic on GPUs."""
    tall = torch.cat([images[..., :1, :], images, images[..., -1:, :]], dim=-2)
    return torch.cat([tall[..., :1], tall, tall[..., -1:]], dim=-1)


def highest_neighbour(images: Tensor) -> Tensor:
    """Return the largest of each inner pixel's eight neighbours, `(..., H - 2, W - 2)`.

    Neighbours that tie share the gradient evenly, as in `torch.amax`.
    """
    highest: Tensor = _HighestNeighbour.apply(images)
    return highest


def squared_variations(images: Tensor) -> Tensor:
    """Return the sum over inner pixels and neighbours of the squared difference, `(B,)`."""
    total: Tensor = _SquaredVariations.apply(images)
    return total


# Both would be a stack of eight slices; autograd makes a slice's gradient an image of zeros with a
# part filled in, and eight of those cost more than ten times what adding in place does.


class _HighestNeighbour(Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor) -> Tensor:
        left, middle, right = images[..., :-2], images[..., 1:-1], images[..., 2:]
        sides = torch.maximum(left, right)
        rows = torch.maximum(sides, middle)
        above_or_below = torch.maximum(rows[..., :-2, :], rows[..., 2:, :])
        highest = torch.maximum(above_or_below, sides[..., 1:-1, :])
        ctx.save_for_backward(images, highest)
        return highest

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        images, highest = ctx.saved_tensors
        ties = [part == highest for part in _neighbours(images)]
        share = grad / torch.stack(ties).sum(0, dtype=torch.uint8)
        result = torch.zeros_like(images)
        for tie, part in zip(ties, _neighbours(result), strict=True):
            part += share * tie
        return result


class _SquaredVariations(Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor) -> Tensor:
        ctx.save_for_backward(images)
        centre = images[..., 1:-1, 1:-1]
        squares = [(part - centre).square().flatten(1).sum(1) for part in _neighbours(images)]
        return torch.stack(squares).sum(0)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (images,) = ctx.saved_tensors
        centre = images[..., 1:-1, 1:-1]
        result = torch.zeros_like(images)
        ours = result[..., 1:-1, 1:-1]
        for part, theirs in zip(_neighbours(images), _neighbours(result), strict=True):
            difference = part - centre
            theirs += difference
            ours -= difference
        return result * (2 * grad).view(-1, *[1] * (images.ndim - 1))


def _neighbours(images: Tensor) -> list[Tensor]:
    """Return views of the eight neighbours, each in the shape of the inner pixels."""
    height, width = images.shape[-2] - 2, images.shape[-1] - 2
    return [images[..., y : y + height, x : x + width] for y, x in NEIGHBOURS]
