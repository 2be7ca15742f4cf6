"""Energies with large intermediate results, computed a few images at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

Energy = Callable[[Tensor, Tensor], Tensor]
"""`(recon, target) -> (B,)`, an image's value depending on that image alone."""

# As many intermediate values as a processor's cache holds a few of; a GPU wants fewer, larger
# kernels.
VALUES_ON_CPU = 2**20
VALUES_ELSEWHERE = 2**24


def at_once(tensor: Tensor, values: int) -> int:
    """Return how many things of so many `values` are computed at a time where `tensor` is."""
    limit = VALUES_ON_CPU if tensor.device.type == "cpu" else VALUES_ELSEWHERE
    return max(1, limit // values)


def in_pieces(energy: Energy, recon: Tensor, target: Tensor, values: int) -> Tensor:
    """Return `energy(recon, target)`, `(B,)`, in the memory of a few images.

    `values` is the size of an intermediate result of one image. The gradient with respect to
    `recon` is taken along with the value, so that nothing but itself, the size of `recon`, is
    kept for the backward pass; it cannot be differentiated again. On a CPU large batches are
    several times faster than at once, for the intermediate results stay in its cache.
    """
    images = at_once(recon, values)
    if torch.is_grad_enabled() and recon.requires_grad and not target.requires_grad:
        return _WithGradient.apply(recon, target, energy, images)
    pieces = zip(recon.split(images), target.split(images), strict=True)
    return torch.cat([energy(*piece) for piece in pieces])


class _WithGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, recon: Tensor, target: Tensor, energy: Energy, images: int) -> Tensor:
        found = [
            _value_and_gradient(energy, *piece)
            for piece in zip(recon.split(images), target.split(images), strict=True)
        ]
        ctx.save_for_backward(torch.cat([gradient for _, gradient in found]))
        return torch.cat([value for value, _ in found])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, weights: Tensor) -> tuple[Tensor, None, None, None]:
        (gradient,) = ctx.saved_tensors
        return weights.view(-1, *[1] * (gradient.dim() - 1)) * gradient, None, None, None


def _value_and_gradient(energy: Energy, recon: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    with torch.enable_grad():
        recon = recon.detach().requires_grad_()
        value = energy(recon, target)
        (gradient,) = torch.autograd.grad(value.sum(), recon)
    return value.detach(), gradient
