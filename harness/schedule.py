"""Optimisers and learning-rate schedules of the protocol."""

import inspect
import math
from collections.abc import Callable
from typing import Any

import torch

from harness.errors import HarnessError, suggestion
from harness.specs import Value, parse

# The learning rate's factor at `progress` epochs of a full budget of `epochs`.
Schedule = Callable[[float, int], float]


def constant() -> Schedule:
    """The same learning rate throughout."""
    return lambda progress, epochs: 1.0


def step(*, every: float = 20, factor: float = 0.5) -> Schedule:
    """Multiply by `factor` every `every` epochs."""
    _positive("step", every=every, factor=factor)
    return lambda progress, epochs: factor ** math.floor(progress / every)


def triangular(*, low: float = 0.1, cycle: float = 10) -> Schedule:
    """Rise linearly from `low` to 1 and fall back, once per `cycle` epochs (Smith 2017)."""
    _positive("triangular", low=low, cycle=cycle)

    def factor(progress: float, epochs: int) -> float:
        distance = abs(2 * ((progress / cycle) % 1) - 1)
        return low + (1 - low) * (1 - distance)

    return factor


def cosine_tail(*, tail: float = 0.2) -> Schedule:
    """Stay at 1, then fall to 0 along a half cosine over the last `tail` of the budget."""
    _positive("cosine-tail", tail=tail)
    if tail > 1:
        raise HarnessError(f"schedule 'cosine-tail': tail = {tail:g} must be at most 1")

    def factor(progress: float, epochs: int) -> float:
        into = (progress / epochs - (1 - tail)) / tail
        return 0.5 * (1 + math.cos(math.pi * min(max(into, 0.0), 1.0)))

    return factor


_SCHEDULES: dict[str, Callable[..., Schedule]] = {
    "constant": constant,
    "step": step,
    "triangular": triangular,
    "cosine-tail": cosine_tail,
}

_OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "rmsprop": torch.optim.RMSprop,
    "sgd": torch.optim.SGD,
}
_OPTIMIZER_OPTIONS = {
    "adam": ("beta1", "beta2", "eps", "weight_decay"),
    "adamw": ("beta1", "beta2", "eps", "weight_decay"),
    "rmsprop": ("alpha", "eps", "momentum", "weight_decay"),
    "sgd": ("momentum", "weight_decay", "nesterov"),
}


def make_schedule(text: str, epochs: int) -> Schedule:
    """Build a schedule from its spec, as in `step[every=20]`.

    Raises:
        HarnessError: unknown name or option, or a schedule that never starts in `epochs` epochs.
    """
    spec = parse(text, _SCHEDULES)
    if spec.name not in _SCHEDULES:
        raise HarnessError(_unknown("schedule", spec.name, _SCHEDULES))
    try:
        schedule = _SCHEDULES[spec.name](**dict(spec.options))
    except TypeError:
        valid = ", ".join(inspect.signature(_SCHEDULES[spec.name]).parameters) or "none"
        raise HarnessError(
            f"schedule {text!r} has an unknown option; its options: {valid}"
        ) from None
    every = dict(spec.options).get("every", 20)
    if spec.name == "step" and isinstance(every, (int, float)) and every >= epochs:
        raise HarnessError(
            f"schedule {text!r} never starts: its first step comes after {every:g} epochs, "
            f"the budget has {epochs}: lower every or raise epochs"
        )
    return schedule


def check_optimizer(text: str) -> None:
    """Refuse an unknown optimiser or option.

    Raises:
        HarnessError: naming the valid ones.
    """
    spec = parse(text, _OPTIMIZERS)
    if spec.name not in _OPTIMIZERS:
        raise HarnessError(_unknown("optimizer", spec.name, _OPTIMIZERS))
    valid = _OPTIMIZER_OPTIONS[spec.name]
    for key, value in spec.options:
        if key not in valid:
            raise HarnessError(
                f"unknown option {key!r} of optimizer {spec.name!r}{suggestion(key, valid)}; "
                f"its options: {', '.join(valid)}"
            )
        if isinstance(value, str) or value is None or not 0 <= value < math.inf:
            raise HarnessError(f"optimizer {text!r}: {key} = {value!r} must be at least 0")
        if key in ("beta1", "beta2", "alpha") and value >= 1:
            raise HarnessError(f"optimizer {text!r}: {key} = {value!r} must be less than 1")
    if dict(spec.options).get("nesterov") and not dict(spec.options).get("momentum"):
        raise HarnessError(f"optimizer {text!r}: nesterov needs momentum, as in momentum=0.9")


def make_optimizer(text: str, groups: list[dict[str, Any]], lr: float) -> torch.optim.Optimizer:
    """Build the optimiser; each group keeps its own `lr` as `base_lr` for the schedule."""
    check_optimizer(text)
    spec = parse(text, _OPTIMIZERS)
    options: dict[str, Any] = dict(spec.options)
    if spec.name.startswith("adam"):
        options["betas"] = (options.pop("beta1", 0.9), options.pop("beta2", 0.999))
    for group in groups:
        group.setdefault("lr", lr)
        group["base_lr"] = group["lr"]
    if spec.name != "rmsprop":  # has no fused form, which is several times faster
        options["fused"] = True
    return _OPTIMIZERS[spec.name](groups, lr=lr, **options)


def _unknown(kind: str, name: str, table: dict[str, Any]) -> str:
    return f"unknown {kind} {name!r}{suggestion(name, table)}; valid: {', '.join(table)}"


def _positive(name: str, **options: Value) -> None:
    for key, value in options.items():
        if isinstance(value, (str, bool)) or value is None or not value > 0:
            raise HarnessError(f"schedule {name!r}: {key} = {value!r} must be a positive number")
