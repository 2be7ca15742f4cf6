"""What a loss remembers: in its state dict, and in copies of it."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from losses.base import ReconstructionLoss
from losses.conformance.subject import Failure, Outcome, Subject


@torch.no_grad()
def state(subject: Subject) -> Outcome:
    """All that building or training decides is in the state dict, which a checkpoint keeps.

    An interrupted run goes on from there with the same numbers; what is not in it is lost.
    """
    used, other = _used(subject), subject.loss(seed=7)
    other.load_state_dict(used.state_dict(), strict=True)
    batch = subject.batch(seed=4)
    expected, found = (loss.eval()(*batch) for loss in (used, other))
    if torch.equal(expected, found):
        return None
    return Failure(
        f"a loss that loaded the state of a trained one gives the energy {float(found[0]):.6g} "
        f"in place of {float(expected[0]):.6g}",
        "keep what is drawn or learned in an nn.Parameter or by self.register_buffer(name, tensor)",
    )


def _used(subject: Subject) -> ReconstructionLoss:
    """Return a loss that has seen images and whose parameters have moved."""
    loss = subject.loss()
    generator = torch.Generator().manual_seed(6)
    for seed in (2, 3):
        loss(*subject.batch(seed=seed))
    for parameter in _trained(loss):
        draw = torch.randn(parameter.shape, generator=generator)
        parameter.add_(0.01 * draw.to(parameter))
    return loss


def _trained(loss: ReconstructionLoss) -> list[Tensor]:
    groups = [*loss.main_groups(), *loss.companion_groups()]
    return [parameter for group in groups for parameter in group["params"]]


@torch.no_grad()
def copies(subject: Subject) -> Outcome:
    """A deep copy gives the same energies and has parameters of its own."""
    loss = _used(subject)
    other = copy.deepcopy(loss)
    batch = subject.batch(seed=4)
    if not torch.equal(loss.eval()(*batch), other.eval()(*batch)):
        return Failure("a deep copy gives other energies", "keep no state outside the instance")
    shared = {id(p) for p in loss.parameters()} & {id(p) for p in other.parameters()}
    if shared:
        return Failure("a deep copy shares parameters", "define no __deepcopy__ that keeps them")
    return None
