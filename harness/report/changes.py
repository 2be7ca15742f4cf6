"""Whether a metric of a cell changed from one grid to another, beyond noise."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from harness.metrics import METRICS
from harness.report.collect import Cell
from harness.report.estimates import Comparison, compare, estimate
from harness.report.pairing import Pair
from harness.report.table import plural

# Words that say that there is a difference, and those for which an interval was asked.
CHANGED = ("better", "worse", "higher", "lower")
JUDGED = (*CHANGED, "within noise")


@dataclass(frozen=True)
class Change:
    """A metric of one cell in A and in B, over the seeds that both have.

    `difference` is B minus A with the ends `low` and `high` of its 95 % interval, NaN where nothing
    supports one; `over` says of what the interval is. `word` is better, worse (higher, lower for a
    metric of which neither end is better), within noise, identical, cannot tell, not compared or
    not measured; `why` the reason for the last three.
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

    @property
    def verdict(self) -> str:
        """The word after its reason, as in `1 seed: cannot tell`."""
        return f"{self.why}: {self.word}" if self.why else self.word


def changes(pair: Pair, metrics: Iterable[str]) -> list[Change]:
    """Return a record for each of these metrics that either cell was measured by."""
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
    found = compare(b, a, metric)
    if found is None:
        gap = means[1] - means[0]
        return Change(name, metric, *means, gap, math.nan, math.nan, "", "cannot tell", seeds)
    low, high = found.interval
    word = _word(metric, low, high)
    return Change(name, metric, *means, found.mean, low, high, _over(found, seeds), word)


def _over(found: Comparison, seeds: str) -> str:
    """What the interval is over, as in `images, 1 seed`."""
    words = {"seeds": seeds, "images and seeds": f"images and {seeds}"}
    return words.get(found.over, f"{found.over}, {seeds}")


def _column(cell: Cell, metric: str) -> list[float]:
    return [float(value) for value in cell.finals.sort_values("seed")[metric]]


def _word(metric: str, low: float, high: float) -> str:
    if low <= 0 <= high:
        return "within noise"
    words = {
        "maximize": ("better", "worse"),
        "minimize": ("worse", "better"),
        "none": ("higher", "lower"),
    }
    return words[METRICS[metric].direction][low <= 0]
