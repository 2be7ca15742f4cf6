"""What every reconstruction loss must do: named checks that run on any loss, also yours.

    from losses.conformance import run

    for result in run(MyLoss, image_shape=(3, 32, 32)):
        print(result.kind, result.name, result.message, result.fix)

`make(image_shape=…, latent_size=…, generator=…, **options)` returns a fresh loss: a class does, and
so does `functools.partial(losses.build, "ssim")`. The checks are independent of each other, of
pytest and of the harness; each one's docstring says why it is there. A failure means that the
harness would break on the loss or compare it wrongly; a note is worth a look, no more.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from losses.conformance import declared, gradients, hooks, moves, randomness, scale, state, values
from losses.conformance.places import described, place
from losses.conformance.subject import (
    Failure,
    ImagesOutOfRange,
    Make,
    Note,
    Outcome,
    Skipped,
    Subject,
)

__all__ = [
    "CHECKS",
    "Check",
    "Failure",
    "ImagesOutOfRange",
    "Make",
    "Note",
    "Result",
    "Skipped",
    "Subject",
    "examine",
    "run",
]

_MEND = "mend that line; what cannot work is refused in __init__ with InvalidOption"
_ELSEWHERE = (
    "no line of the loss raised it, but the use of what it returned: see the other failures"
)
Kind = Literal["passed", "failed", "note", "skipped"]
_KINDS: dict[type, Kind] = {Failure: "failed", Note: "note", Skipped: "skipped"}


@dataclass(frozen=True)
class Check:
    """A named check; where an `essential` one fails, the others would only repeat it."""

    name: str
    function: Callable[[Subject], Outcome]
    essential: bool = False

    @property
    def why(self) -> str:
        """What the check asks and why, on one line."""
        return " ".join((inspect.getdoc(self.function) or "").split())


@dataclass(frozen=True)
class Result:
    """What a check came to; `message` is empty where it passed, `fix` where nothing is wrong."""

    name: str
    kind: Kind
    message: str
    fix: str
    why: str


CHECKS: tuple[Check, ...] = (
    Check("builds", declared.builds, essential=True),
    Check("attributes", declared.attributes),
    Check("options", declared.options),
    Check("shape", values.shape, essential=True),
    # These two explain failures of those that follow.
    Check("batch", values.batch),
    Check("gradient", gradients.reaches),
    Check("dtype", values.dtype),
    Check("logits", values.logits),
    Check("inputs", values.inputs),
    Check("finite", values.finite),
    Check("randomness", randomness.randomness),
    Check("evaluation", randomness.evaluation),
    Check("slope", gradients.slope),
    Check("training", gradients.training),
    Check("state", state.state),
    Check("copies", state.copies),
    Check("devices", moves.devices),
    Check("double", moves.double),
    Check("gpu", moves.gpu),
    Check("main parameters", hooks.main_parameters),
    Check("companion", hooks.companion),
    Check("decoder loss", hooks.decoder_loss),
    Check("schedule", hooks.schedule),
    Check("snapshot", hooks.snapshot),
    Check("scale", scale.scale),
    Check("noise", values.noise),
    Check("identity", values.identity),
)


def run(
    make: Make,
    *,
    image_shape: tuple[int, int, int] = (3, 16, 16),
    latent_size: int = 4,
    images: Tensor | None = None,
    checks: Iterable[Check] = CHECKS,
) -> list[Result]:
    """Return the result of each check on the losses that `make` returns.

    Args:
        make: returns a fresh loss from `image_shape`, `latent_size`, `generator` and options.
        image_shape: `(C, H, W)`, as small as the loss allows.
        latent_size: Z of the latents `(B, Z)`.
        images: `(N, C, H, W)` in [0, 1] for targets, whose shape counts; uniform noise without.
        checks: those to run, in this order.

    Raises:
        ImagesOutOfRange: `images` have another form, no float values, or leave [0, 1].
    """
    subject = Subject(make, image_shape, latent_size, images)
    results: list[Result] = []
    broken = ""
    for check in checks:
        if broken:
            message = f"mend {broken!r} first"
            results.append(Result(check.name, "skipped", message, "", check.why))
            continue
        results.append(examine(check, subject))
        if check.essential and results[-1].kind == "failed":
            broken = check.name
    return results


def examine(check: Check, subject: Subject) -> Result:
    """Run one check; an error that the loss raises is a failure."""
    try:
        outcome = check.function(subject)
    except Exception as error:
        outcome = Failure(described(error), _MEND if place(error) else _ELSEWHERE)
    if outcome is None:
        return Result(check.name, "passed", "", "", check.why)
    fix = outcome.fix if isinstance(outcome, Failure) else ""
    return Result(check.name, _KINDS[type(outcome)], outcome.message, fix, check.why)
