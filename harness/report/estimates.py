"""Means, spreads and ties: what may be called best, and on what ground."""

import math
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from harness.metrics import METRICS, Direction
from harness.report.advantage import home
from harness.report.collect import SEEDS_FOR_INTERVAL, Cell

Ground = Literal["seeds", "images", "none"]

# Two-sided 95 % points of Student's t for 2 to 10 degrees of freedom; SciPy would take a second
# to import.
_T95 = (4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)
_Z95 = 1.96


@dataclass(frozen=True)
class Estimate:
    """A mean with its spread: standard deviation over seeds or standard error over images."""

    mean: float
    spread: float
    over: Ground
    seeds: int

    @property
    def known(self) -> bool:
        """Whether there is a finite number."""
        return math.isfinite(self.mean)


def estimate(cell: Cell, metric: str, rows: pd.DataFrame | None = None) -> Estimate:
    """Return the mean of a column over the cell's seeds (or over `rows` of it)."""
    finals = cell.finals if rows is None else rows
    values = finals[metric].dropna()
    if values.empty:
        return Estimate(math.nan, math.nan, "none", 0)
    mean = float(values.mean())
    if len(values) > 1:
        return Estimate(mean, float(values.std(ddof=1)), "seeds", len(values))
    error = _image_error(cell, metric)
    return Estimate(mean, error, "images" if math.isfinite(error) else "none", 1)


def _image_error(cell: Cell, metric: str) -> float:
    """The standard error of a per-image metric's mean over the test images, or NaN."""
    if cell.scores is not None and metric in cell.scores and len(cell.scores) > 1:
        return float(cell.scores[metric].sem())
    column = f"{metric}_std"
    if metric not in METRICS or not METRICS[metric].per_image or column not in cell.finals:
        return math.nan
    row = cell.finals.iloc[0]
    return float(row[column]) / math.sqrt(row["images"]) if row["images"] else math.nan


def tied(a: Cell, b: Cell, metric: str) -> bool | None:
    """Tell whether the 95 % interval of the `difference` contains 0; None without an interval."""
    found = difference(a, b, metric)
    return None if found is None else found[1] <= 0 <= found[2]


def difference(a: Cell, b: Cell, metric: str) -> tuple[float, float, float] | None:
    """Return the mean of `a` minus `b` and the ends of its 95 % interval.

    Paired over seeds from three common seeds on, below over the test images; unpaired where only
    the spread over images is stored. None when nothing supports an interval, as for a
    distribution metric with one seed.
    """
    seeds = (_by_seed(a, metric) - _by_seed(b, metric)).dropna()
    if len(seeds) >= SEEDS_FOR_INTERVAL:
        return _around(float(seeds.mean()), float(seeds.sem()) * _quantile(len(seeds)))
    if a.scores is not None and b.scores is not None and metric in a.scores and metric in b.scores:
        images = (a.scores[metric] - b.scores[metric]).dropna()
        if len(images) > 1:
            return _around(float(images.mean()), float(images.sem()) * _Z95)
    errors = math.hypot(_image_error(a, metric), _image_error(b, metric))
    mean = estimate(a, metric).mean - estimate(b, metric).mean
    return None if math.isnan(errors) else _around(mean, errors * _Z95)


def _by_seed(cell: Cell, metric: str) -> pd.Series:
    return pd.Series(cell.finals[metric].to_numpy(), index=cell.finals["seed"].to_numpy())


def half_width(found: Estimate) -> float:
    """Return half the 95 % interval of a mean; NaN where nothing supports one."""
    if found.over == "seeds" and found.seeds >= SEEDS_FOR_INTERVAL:
        return _quantile(found.seeds) * found.spread / math.sqrt(found.seeds)
    return _Z95 * found.spread if found.over == "images" else math.nan


def _around(mean: float, half: float) -> tuple[float, float, float]:
    return mean, mean - half, mean + half


def _quantile(count: int) -> float:
    return _T95[count - 3] if count - 3 < len(_T95) else _Z95 + 2.7 / (count - 1)


@dataclass(frozen=True)
class Ranking:
    """The best cell of a column, those tied with it, and whether ties could be judged."""

    best: Cell | None
    tied: tuple[Cell, ...]
    judged: bool

    @property
    def winners(self) -> tuple[Cell, ...]:
        """The best and the tied cells: those printed bold."""
        return () if self.best is None else (self.best, *self.tied)


def rank(cells: tuple[Cell, ...], metric: str, direction: Direction | None = None) -> Ranking:
    """Rank the cells that may be ranked: no failed seed, no home advantage, a finite number.

    With fewer than two of them there is no best, nor where signatures differ: those numbers are not
    of one kind.
    """
    direction = direction or METRICS[metric].direction
    fair = [cell for cell in cells if cell.whole and not home(cell, metric)]
    means = {cell.id: estimate(cell, metric).mean for cell in fair}
    fair = [cell for cell in fair if math.isfinite(means[cell.id])]
    if direction == "none" or len(fair) < 2 or mixed(tuple(fair), metric):
        return Ranking(None, (), judged=False)
    sign = 1 if direction == "minimize" else -1
    best, *others = sorted(fair, key=lambda cell: sign * means[cell.id])
    verdicts = {
        cell.id: means[cell.id] == means[best.id] or tied(best, cell, metric) for cell in others
    }
    return Ranking(
        best,
        tuple(cell for cell in others if verdicts[cell.id]),
        judged=all(verdict is not None for verdict in verdicts.values()),
    )


def mixed(cells: tuple[Cell, ...], metric: str) -> bool:
    """Tell whether the cells' numbers of a metric bear several signatures."""
    column = f"{metric}_signature"
    return len({s for c in cells if column in c.finals for s in c.finals[column].dropna()}) > 1


def step_ratio(cell: Cell, reference: Cell | None) -> Estimate:
    """Return the time per image over that of `reference`, paired by seed, on equal hardware.

    With one seed there is one pair, which whatever else the machine did would decide: then the
    fastest training run of each cell, trials included, is the least disturbed. NaN without a
    reference or where device, precision or threads differ.
    """
    if reference is None:
        return Estimate(math.nan, math.nan, "none", 0)
    keys = ["seed", "device_name", "precision", "threads"]
    columns = [*keys, "images_per_second"]
    own, other = (each.finals[columns] for each in (cell, reference))
    both = own.merge(other, on=keys, suffixes=("", "_reference"))
    ratios = (both["images_per_second_reference"] / both["images_per_second"]).dropna()
    if ratios.empty:
        return Estimate(math.nan, math.nan, "none", 0)
    if len(ratios) == 1:
        return Estimate(fastest(reference) / fastest(cell), math.nan, "none", 1)
    return Estimate(float(ratios.mean()), float(ratios.std(ddof=1)), "seeds", len(ratios))


def fastest(cell: Cell) -> float:
    """Return the images per second of the cell's fastest training run, trials included."""
    runs = [cell.finals["images_per_second"], cell.tunes["images_per_second"]]
    return float(max(run.max() for run in runs if len(run)))
