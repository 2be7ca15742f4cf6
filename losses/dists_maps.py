"""What DISTS does with feature maps: its two similarities and its pooling, each with its gradient.

Maps of the first layer hold a hundred times the pixels of their images. Written with plain torch
operations, a forward and backward pass visits memory for every one of some twenty intermediate
maps; here the maps themselves are the only ones that are read, and the gradient the only one that
is written. The work is done in pieces, which on a CPU stay in its cache.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from losses.pieces import at_once

C = 1e-6  # the paper's c1 and c2
POOL_EPS = 1e-12  # under the root of the L2 pooling


def dissimilarities(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return `1 - T` and `1 - S` of maps `(B, c, h, w)`, each `(B, c)`."""
    texture, structure = _Dissimilarities.apply(x.flatten(0, 1), y.flatten(0, 1))
    return texture.view(x.shape[:2]), structure.view(x.shape[:2])


def l2_pool(maps: Tensor) -> Tensor:
    """Return the root of the squares' average under a 3x3 Hann window, at every other pixel.

    The window (1, 2, 1)/4 along each axis, zeros outside, is that of two pairwise averages.
    """
    pooled: Tensor = _L2Pool.apply(maps.flatten(0, 1))
    return pooled.view(*maps.shape[:2], *pooled.shape[1:])


class _Dissimilarities(Function):
    """Of maps `(n, h, w)`, each `(n,)`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        moments = x.new_empty(5, len(x))  # two means, two variances, that of the difference
        for piece in _pieces(x):
            _moments(x[piece], y[piece], moments[:, piece])
        ctx.save_for_backward(x, y, moments)
        mu_x, mu_y, var_x, var_y, var_difference = moments
        texture = (mu_x - mu_y).square() / (mu_x**2 + mu_y**2 + C)
        return texture, var_difference / (var_x + var_y + C)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by_texture: Tensor, by_structure: Tensor) -> tuple[Tensor | None, ...]:
        x, y, moments = ctx.saved_tensors
        mu_x, mu_y, *variances = moments
        sides = ((x, y, mu_x, mu_y), (y, x, mu_y, mu_x))
        return tuple(
            _gradient(*side, variances, by_texture, by_structure) if needed else None
            for side, needed in zip(sides, ctx.needs_input_grad, strict=True)
        )


def _moments(x: Tensor, y: Tensor, out: Tensor) -> None:
    """Variances of centred maps: exact where a map is flat, which sums of squares are not."""
    torch.mean(x, (1, 2), out=out[0])
    torch.mean(y, (1, 2), out=out[1])
    x, y = (maps - mean[:, None, None] for maps, mean in ((x, out[0]), (y, out[1])))
    for row, maps in ((4, x - y), (2, x), (3, y)):  # the difference before its sides are squared
        torch.mean(maps.square_(), (1, 2), out=out[row])


def _gradient(
    x: Tensor,
    y: Tensor,
    mu_x: Tensor,
    mu_y: Tensor,
    variances: list[Tensor],
    by_texture: Tensor,
    by_structure: Tensor,
) -> Tensor:
    """Return the gradient by x: of each map p (x - y) + q x + r, exactly 0 where x is y."""
    var_x, var_y, var_difference = variances
    means, spreads = mu_x**2 + mu_y**2 + C, var_x + var_y + C
    apart = mu_x - mu_y
    pixels = x[0].numel()
    p = 2 / pixels * by_structure / spreads
    q = -p * var_difference / spreads
    r = 2 / pixels * by_texture * apart / means * (1 - apart * mu_x / means)
    r = r - p * apart - q * mu_x
    out = torch.empty_like(x)
    for piece in _pieces(x):
        at = (piece, None, None)
        values = torch.sub(x[piece], y[piece], out=out[piece])
        values.mul_(p[at]).addcmul_(x[piece], q[at]).add_(r[at])
    return out


class _L2Pool(Function):
    """Of maps `(n, h, w)`."""

    @staticmethod
    def forward(ctx: Any, maps: Tensor) -> Tensor:
        height, width = (-(-side // 2) for side in maps.shape[1:])
        pooled = maps.new_empty(len(maps), height, width)
        for piece in _pieces(maps):
            pooled[piece] = _gathered(_gathered(maps[piece].square(), 1), 2)
        pooled.add_(POOL_EPS).sqrt_()
        ctx.save_for_backward(maps, pooled)
        return pooled

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by_pooled: Tensor) -> Tensor:
        maps, pooled = ctx.saved_tensors
        out = torch.empty_like(maps)
        for piece in _pieces(maps):
            spread = _spread(by_pooled[piece] / pooled[piece], maps.shape[2], 2)
            torch.mul(_spread(spread, maps.shape[1], 1), maps[piece], out=out[piece])
        return out


def _gathered(values: Tensor, axis: int) -> Tensor:
    """Return (1, 2, 1)/4 of the values around every other position of an axis."""
    even, odd = (values.movedim(axis, 0)[start::2] for start in (0, 1))
    out = 0.5 * even
    out[: len(odd)].add_(odd, alpha=0.25)
    out[1:].add_(odd[: len(out) - 1], alpha=0.25)
    return out.movedim(0, axis)


def _spread(values: Tensor, side: int, axis: int) -> Tensor:
    """Undo the stride along an axis: half of each value to its place, a quarter to each side."""
    shape = list(values.shape)
    shape[axis] = side
    out = values.new_empty(shape)
    even, odd = (out.movedim(axis, 0)[start::2] for start in (0, 1))
    values = values.movedim(axis, 0)
    torch.mul(values, 0.5, out=even)
    torch.mul(values[: len(odd)], 0.25, out=odd)
    odd[: len(values) - 1].add_(values[1:], alpha=0.25)
    return out


def _pieces(maps: Tensor) -> Iterator[slice]:
    """Cut the maps `(n, h, w)` into slices of the first axis."""
    count = at_once(maps, maps[0].numel())
    for start in range(0, len(maps), count):
        yield slice(start, start + count)
