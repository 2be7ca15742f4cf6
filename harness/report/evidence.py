"""What a grid's rows say of the values that claims name: numbers, gaps and what forbids ranking."""

import copy
import math

from harness.metrics import METRICS
from harness.report.advantage import home
from harness.report.collect import Cell, Group
from harness.report.decisions import Source
from harness.report.doubts import Absence, Doubts
from harness.report.expressions import Interval, Value
from harness.report.means import HARDWARE, estimate, interval
from harness.report.paired import Comparison, compare
from harness.report.paper_tables import by_key
from harness.report.student import LEVEL, Z95, point
from harness.report.ties import mixed


class Evidence(Doubts):
    """The cells of some groups as a source of values, with the doubts that tables have too.

    Its intervals leave out the truth with this `chance`: those of tables, at 5 %, and wider ones as
    Student's t has them.
    """

    def __init__(self, groups: list[Group], chance: float = LEVEL) -> None:
        self.cells = by_key(groups)
        self.chance = chance
        self._compared: dict[tuple[Value, Value], Comparison | None] = {}

    def wider(self, chance: float) -> Source:
        """Return the same rows with intervals that leave out the truth with this chance."""
        other = copy.copy(self)
        other.chance = chance
        return Source(other.value, other.difference, other, chance)

    def value(self, dataset: str, model: str, loss: str, metric: str) -> Interval | None:
        """Return the mean and the ends of its interval, None where there is no number."""
        cell = self.cells.get((dataset, model, loss))
        if cell is None or cell.stale:
            return None
        if metric == "diverged":
            return _diverged(cell, self._point())
        if not cell.measured or metric not in cell.finals:
            return None
        found = estimate(cell, metric)
        if metric == "parameters" and cell.finals[metric].nunique() == 1:
            return found.mean, found.mean, found.mean  # counted: one seed tells it
        within = interval(cell, metric)
        freedom = found.seeds - 1 if within.over == "seeds" else math.inf
        widened = self._widened((found.mean, within.low, within.high), freedom)
        return widened if found.known else None

    def difference(self, a: Value, b: Value) -> Interval | None:
        """Return the paired difference of two losses in one place, None without pairs."""
        found = self._pair(a, b)
        return self._widened((found.mean, *found.interval), found.freedom) if found else None

    def over(self, found: tuple[Value, ...], *, paired: bool) -> str:
        """Return what intervals are over: images, seeds, both, or trainings that may diverge."""
        compared = self._pair(*found) if paired else None
        if compared is not None:
            words = {"seeds": "{} seeds", "images and seeds": "images and {} seeds"}
            return words.get(compared.over, compared.over).format(compared.seeds)
        grounds = (self._ground(value) for value in found)
        return " and ".join(dict.fromkeys(filter(None, grounds)))

    def _pair(self, a: Value, b: Value) -> Comparison | None:
        first, second = self._cell(a), self._cell(b)
        if first is None or second is None or "diverged" in (a.metric, b.metric):
            return None
        if (a, b) not in self._compared:
            self._compared[a, b] = compare(first, second, a.metric)
        return self._compared[a, b]

    def _ground(self, value: Value) -> str:
        cell = self._cell(value)
        if cell is None or value.metric == "parameters":
            return ""
        if value.metric == "diverged":
            return "trainings"
        over = interval(cell, value.metric).over
        seeds = estimate(cell, value.metric).seeds
        return {"none": "", "seeds": f"{seeds} seeds"}.get(over, over)

    def _widened(self, found: Interval, freedom: float) -> Interval:
        mean, low, high = found
        ratio = self._point(freedom) / point(LEVEL, freedom)
        return mean, mean - ratio * (mean - low), mean + ratio * (high - mean)

    def _point(self, freedom: float = math.inf) -> float:
        return point(self.chance, freedom)

    def absence(self, value: Value) -> Absence:
        """Return what became of a cell without a number, and whether it ran."""
        cell = self._cell(value)
        if cell is None or (cell.attempts.empty and cell.tunes.empty):
            return Absence("not run", ran=False)
        if cell.measured:
            computed = f"{value.metric}_signature"
            known = computed in cell.finals and cell.finals[computed].notna().any()
            return Absence("not finite" if known else "metric not stored", ran=True)
        waiting = cell.state == "unavailable" or cell.state.startswith("only tuned")
        return Absence(cell.state, ran=not waiting)

    def obstacle(self, found: tuple[Value, ...]) -> str:
        """Return whose seeds did not all survive, and where signatures or hardware differ."""
        reasons = []
        metrics = dict.fromkeys(each.metric for each in found)
        for metric in metrics:
            losses = [each for each in found if each.metric == metric]
            cells = [cell for each in losses if (cell := self._cell(each)) is not None]
            if metric in METRICS:
                reasons += [f"{cell.loss} {cell.state}" for cell in cells if not cell.whole]
                reasons += ["signatures differ"] if mixed(tuple(cells), metric) else []
            if metric == "images_per_second" and len(set(map(_hardware, cells))) > 1:
                reasons.append("hardware differs")
        return ", ".join(dict.fromkeys(reasons))

    def advantage(self, found: tuple[Value, ...]) -> str:
        """Return which values of several losses run on a network that their loss trained with."""
        if len({each.loss for each in found}) < 2:
            return ""
        named = [str(each) for each in found if each.metric in METRICS and self._home(each)]
        return f"home advantage of {', '.join(dict.fromkeys(named))}" if named else ""

    def ran(self, dataset: str, model: str) -> bool:
        """Tell whether a final model of this place was trained, or tried."""
        return any(
            key[:2] == (dataset, model) and len(cell.attempts) > 0
            for key, cell in self.cells.items()
        )

    def _cell(self, value: Value) -> Cell | None:
        return self.cells.get((value.dataset, value.model, value.loss))

    def _home(self, value: Value) -> bool:
        cell = self._cell(value)
        return cell is not None and home(cell, value.metric)


def _diverged(cell: Cell, z: float) -> Interval | None:
    """The share of final models that diverged, of all trials where no trial led to a final one."""
    statuses = cell.attempts["status"]
    if statuses.empty:
        statuses = cell.tunes["status"]
        if len(statuses) < cell.trials or (statuses == "ok").any():
            return None
    # What failed for another reason tells nothing of stability.
    total = int(statuses.isin(("ok", "diverged")).sum())
    return share(int((statuses == "diverged").sum()), total, z) if total else None


def share(count: int, total: int, z: float = Z95) -> Interval:
    """Return `count` of `total` with the score interval of a share, 95 % by default.

    `z` is the normal distribution's point. Source: Wilson 1927.
    """
    z2, p = z**2, count / total
    middle = (p + z2 / (2 * total)) / (1 + z2 / total)
    half = math.sqrt(p * (1 - p) * z2 / total + (z2 / (2 * total)) ** 2) / (1 + z2 / total)
    low = middle - half if count else 0.0
    return p, low, middle + half if count < total else 1.0


def _hardware(cell: Cell) -> tuple[str, ...]:
    seen = cell.finals[HARDWARE].drop_duplicates()
    return tuple(sorted(map(str, seen.itertuples(index=False, name=None))))
