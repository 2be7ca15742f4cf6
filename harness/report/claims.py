"""The claims of the documents as data, and what measured values make of them."""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from harness.report import predicate, published
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
)

State = Literal["supported", "contradicted", "inconclusive", "not run"]
Difference = Callable[[Value, Value], Interval | None]

# ranking: who is better; size: by how much; value: a number itself; cost: time or parameters;
# unmeasured: no column of the store decides it, so it has no predicate.
KINDS = ("ranking", "size", "value", "cost", "unmeasured")

# Where several comparisons must hold, the first of these that one of them has is the claim's.
_GRAVITY: tuple[State, ...] = ("contradicted", "not run", "inconclusive", "supported")


@dataclass(frozen=True)
class Claim:
    """One quantitative statement of a document.

    `text` is the document's wording, `where` its place; `predicate` is our reading of it in the
    language of `harness.report.predicate`, over `dataset` and `model`, and `note` says what in the
    reading is ours, such as a tolerance.
    """

    id: str
    document: str
    where: str
    text: str
    kind: str
    dataset: str
    model: str
    predicate: str
    note: str


@dataclass(frozen=True)
class Decision:
    """One comparison with its two sides as measured, and its state.

    `difference` is the interval of left minus right over paired measurements, where there are any;
    then it decides, and the sides are there to be read.
    """

    comparison: Comparison
    left: Interval | None
    right: Interval | None
    difference: Interval | None
    state: State

    @property
    def sides(self) -> tuple[tuple[Expression, Interval | None], ...]:
        """Both sides as written and as measured."""
        return (self.comparison.left, self.left), (self.comparison.right, self.right)

    @property
    def text(self) -> str:
        """The comparison with its numbers: `psnr(blur) 23.21 [23.1, 23.3] > psnr(l2) 22.51`."""
        left, right = (_shown(*side) for side in self.sides)
        paired = f" (difference {_numbers(self.difference)})" if self.difference else ""
        return f"{left} {self.comparison.sign} {right}{paired}"


@dataclass(frozen=True)
class Verdict:
    """What became of a claim: its state, and every comparison it rests on."""

    state: State
    decisions: tuple[Decision, ...]

    @property
    def deciding(self) -> tuple[Decision, ...]:
        """The comparisons that give the claim its state."""
        return tuple(each for each in self.decisions if each.state == self.state)

    @property
    def missing(self) -> tuple[str, ...]:
        """The sides of comparisons that were not measured, each once."""
        sides = [side for each in self.decisions for side in each.sides]
        return tuple(dict.fromkeys(str(side) for side, found in sides if found is None))

    @property
    def numbers(self) -> str:
        """The deciding comparisons with their numbers, as one text."""
        if not self.decisions:
            return "no measurement decides it"
        if self.state == "not run":
            return f"not run: {', '.join(self.missing)}"
        return "; ".join(each.text for each in self.deciding)


def claims(document: str | None = None) -> tuple[Claim, ...]:
    """Return the claims of all documents or of one, in the documents' order.

    Raises:
        HarnessError: no such document.
    """
    chosen = published.documents(document)
    return tuple(each for each in _ledger() if each.document in chosen)


def evaluate(claim: Claim, value: Measured, difference: Difference | None = None) -> Verdict:
    """Return what measured values make of a claim.

    A comparison is supported where it holds for every pair of numbers within the two intervals,
    contradicted where it holds for none, else inconclusive. A sum or ratio has the interval of all
    its operands' (interval arithmetic, which takes errors as unrelated).

    Args:
        claim: the claim; one without a predicate is not run.
        value: `(dataset, model, loss, metric)` to `(mean, low, high)`, or None where the cell was
            not run. A mean that is not finite counts as not run, an end that is NaN as unknown.
        difference: the interval of left minus right over paired measurements (the same images and
            seeds) of two values, or None where there are no pairs; asked only where both sides are
            one metric of two losses in one place.

    Raises:
        HarnessError: the predicate cannot be read.
    """
    if not claim.predicate:
        return Verdict("not run", ())
    comparisons = predicate.parse(claim.predicate, claim.dataset, claim.model)
    decisions = tuple(_decide(each, value, difference) for each in comparisons)
    states = {each.state for each in decisions}
    return Verdict(next(state for state in _GRAVITY if state in states), decisions)


@functools.cache
def _ledger() -> tuple[Claim, ...]:
    return tuple(Claim(**record) for record in published.records("claims"))


def _decide(comparison: Comparison, value: Measured, difference: Difference | None) -> Decision:
    left, right = interval(comparison.left, value), interval(comparison.right, value)
    if left is None or right is None:
        return Decision(comparison, left, right, None, "not run")
    paired = _paired(comparison, difference)
    state = _state(comparison.sign, paired or combined(left, "-", right))
    return Decision(comparison, left, right, paired, state)


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


def _shown(side: Expression, found: Interval | None) -> str:
    if isinstance(side, Number):
        return str(side)
    return f"{side} not run" if found is None else f"{side} {_numbers(found)}"


def _numbers(found: Interval) -> str:
    mean, low, high = found
    if low == mean == high:
        return f"{mean:.4g}"
    known_ends = math.isfinite(low) and math.isfinite(high)
    return f"{mean:.4g} [{low:.4g}, {high:.4g}]" if known_ends else f"{mean:.4g} (no interval)"
