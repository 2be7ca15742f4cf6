"""What a loss says of itself: that it builds, its attributes, its options."""

from __future__ import annotations

import inspect
import math
import re
from typing import Any, get_args, get_origin, get_type_hints

from losses.base import ReconstructionLoss
from losses.conformance.places import described
from losses.conformance.subject import Failure, Note, Outcome, Skipped, Subject
from losses.options import CONTEXT, defaults
from losses.sum import WeightedSum

_PASS_ON = "take **context: Unpack[Context] and pass it on: super().__init__(**context)"


def builds(subject: Subject) -> Outcome:
    """It can be made from the shape of the images, the latent size and a generator, or without one.

    The harness makes every loss once before a run, without a generator, to learn its attributes.
    """
    for seed in (0, None):
        try:
            loss = subject.fresh(seed)
        except TypeError as error:
            if not _lacks_context(error):
                raise
            return Failure("its __init__ does not take what every loss is given", _PASS_ON)
        if not isinstance(loss, ReconstructionLoss):
            return Failure(
                f"a {type(loss).__name__} was made, which is no ReconstructionLoss",
                "subclass losses.base.ReconstructionLoss",
            )
    if loss.image_shape is None and not isinstance(loss, WeightedSum):
        return Failure(
            "the context does not reach the base class",
            _PASS_ON,
        )
    return None


def _lacks_context(error: TypeError) -> bool:
    """Tell whether a constructor refused an argument that the harness gives to every loss."""
    refused = re.search(r"unexpected keyword argument '(\w+)'", str(error))
    return refused is not None and refused[1] in CONTEXT


def attributes(subject: Subject) -> Outcome:
    """Its attributes make sense: they decide the search for beta, the units and the marks.

    A trainer scales learning rates, waits for `starts_at`, and tables mark `batch_coupled`.
    """
    loss = subject.fresh()
    wrong = [text for text in (*_bounds(loss), *_scales(loss, subject.values)) if text]
    if wrong:
        return Failure("; ".join(wrong), "set the class attribute, or self's where options decide")
    return None


def _bounds(loss: ReconstructionLoss) -> list[str]:
    low, high = loss.beta_range
    flags = {name: getattr(loss, name) for name in ("density", "batch_coupled", "stopped_gradient")}
    return [
        "" if 0 < low < high < math.inf else f"beta_range is {loss.beta_range}, not 0 < low < high",
        *(f"{k} is {v!r}, not True or False" for k, v in flags.items() if not isinstance(v, bool)),
        "" if isinstance(loss.requires, tuple) else f"requires is {loss.requires!r}, not a tuple",
    ]


def _scales(loss: ReconstructionLoss, values: int) -> list[str]:
    scale, start = loss.native_scale, loss.starts_at
    mixed = isinstance(loss, WeightedSum) and math.isnan(scale)
    rates = {name: getattr(loss, name) for name in ("main_lr", "companion_lr")}
    return [
        ""
        if scale in (1, values) or mixed
        else f"native_scale is {scale}, not 1 or C*H*W = {values}",
        "" if 0 <= start < math.inf else f"starts_at is {start}, not an epoch from 0 on",
        *(f"{k} is {v}, not positive" for k, v in rates.items() if not 0 < v < math.inf),
    ]


def options(subject: Subject) -> Outcome:
    """Its options are keyword-only with a type and a default, and bad values are refused clearly.

    Names, types and defaults are read from the constructor for specs such as `huber[delta=0.1]`.
    A value out of range raises a ValueError, best `InvalidOption`, before anything runs.
    """
    kind = type(subject.fresh())
    if kind is WeightedSum:
        return Skipped("a sum: its terms have options of their own")
    if undeclared := _undeclared(kind):
        return Failure(
            f"the option {undeclared} cannot be given in a spec",
            f"write it after the *, with a type and a default: *, {undeclared}: float = 0.1",
        )
    hints = get_type_hints(kind.__init__)
    doubts = []
    for name in defaults(kind):
        for value in _doubtful(hints[name]):
            outcome = _tried(subject, name, value)
            if isinstance(outcome, Failure):
                return outcome
            doubts += [outcome.message] if isinstance(outcome, Note) else []
    return Note("; ".join(doubts) + "; better refused with InvalidOption") if doubts else None


def _undeclared(kind: type) -> str:
    """Return the first parameter that is no typed keyword with a default, or an empty string."""
    for parameter in inspect.signature(kind).parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD or parameter.name in CONTEXT:
            continue
        missing = parameter.empty in (parameter.default, parameter.annotation)
        if missing or parameter.kind is not parameter.KEYWORD_ONLY:
            return parameter.name
    return ""


def _doubtful(hint: Any) -> tuple[Any, ...]:
    """Return values of the type that few options can take."""
    kinds = get_args(hint) if get_origin(hint) is not None or get_args(hint) else (hint,)
    if float in kinds:
        return (0.0, -1.0)
    if int in kinds:
        return (0, -1)
    return ("no such value",) if str in kinds else ()


def _tried(subject: Subject, name: str, value: Any) -> Outcome:
    try:
        loss = subject.fresh(**{name: value})
    except ValueError:
        return None
    except Exception as error:
        return Failure(
            f"{name}={value!r} ends in {described(error)}",
            f'check it in __init__: raise InvalidOption(f"{name} is {{{name}!r}}; give …")',
        )
    try:
        energy = loss.eval()(*subject.batch()).detach()
    except Exception as error:
        return Note(f"{name}={value!r} is taken and then ends in {described(error)}")
    return None if energy.isfinite().all() else Note(f"{name}={value!r} gives no finite energy")
