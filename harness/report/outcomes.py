"""What became of a cell in two grids beside its metrics: its state, its β, its cost."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from harness.report.collect import Cell
from harness.report.means import Estimate, estimate, half_width, step_ratio
from harness.report.pairing import Pair
from harness.report.student import two_sided
from harness.report.table import plural


@dataclass(frozen=True)
class Status:
    """A cell that ended otherwise in B; `causes` are those stored in B, or in A where B is ok."""

    cell: str
    a: str
    b: str
    causes: tuple[str, ...]


@dataclass(frozen=True)
class Cost:
    """β and cost of a cell: `step_time` is B's time per image over A's on equal hardware.

    `half` is half its 95 % interval over seeds, NaN with fewer than three, and `p` the chance of
    such a ratio where nothing changed, corrected as that of a `Change` is; `word` is faster,
    slower, within noise, identical or why that is not known. Memory is the mean peak in MiB. NaN is
    absent.
    """

    cell: str
    beta_a: float
    beta_b: float
    step_time: float
    half: float
    word: str
    memory_a: float
    memory_b: float
    p: float = math.nan


def statuses(pairs: Iterable[Pair]) -> list[Status]:
    """Return the cells whose state differs, as from ok to diverged 1/3."""
    found = []
    for pair in pairs:
        a, b = (cell.state or "ok" for cell in (pair.a, pair.b))
        if a != b:
            found.append(Status(pair.a.id, a, b, pair.b.causes or pair.a.causes))
    return found


def costs(pairs: Iterable[Pair]) -> list[Cost]:
    """Return β and cost of the cells that both grids have final models of.

    Chances and words are those of each ratio alone, by Student's t over seeds.
    """
    return [_cost(pair) for pair in pairs if pair.a.measured and pair.b.measured]


def _cost(pair: Pair) -> Cost:
    ratio = step_ratio(pair.b, pair.a)
    half, p = half_width(ratio), math.nan
    if not ratio.known:
        word = "other hardware or seeds: not compared"
    elif math.isnan(half):
        word = f"{plural(ratio.seeds, 'seed')}: cannot tell"
    elif ratio.mean == 1 and ratio.spread == 0:
        word = "identical"
    else:
        word = "slower" if ratio.mean > 1 else "faster"
        p = _chance(ratio)
    memory = _both(pair, "peak_memory_mib")
    return Cost(pair.a.id, *_both(pair, "beta"), ratio.mean, half, word, *memory, p)


def _chance(ratio: Estimate) -> float:
    """The chance of such a mean over seeds where the ratio is 1."""
    if ratio.spread == 0:
        return 0.0
    error = ratio.spread / math.sqrt(ratio.seeds)
    return two_sided((ratio.mean - 1) / error, ratio.seeds - 1)


def _both(pair: Pair, column: str) -> tuple[float, float]:
    return _mean(pair.a, column), _mean(pair.b, column)


def _mean(cell: Cell, column: str) -> float:
    return estimate(cell, column).mean
