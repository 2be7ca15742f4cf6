"""The claims of the documents as data, and what measured values make of them."""

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace

from harness.report import predicate, published
from harness.report.decisions import Decision, Difference, Source, State, decide
from harness.report.doubts import Doubts
from harness.report.expressions import Measured
from harness.report.student import LEVEL

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
    reading is ours, such as a tolerance. `doubt` is why no number of ours can settle it, "" where
    one can: with a doubt the numbers are shown and the verdict is at most inconclusive.
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
    doubt: str = ""


@dataclass(frozen=True)
class Verdict:
    """What became of a claim: its state, and every comparison it rests on.

    `doubt` is the claim's own, why these comparisons do not settle it.
    """

    state: State
    decisions: tuple[Decision, ...]
    doubt: str = ""

    @property
    def deciding(self) -> tuple[Decision, ...]:
        """The comparisons that give the claim its state."""
        if self.doubt:
            return self.decisions
        return tuple(each for each in self.decisions if each.state == self.state)

    @property
    def over(self) -> str:
        """What the deciding intervals are over, each ground once: `images; 3 seeds`."""
        grounds = (ground for each in self.deciding for ground in each.grounds)
        return "; ".join(dict.fromkeys(filter(None, grounds)))

    @property
    def numbers(self) -> str:
        """The deciding comparisons with their numbers, and those left out, as one text."""
        if not self.decisions:
            return "no stored number decides it"
        if self.state == "not run":
            return _absences(self.decisions)
        shown = [each for each in self.decisions if each in self.deciding or each.left_out]
        texts = [each.text for each in shown if not each.blank]
        blank = _absences(tuple(each for each in shown if each.blank))
        return "; ".join(filter(None, [self.doubt, *texts, blank]))


def claims(document: str | None = None) -> tuple[Claim, ...]:
    """Return the claims of all documents or of one, in the documents' order.

    Raises:
        HarnessError: no such document.
    """
    chosen = published.documents(document)
    return tuple(each for each in _ledger() if each.document in chosen)


def evaluate(
    claim: Claim,
    value: Measured,
    difference: Difference | None = None,
    doubts: Doubts | None = None,
    wider: Callable[[float], Source] | None = None,
) -> Verdict:
    """Return what measured values make of a claim.

    A comparison is supported where it holds for every pair of numbers within the two intervals,
    contradicted where it holds for none, else inconclusive. A sum or ratio has the interval of all
    its operands' (interval arithmetic, which takes errors as unrelated). What tables refuse to
    rank is inconclusive.

    A claim is supported where all its comparisons are, which needs no correction: the more there
    are, the rarer chance makes that. One of many is soon contradicted by chance, and with it the
    claim. So of m comparisons one stands contradicted only where intervals say so that leave out
    the truth with a chance of 0.05 / m (Bonferroni; by Holm's correction one would stand in the
    very same cases); one that does not is inconclusive.

    Args:
        claim: the claim; one without a predicate is inconclusive, or not run where nothing was.
        value: `(dataset, model, loss, metric)` to `(mean, low, high)`, or None where there is no
            number. A mean that is not finite counts as none, an end that is NaN as unknown.
        difference: the interval of left minus right over paired measurements (the same images and
            seeds) of two values, or None where there are no pairs; asked only where both sides are
            one metric of two losses in one place.
        doubts: why values are not there or may not be judged together; by default those that are
            not there were not run, and nothing is in doubt.
        wider: the same source with intervals that leave out the truth with a given chance; without
            it, as for numbers without an error, contradictions stand as they are.

    Raises:
        HarnessError: the predicate cannot be read.
    """
    doubts = doubts or Doubts()
    if not claim.predicate:
        return Verdict("inconclusive" if doubts.ran(claim.dataset, claim.model) else "not run", ())
    ranking = claim.kind == "ranking"
    comparisons = predicate.parse(claim.predicate, claim.dataset, claim.model)
    source = Source(value, difference, doubts)
    decisions = tuple(decide(each, source, ranking=ranking) for each in comparisons)
    if wider is not None and len(comparisons) > 1:
        strict = wider(LEVEL / len(comparisons))
        decisions = tuple(
            decide(each, strict, ranking=ranking) if found.state == "contradicted" else found
            for each, found in zip(comparisons, decisions, strict=True)
        )
    states = {each.state for each in decisions if not each.left_out} or {"inconclusive"}
    state = next(state for state in _GRAVITY if state in states)
    if claim.doubt and state != "not run":
        return Verdict("inconclusive", decisions, claim.doubt)
    return Verdict(state, decisions)


def by_its_own_numbers(claim: Claim) -> Verdict:
    """Return what the numbers that the claim's document prints make of it, "not run" without them.

    They are taken as they stand: without an error, and without the doubt that one of ours can
    settle the claim.
    """
    return evaluate(replace(claim, doubt=""), published.value)


@functools.cache
def _ledger() -> tuple[Claim, ...]:
    return tuple(Claim(**record) for record in published.records("claims"))


def _absences(decisions: tuple[Decision, ...]) -> str:
    """The values that are not there, by the reason: `not run: psnr(ce); stale: psnr(l1)`."""
    reasons: dict[str, dict[str, None]] = {}
    for value, absence in (pair for each in decisions for pair in each.missing):
        reasons.setdefault(absence.text, {})[str(value)] = None
    return "; ".join(f"{reason}: {', '.join(names)}" for reason, names in reasons.items())
