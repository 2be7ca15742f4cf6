"""The gradient: that there is one, that it is the value's, and that following it helps."""

from __future__ import annotations

import torch
from torch import Tensor

from losses.base import ReconstructionLoss
from losses.conformance.subject import Batch, Failure, Note, Outcome, Skipped, Subject

# Small, or networks' rectifiers switch in between; rounding is 1e-9 of the energy.
STEP = 1e-7
TOLERANCE = 1e-3
STEPS, RATE = 30, 0.1


def reaches(subject: Subject) -> Outcome:
    """The gradient reaches the reconstruction of every image: without it nothing is learned."""
    found = _size(subject, weight=0.6)
    if found is None:
        return Failure(
            "the energy does not depend on recon for autograd",
            "no detach(), item(), numpy() or torch.no_grad() between recon and the result",
        )
    if not found.gt(0).all():
        return Failure(
            "the gradient of an image that differs from its target is zero",
            "no round(), comparison or argmax between recon and the result",
        )
    unrelated = _size(subject, weight=1.0)
    if unrelated is None or not unrelated.gt(0).all():
        return Note("an image unrelated to its target may get no gradient: training starts there")
    return None


def _size(subject: Subject, weight: float) -> Tensor | None:
    """Return the sum over each image of the gradient's absolute values, or None without any."""
    asked = subject.batch(weight=weight).asking()
    energy = subject.loss()(*asked)
    if energy.requires_grad:
        energy.sum().backward()
    slope = asked.recon.grad
    return None if slope is None else slope.flatten(1).abs().sum(1)


def slope(subject: Subject) -> Outcome:
    """The gradient is that of the value, by central differences in float64 along three directions.

    A loss whose source holds a factor constant, as focal weights are, sets `stopped_gradient`.
    """
    loss = subject.loss().eval()
    if loss.stopped_gradient:
        return Skipped("stopped_gradient: parts of the value are held constant by definition")
    batch = subject.batch(2, dtype=torch.float64, weight=0.8).asking()
    loss(*batch).sum().backward()
    found = batch.recon.grad
    if found is None:
        return Failure("there is no gradient", "see the check 'gradient'")
    size = found.square().mean().sqrt()
    if not size:
        return Skipped("the gradient is zero here")
    for direction in _directions(found / size, found):
        told, seen = float((found * direction).sum()), _difference(loss, batch, direction)
        if abs(told - seen) > TOLERANCE * max(float(found.norm()), abs(told)):
            return Failure(
                f"along one direction the value changes by {seen:.6g}, the gradient {told:.6g}",
                "find the detach(), no_grad() or float32 in between; where the source holds a "
                "factor constant, set stopped_gradient = True",
            )
    return None


def _directions(first: Tensor, like: Tensor) -> list[Tensor]:
    generator = torch.Generator().manual_seed(3)
    rest = torch.randn((2, *like.shape), generator=generator, dtype=like.dtype)
    return [first, *rest]


@torch.no_grad()
def _difference(loss: ReconstructionLoss, batch: Batch, direction: Tensor) -> float:
    recon, target, latent = batch
    ahead, behind = (
        loss(recon + sign * STEP * direction, target, latent).sum() for sign in (1, -1)
    )
    return float(ahead - behind) / (2 * STEP)


def training(subject: Subject) -> Outcome:
    """Thirty steps of Adam on the reconstruction itself lower the energy, as they must."""
    loss = subject.loss()
    start, target, latent = subject.batch(weight=0.7)
    outputs = (0.02 + 0.96 * start).logit().requires_grad_()
    optimizer = torch.optim.Adam([outputs], lr=RATE)
    before = _mean(loss, outputs, target, latent)
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss.train()(outputs.sigmoid(), target, latent, logits=outputs).mean().backward()
        optimizer.step()
    after = _mean(loss, outputs, target, latent)
    if after < before:
        return None
    return Failure(
        f"{STEPS} steps of Adam took the mean energy from {before:.6g} to {after:.6g}",
        "see the check 'slope': the gradient points elsewhere, or energies leap",
    )


@torch.no_grad()
def _mean(loss: ReconstructionLoss, outputs: Tensor, target: Tensor, latent: Tensor) -> float:
    return float(loss.eval()(outputs.sigmoid(), target, latent, logits=outputs).mean())
