"""The options of a loss, read from its constructor, and what may be given for them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from types import UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

CONTEXT = ("image_shape", "latent_size", "generator", "weights")


class UnknownOption(ValueError):
    """An option was given that does not exist."""


class InvalidOption(ValueError):
    """An option's value, or the image size together with it, cannot work."""


def check_floor(floor: float | None) -> None:
    """Raise `InvalidOption` for the logarithm of a scale that no image has."""
    if floor is not None and not -50 <= floor <= 10:
        raise InvalidOption(f"floor is {floor}; give a log scale from -50 to 10, or none")


def check_positive(name: str, value: float, example: float) -> None:
    """Raise `InvalidOption` for a number whose square or inverse float32 cannot hold."""
    if not 1e-15 <= value <= 1e15:
        raise InvalidOption(f"{name} is {value!r}; give a positive number such as {example:g}")


def defaults(constructor: Callable[..., Any]) -> dict[str, Any]:
    """Return the keyword-only parameters of a class with their defaults, without its context."""
    parameters = inspect.signature(constructor).parameters.values()
    own = (p for p in parameters if p.kind is p.KEYWORD_ONLY and p.name not in CONTEXT)
    return {p.name: p.default for p in own}


def check(subject: str, constructor: type, given: Mapping[str, Any]) -> None:
    """Raise `UnknownOption` or `InvalidOption` for names or types the class does not take.

    `subject` opens the message, as in `loss 'ssim'`. An integer counts as a float.
    """
    known = defaults(constructor)
    hints = get_type_hints(constructor.__init__)  # type: ignore[misc]
    for name, value in given.items():
        if name not in known:
            offered = ", ".join(known) or "none"
            raise UnknownOption(f"{subject} has no option {name!r} (its options: {offered})")
        if not _fits(value, hints[name]):
            raise InvalidOption(
                f"{subject}: {name} is {value!r}; give {_words(hints[name])}, "
                f"such as the default {known[name]!r}"
            )


def _fits(value: Any, hint: Any) -> bool:
    if isinstance(hint, UnionType):
        return any(_fits(value, kind) for kind in get_args(hint))
    if get_origin(hint) is Literal:
        return value in get_args(hint)
    kind = get_origin(hint) or hint
    return type(value) is kind or (kind is float and type(value) is int)


def _words(hint: Any) -> str:
    if isinstance(hint, UnionType):
        return " or ".join(_words(kind) for kind in get_args(hint))
    if get_origin(hint) is Literal:
        return " or ".join(repr(choice) for choice in get_args(hint))
    return "None" if hint is type(None) else getattr(hint, "__name__", str(hint))
