"""Whether a metric of a cell changed between two grids, beyond what trainings differ by."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from harness.metrics import METRICS
from harness.report.collect import Cell
from harness.report.means import estimate
from harness.report.outcomes import Cost
from harness.report.paired import Comparison, compare, over_seeds
from harness.report.pairing import Pair
from harness.report.student import LEVEL
from harness.report.table import plural

# Words that say that there is a change, and those that a test over trainings decided.
CHANGED = ("better", "worse", "higher", "lower")
JUDGED = (*CHANGED, "within noise")
DIFFER = "models differ"  # over test images alone: no word on other trainings

Judged = TypeVar("Judged", "Change", Cost)


@dataclass(frozen=True)
class Change:
    """A metric of one cell in A and in B, over the seeds that both have.

    `difference` is B minus A with the ends `low` and `high` of its 95 % interval, NaN where nothing
    supports one; it is that of this difference alone, and `over` says what it is over. `p` is the
    chance of such a difference between trainings of one and the same thing, corrected for all tests
    of the comparison (`settle`), NaN where trainings were too few to ask. `word` is better, worse
    (higher, lower for a metric of which neither end is better), within noise, identical, models
    differ, cannot tell, not compared or not measured; `why` the reason for the last four.
    """

    cell: str
    metric: str
    a: float
    b: float
    difference: float
    low: float
    high: float
    over: str
    word: str
    why: str = ""
    p: float = math.nan

    @property
    def verdict(self) -> str:
        """The word after its reason, as in `1 seed: cannot tell`."""
        return f"{self.why}: {self.word}" if self.why else self.word


def changes(pair: Pair, metrics: Iterable[str]) -> list[Change]:
    """Return a record for each of these metrics that either cell was measured by.

    The question is whether other trainings would differ as these do. From three common seeds on
    they answer it: by Student's t over the differences of seeds, from five on over test images as
    well, as tables do. Fewer seeds say at most that these models differ. Chances and words are
    those of each record alone, before `settle`.
    """
    found = (_change(pair, metric) for metric in metrics)
    return [each for each in found if each is not None]


def _change(pair: Pair, metric: str) -> Change | None:
    a, b = (_with(cell, metric) for cell in (pair.a, pair.b))
    if not (len(a.finals) or len(b.finals)):
        return None
    seeds = set(a.finals["seed"]) & set(b.finals["seed"])
    obstacle = _obstacle(a, b, metric, len(seeds))
    if obstacle:
        means = estimate(a, metric).mean, estimate(b, metric).mean
        return Change(pair.a.id, metric, *means, math.nan, math.nan, math.nan, "", *obstacle)
    return _judge(_only(a, seeds), _only(b, seeds), metric, pair.a.id)


def _with(cell: Cell, metric: str) -> Cell:
    """The cell with the seeds of which the metric is a number; none of them where it is stale."""
    finals = cell.finals if cell.measured else cell.finals.iloc[:0]
    return replace(cell, finals=finals[finals[metric].notna()])


def _obstacle(a: Cell, b: Cell, metric: str, seeds: int) -> tuple[str, str] | None:
    """The word and the reason why no difference is taken, None where it can be."""
    for cell, name in ((a, "A"), (b, "B")):
        if cell.stale:
            return "not compared", f"stale in {name}"
        if cell.finals.empty:
            return "not measured", f"not in {name}"
    if _values(a, "data_hash") != _values(b, "data_hash"):
        return "not compared", "other data"
    if any(_values(a, name) != _values(b, name) for name in ("split", "images")):
        return "not compared", "other test images"
    signatures = [_values(cell, f"{metric}_signature") for cell in (a, b)]
    if signatures[0] != signatures[1] or len(signatures[0]) > 1:
        return "not compared", "signatures differ"
    return None if seeds else ("not compared", "no common seed")


def _values(cell: Cell, column: str) -> set[object]:
    return set(cell.finals[column].dropna())


def _only(cell: Cell, seeds: set[int]) -> Cell:
    """The cell with these seeds alone; its scores per image are of all of them."""
    same = set(cell.finals["seed"]) == seeds
    finals = cell.finals[cell.finals["seed"].isin(seeds)]
    return replace(cell, finals=finals, scores=cell.scores if same else None)


def _judge(a: Cell, b: Cell, metric: str, name: str) -> Change:
    means = estimate(a, metric).mean, estimate(b, metric).mean
    seeds = plural(len(a.finals), "seed")
    if _column(a, metric) == _column(b, metric):
        return Change(name, metric, *means, 0.0, 0.0, 0.0, seeds, "identical")
    found = _retrained(b, a, metric)
    if found is not None:
        low, high = found.interval
        over, word = _over(found, seeds), _word(metric, found.mean)
        return Change(name, metric, *means, found.mean, low, high, over, word, p=found.p)
    alone = compare(b, a, metric)
    if alone is None:
        gap = means[1] - means[0]
        return Change(name, metric, *means, gap, math.nan, math.nan, "", "cannot tell", seeds)
    low, high = alone.interval
    word = "cannot tell" if low <= 0 <= high else DIFFER
    return Change(name, metric, *means, alone.mean, low, high, f"{alone.over} alone", word, seeds)


def _retrained(b: Cell, a: Cell, metric: str) -> Comparison | None:
    """The difference as far as other trainings would show it, None below three seeds."""
    found = compare(b, a, metric)
    over_trainings = found is not None and found.over in ("seeds", "images and seeds")
    return found if over_trainings else over_seeds(b, a, metric)


def _over(found: Comparison, seeds: str) -> str:
    return f"images and {seeds}" if found.over == "images and seeds" else seeds


def _column(cell: Cell, metric: str) -> list[float]:
    return [float(value) for value in cell.finals.sort_values("seed")[metric]]


def _word(metric: str, mean: float) -> str:
    words = {
        "maximize": ("better", "worse"),
        "minimize": ("worse", "better"),
        "none": ("higher", "lower"),
    }
    return words[METRICS[metric].direction][mean <= 0]


def settle(found: Sequence[Judged], chances: Sequence[float]) -> list[Judged]:
    """Return the records with their corrected chances; what is no change is within noise."""
    return [
        replace(each, p=p, word="within noise" if p > LEVEL else each.word)
        for each, p in zip(found, chances, strict=True)
    ]
