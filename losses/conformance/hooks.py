"""The optional hooks: learned parameters, companions, decoder losses, schedules, snapshots."""

from __future__ import annotations

import torch
from torch import Tensor

from losses.base import ReconstructionLoss
from losses.conformance.subject import Failure, Note, Outcome, Skipped, Subject

# Epochs, in the full budget's count, that a schedule may be asked for.
TIMES = (0, 0.0, 0.37, 5.0, 1000.0)
_ABSENT = "the loss has none"


def main_parameters(subject: Subject) -> Outcome:
    """What `main_parameters()` returns are parameters of the loss, and the energy trains them."""
    loss = subject.loss()
    chosen = [parameter for group in loss.main_groups() for parameter in group["params"]]
    own = {id(parameter) for parameter in loss.parameters()}
    if any(id(parameter) not in own for parameter in chosen):
        return Failure(
            "main_parameters() returns a tensor that is no parameter of the loss",
            "make it in __init__: self.log_scale = nn.Parameter(torch.zeros(()))",
        )
    if chosen:
        loss(*subject.batch().asking()).sum().backward()
        if any(p.grad is None or not p.grad.isfinite().all() for p in chosen):
            return Failure(
                "a main parameter gets no finite gradient from the energy",
                "use it in forward without detach()",
            )
    return _untrained(subject, {id(p) for p in chosen})


def _untrained(subject: Subject, chosen: set[int]) -> Outcome:
    loss = subject.fresh()
    groups = [*loss.main_groups(), *loss.companion_groups()]
    trained = {id(p) for group in groups for p in group["params"]}
    idle = [name for name, p in loss.named_parameters() if p.requires_grad and id(p) not in trained]
    if idle:
        return Note(f"nobody trains {', '.join(idle[:3])}: main_parameters() does not return it")
    return None if chosen else Skipped(_ABSENT)


def companion(subject: Subject) -> Outcome:
    """A companion lets gradients through while it is frozen, and `companion_loss` trains it.

    The trainer takes a main step with the companion frozen, then one of the companion on detached
    inputs, with `generated` None unless there is a decoder loss.
    """
    loss = subject.loss()
    if (loss.companion is None) != (loss.companion_loss is None):
        has, lacks = ("companion", "companion_loss")[:: 1 if loss.companion_loss is None else -1]
        return Failure(f"it has a {has} but no {lacks}", "define both or none")
    if loss.companion is None or loss.companion_loss is None:
        return Skipped(_ABSENT)
    asked = subject.batch().asking()
    energy = loss(*asked)
    if energy.requires_grad:
        energy.sum().backward()
    if asked.recon.grad is None:
        return Failure("no gradient passes the frozen companion", "no torch.no_grad() around it")
    parameters = [p for group in loss.companion_groups() for p in group["params"]]
    for parameter in parameters:
        parameter.requires_grad_(True)
    generated = None if loss.decoder_loss is None else subject.batch(seed=9).recon
    value = loss.companion_loss(*subject.batch(), generated)  # type: ignore[arg-type]
    return _scalar(value) or _trains(value, parameters)


def _scalar(value: Tensor) -> Outcome:
    if value.shape == () and value.isfinite():
        return None
    return Failure(
        f"companion_loss returns the shape {tuple(value.shape)} or a value that is not finite",
        "return one finite number: its mean over the batch",
    )


def _trains(value: Tensor, parameters: list[Tensor]) -> Outcome:
    if value.requires_grad:
        value.backward()
    slopes = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if not any(slope.abs().sum() > 0 for slope in slopes):
        return Failure("companion_loss does not train the companion", "use it without detach()")
    if not all(slope.isfinite().all() for slope in slopes):
        return Failure("the companion's gradient is not finite", "see the check 'finite'")
    return None


def decoder_loss(subject: Subject) -> Outcome:
    """`decoder_loss` is a scalar or one value per image, finite, with a gradient to train by."""
    loss = subject.loss()
    if loss.decoder_loss is None:
        return Skipped(_ABSENT)
    recon, target, latent = subject.batch().asking()
    generated = subject.batch(seed=9).recon.requires_grad_()
    value = loss.decoder_loss(recon, target, latent, generated)
    if value.shape not in ((), (len(recon),)) or not value.isfinite().all():
        return Failure(
            f"decoder_loss returns the shape {tuple(value.shape)} or values that are not finite",
            "return (B,) or one number",
        )
    if value.requires_grad:
        value.sum().backward()
    if recon.grad is None and generated.grad is None:
        return Failure("decoder_loss has no gradient for recon or generated", "use them undetached")
    return None


def schedule(subject: Subject) -> Outcome:
    """`start_epoch` takes any time of the full budget, fractions too, and energies stay finite."""
    loss = subject.loss()
    for time in (*TIMES, loss.starts_at):
        loss.start_epoch(time)
        if not loss(*subject.batch()).isfinite().all():
            return Failure(
                f"after start_epoch({time}) the energy is not finite",
                "let weights of a schedule end at a finite value",
            )
    if loss.starts_at > 0 and _same_before(subject):
        return Note(f"starts_at is {loss.starts_at:g} but start_epoch changes nothing there")
    return None


def _same_before(subject: Subject) -> bool:
    early, late = subject.loss().eval(), subject.loss().eval()
    early.start_epoch(0.0)
    return torch.equal(early(*subject.batch()), late(*subject.batch()))


def snapshot(subject: Subject) -> Outcome:
    """`snapshot` returns named tensors, one entry per image, and changes and draws nothing."""
    loss = subject.loss().eval()
    before = _everything(loss)
    with torch.no_grad():
        found = loss.snapshot(subject.batch().latent)
    if not isinstance(found, dict):
        return Failure(f"snapshot returns a {type(found).__name__}", "return {name: tensor}")
    for name, value in found.items():
        if not isinstance(value, Tensor) or value.shape[:1] != (3,):
            return Failure(f"snapshot's {name!r} has no entry per image", "return tensors (B, …)")
    if not all(torch.equal(a, b) for a, b in zip(before, _everything(loss), strict=True)):
        return Failure("snapshot changes the loss or draws", "compute it from the state alone")
    return None if found else Skipped(_ABSENT)


def _everything(loss: ReconstructionLoss) -> list[Tensor]:
    kept = [value.clone() for value in loss.state_dict().values()]
    return [*kept, loss.generator.get_state()] if loss.generator is not None else kept
