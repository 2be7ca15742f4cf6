"""One comparison of a claim: what measured values, and doubts about them, make of it."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

from harness.report.doubts import Absence, Doubts
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
from harness.report.student import LEVEL

State = Literal["supported", "contradicted", "inconclusive", "not run"]
Difference = Callable[[Value, Value], Interval | None]


# Of two comparisons joined by "or", the first of these that one of them has is the state of both.
_EITHER: tuple[State, ...] = ("supported", "not run", "inconclusive", "contradicted")


@dataclass(frozen=True)
class Source:
    """What decides comparisons: numbers, differences, doubts.

    Its intervals leave out the truth with this `chance`.
    """

    value: Measured
    difference: Difference | None = None
    doubts: Doubts = field(default_factory=Doubts)
    chance: float = LEVEL


@dataclass(frozen=True)
class Decision:
    """One comparison with its two sides as measured, and its state.

    `difference` is the interval of left minus right over paired measurements, where there are any;
    then it decides, and the sides are there to be read. `why` is what forbids to judge it,
    `left_out` that a ranking goes on without it, `absent` the values that are not there and why,
    `otherwise` the other comparison of an "or" that neither of both supports. `over` is what the
    interval that decides is over, such as images, and `chance` how often it leaves out the truth.
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
    over: str = ""
    chance: float = LEVEL

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
    def grounds(self) -> tuple[str, ...]:
        """What the intervals are over, of either side of an "or"."""
        return (self.over, *(self.otherwise.grounds if self.otherwise else ()))

    @property
    def text(self) -> str:
        """The comparison with its numbers: `psnr(blur) 23.21 [23.1, 23.3] > psnr(l2) 22.51`."""
        left = self._shown(self.comparison.left, self.left)
        right = self._shown(self.comparison.right, self.right)
        wide = any(low < high for _, low, high in filter(None, (self.left, self.right)))
        level = f"{100 * (1 - self.chance):.4g} % intervals" if wide and self.chance < LEVEL else ""
        paired = f"difference {_numbers(self.difference)}" if self.difference else ""
        over = f"over {self.over}" if self.over else ""
        told = ", ".join(filter(None, [level, " ".join(filter(None, [paired, over]))]))
        basis = f" ({told})" if told else ""
        why = f" ({'left out: ' if self.left_out else ''}{self.why})" if self.why else ""
        other = f" or {self.otherwise.text}" if self.otherwise else ""
        return f"{left} {self.comparison.sign} {right}{basis}{why}{other}"

    def _shown(self, side: Expression, found: Interval | None) -> str:
        if isinstance(side, Number):
            return str(side)
        if found is not None:
            return f"{side} {_numbers(found)}"
        inside = values(side)
        reasons = dict.fromkeys(each.text for value, each in self.absent if value in inside)
        return f"{side} {', '.join(reasons) or 'unknown'}"


def decide(comparison: Comparison, source: Source, *, ranking: bool) -> Decision:
    """Return what becomes of a comparison; see `harness.report.claims.evaluate`.

    A `ranking` goes on without a pair of which one has a home advantage; elsewhere that pair is
    inconclusive.
    """
    first = _single(comparison, source, ranking=ranking)
    if comparison.otherwise is None or first.state == "supported":
        return first
    second = decide(comparison.otherwise, source, ranking=ranking)
    if second.state == "supported":
        return second
    state = next(state for state in _EITHER if state in (first.state, second.state))
    return replace(first, state=state, otherwise=second)


def _single(comparison: Comparison, source: Source, *, ranking: bool) -> Decision:
    value, doubts = source.value, source.doubts
    left, right = interval(comparison.left, value), interval(comparison.right, value)
    if left is None or right is None:
        absent = tuple(
            (each, doubts.absence(each))
            for each in dict.fromkeys(comparison.values)
            if interval(each, value) is None
        )
        state: State = "inconclusive" if all(why.ran for _, why in absent) else "not run"
        return Decision(comparison, left, right, None, state, absent=absent)
    paired = _paired(comparison, source.difference)
    advantage, obstacle = (ask(comparison.values) for ask in (doubts.advantage, doubts.obstacle))
    why = "; ".join(filter(None, (advantage, obstacle)))
    state = "inconclusive" if why else _state(comparison.sign, paired or combined(left, "-", right))
    return Decision(
        comparison,
        left,
        right,
        paired,
        state,
        why,
        left_out=ranking and bool(advantage),
        over=doubts.over(comparison.values, paired=paired is not None),
        chance=source.chance,
    )


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
