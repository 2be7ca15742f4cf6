"""One comparison of a claim: what measured values, and doubts about them, make of it."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from harness.report.expressions import (
    Comparison,
    Expression,
    Interval,
    Measured,
    Number,
    Value,
    combined,
    interval,
    known,
    values,
)

State = Literal["supported", "contradicted", "inconclusive", "not run"]
Difference = Callable[[Value, Value], Interval | None]

# Of two comparisons joined by "or", the first of these that one of them has is the state of both.
_EITHER: tuple[State, ...] = ("supported", "not run", "inconclusive", "contradicted")


class Absence(NamedTuple):
    """Why a value is not there, and whether its cell was run all the same."""

    text: str
    ran: bool


class Doubts:
    """What a source of values says beside the numbers; this one has bare numbers alone."""

    def absence(self, value: Value) -> Absence:
        """Return why a value is not there."""
        return Absence("not run", ran=False)

    def obstacle(self, found: tuple[Value, ...]) -> str:
        """Return why these values must not be judged together, "" where they may."""
        return ""

    def advantage(self, found: tuple[Value, ...]) -> str:
        """Return which of several losses has a home advantage, "" where none has."""
        return ""

    def ran(self, dataset: str, model: str) -> bool:
        """Tell whether anything was run there."""
        return False


@dataclass(frozen=True)
class Decision:
    """One comparison with its two sides as measured, and its state.

    `difference` is the interval of left minus right over paired measurements, where there are any;
    then it decides, and the sides are there to be read. `why` is what forbids to judge it,
    `left_out` that a ranking goes on without it, `absent` the values that are not there and why,
    `otherwise` the other comparison of an "or" that neither of both supports.
    """

    comparison: Comparison
    left: Interval | None
    right: Interval | None
    difference: Interval | None
    state: State
    why: str = ""
    left_out: bool = False
    absent: tuple[tuple[Value, Absence], ...] = ()
    otherwise: "Decision | None" = None

    @property
    def missing(self) -> tuple[tuple[Value, Absence], ...]:
        """The values that are not there, of either side of an "or", each with the reason."""
        return (*self.absent, *(self.otherwise.missing if self.otherwise else ()))

    @property
    def blank(self) -> bool:
        """Whether none of its values is there, so that there is no number to show."""
        every = set(self.comparison.values)
        return self.otherwise is None and {value for value, _ in self.absent} == every != set()

    @property
    def text(self) -> str:
        """The comparison with its numbers: `psnr(blur) 23.21 [23.1, 23.3] > psnr(l2) 22.51`."""
        left = self._shown(self.comparison.left, self.left)
        right = self._shown(self.comparison.right, self.right)
        paired = f" (difference {_numbers(self.difference)})" if self.difference else ""
        why = f" ({'left out: ' if self.left_out else ''}{self.why})" if self.why else ""
        other = f" or {self.otherwise.text}" if self.otherwise else ""
        return f"{left} {self.comparison.sign} {right}{paired}{why}{other}"

    def _shown(self, side: Expression, found: Interval | None) -> str:
        if isinstance(side, Number):
            return str(side)
        if found is not None:
            return f"{side} {_numbers(found)}"
        inside = values(side)
        reasons = dict.fromkeys(each.text for value, each in self.absent if value in inside)
        return f"{side} {', '.join(reasons) or 'unknown'}"


def decide(
    comparison: Comparison,
    value: Measured,
    difference: Difference | None,
    doubts: Doubts,
    *,
    ranking: bool,
) -> Decision:
    """Return what becomes of a comparison; see `harness.report.claims.evaluate`.

    A `ranking` goes on without a pair of which one has a home advantage; elsewhere that pair is
    inconclusive.
    """
    first = _single(comparison, value, difference, doubts, ranking=ranking)
    if comparison.otherwise is None or first.state == "supported":
        return first
    second = decide(comparison.otherwise, value, difference, doubts, ranking=ranking)
    if second.state == "supported":
        return second
    state = next(state for state in _EITHER if state in (first.state, second.state))
    return replace(first, state=state, otherwise=second)


def _single(
    comparison: Comparison,
    value: Measured,
    difference: Difference | None,
    doubts: Doubts,
    *,
    ranking: bool,
) -> Decision:
    left, right = interval(comparison.left, value), interval(comparison.right, value)
    if left is None or right is None:
        absent = tuple(
            (each, doubts.absence(each))
            for each in dict.fromkeys(comparison.values)
            if interval(each, value) is None
        )
        state: State = "inconclusive" if all(why.ran for _, why in absent) else "not run"
        return Decision(comparison, left, right, None, state, absent=absent)
    paired = _paired(comparison, difference)
    advantage, obstacle = (ask(comparison.values) for ask in (doubts.advantage, doubts.obstacle))
    why = "; ".join(filter(None, (advantage, obstacle)))
    state = "inconclusive" if why else _state(comparison.sign, paired or combined(left, "-", right))
    left_out = ranking and bool(advantage)
    return Decision(comparison, left, right, paired, state, why, left_out)


def _paired(comparison: Comparison, difference: Difference | None) -> Interval | None:
    a, b = comparison.left, comparison.right
    if difference is None or not (isinstance(a, Value) and isinstance(b, Value)):
        return None
    if (a.metric, a.dataset, a.model) != (b.metric, b.dataset, b.model):
        return None
    found = difference(a, b)
    return None if found is None else known(found)


def _state(sign: str, difference: Interval) -> State:
    """The state of `difference sign 0`."""
    _, low, high = difference
    if sign[0] == ">":
        low, high = -high, -low
    equal = sign.endswith("=")
    if high < 0 or (equal and high == 0):
        return "supported"
    if low > 0 or (not equal and low == 0):
        return "contradicted"
    return "inconclusive"


def _numbers(found: Interval) -> str:
    mean, low, high = found
    if low == mean == high:
        return f"{mean:.4g}"
    known_ends = math.isfinite(low) and math.isfinite(high)
    return f"{mean:.4g} [{low:.4g}, {high:.4g}]" if known_ends else f"{mean:.4g} (no interval)"
