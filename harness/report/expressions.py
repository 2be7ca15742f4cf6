"""Expressions over measured values, and their intervals."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import product

Interval = tuple[float, float, float]  # mean, low, high
Measured = Callable[[str, str, str, str], Interval | None]

_UNBOUNDED = (-math.inf, math.inf)


@dataclass(frozen=True)
class Number:
    """A constant."""

    value: float

    def __str__(self) -> str:
        return f"{self.value:g}"


@dataclass(frozen=True)
class Value:
    """A metric of one loss on one dataset with one model; `place` is what its text says of them."""

    metric: str
    loss: str
    dataset: str
    model: str
    place: str = field(default="", compare=False)

    def __str__(self) -> str:
        return f"{self.metric}({self.loss}{f' @ {self.place}' if self.place else ''})"


@dataclass(frozen=True)
class Operation:
    """Two expressions joined by `+`, `-`, `*` or `/`."""

    left: "Expression"
    sign: str
    right: "Expression"

    def __str__(self) -> str:
        return " ".join(
            (_inner(self.left, self.sign), self.sign, _inner(self.right, self.sign, last=True))
        )


Expression = Number | Value | Operation


@dataclass(frozen=True)
class Comparison:
    """What must hold: `sign` is `<`, `<=`, `>` or `>=`; or else `otherwise` must."""

    left: Expression
    sign: str
    right: Expression
    otherwise: "Comparison | None" = None

    @property
    def values(self) -> tuple[Value, ...]:
        """The values of both sides, from left to right."""
        return (*values(self.left), *values(self.right))

    @property
    def alternatives(self) -> tuple["Comparison", ...]:
        """This comparison and those of which one may hold instead."""
        return (self, *(self.otherwise.alternatives if self.otherwise else ()))

    def __str__(self) -> str:
        other = f" or {self.otherwise}" if self.otherwise else ""
        return f"{self.left} {self.sign} {self.right}{other}"


def values(expression: Expression) -> tuple[Value, ...]:
    """Return the measured values in an expression, from left to right."""
    if isinstance(expression, Operation):
        return (*values(expression.left), *values(expression.right))
    return (expression,) if isinstance(expression, Value) else ()


def _inner(expression: Expression, outer: str, *, last: bool = False) -> str:
    """An operand's text, in brackets where the operation around it would bind it otherwise."""
    loose = isinstance(expression, Operation) and (
        (outer in "*/" and expression.sign in "+-") or (last and outer in "-/")
    )
    return f"({expression})" if loose else str(expression)


def interval(expression: Expression, value: Measured) -> Interval | None:
    """Return the interval of an expression, None where one of its values was not measured.

    `value` gives `(mean, low, high)` of a dataset, model, loss and metric, or None. An operation
    has the interval of all pairs of numbers from its two sides (interval arithmetic, which takes
    their errors as unrelated).
    """
    if isinstance(expression, Number):
        return expression.value, expression.value, expression.value
    if isinstance(expression, Value):
        found = value(expression.dataset, expression.model, expression.loss, expression.metric)
        return None if found is None else known(found)
    left, right = interval(expression.left, value), interval(expression.right, value)
    return None if left is None or right is None else combined(left, expression.sign, right)


def known(found: Interval) -> Interval | None:
    """Return an interval whose unknown ends, NaN, are as far as can be; None if its mean is NaN."""
    mean, low, high = found
    if not math.isfinite(mean):
        return None
    return mean, -math.inf if math.isnan(low) else low, math.inf if math.isnan(high) else high


def combined(a: Interval, sign: str, b: Interval) -> Interval:
    """Return the interval of `a sign b`; it has no bound where `b` may be a divisor of 0."""
    mean = _applied(a[0], sign, b[0])
    if sign == "/" and b[1] <= 0 <= b[2]:
        return mean, *_UNBOUNDED
    corners = [_applied(x, sign, y) for x, y in product(a[1:], b[1:])]
    # 0 × ∞ and ∞ / ∞: the ends are unknown
    low, high = _UNBOUNDED if any(map(math.isnan, corners)) else (min(corners), max(corners))
    return mean, low, high


def _applied(a: float, sign: str, b: float) -> float:
    match sign:
        case "+":
            return a + b
        case "-":
            return a - b
        case "*":
            return a * b
        case _:
            return a / b if b else math.nan
