"""Means of columns over seeds with their spread, and the ratio of step times."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.metrics import METRICS
from harness.report.collect import SEEDS_FOR_INTERVAL, Cell
from harness.report.student import Z95, quantile
from harness.report.table import number

# From so many seeds on, seeds are resampled as images are and carry intervals; fewer are shown one
# by one.
SEEDS_TO_RESAMPLE = 5

# What must be alike for two times to be compared.
HARDWARE = ["device_name", "precision", "threads"]

Ground = Literal["seeds", "images", "generated images", "timings", "none"]
GROUNDS: tuple[Ground, ...] = ("images", "seeds", "generated images")


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
    values = _stored(cell.finals if rows is None else rows, metric)
    if not len(values):
        return Estimate(math.nan, math.nan, "none", 0)
    mean = float(values.mean())
    if len(values) > 1:
        return Estimate(mean, float(values.std(ddof=1)), "seeds", len(values))
    error = image_error(cell, metric)
    return Estimate(mean, error, "images" if math.isfinite(error) else "none", 1)


def _stored(rows: pd.DataFrame, metric: str) -> NDArray[np.float64]:
    """A column's numbers without the missing: a report asks ten thousand times."""
    values = rows[metric].to_numpy(np.float64, na_value=np.nan)
    return values[~np.isnan(values)]


def single_seeds(rows: pd.DataFrame, metric: str) -> str:
    """Return a column's values, seed by seed; "" but where they are too few for an interval."""
    values = _stored(rows, metric)
    if not 1 < len(values) < SEEDS_TO_RESAMPLE:
        return ""
    decimals = METRICS[metric].decimals + 1
    return ", ".join(number(float(value), decimals) for value in values)


def image_error(cell: Cell, metric: str) -> float:
    """Return the standard error of a per-image metric's mean over the test images, or NaN."""
    column = f"{metric}_std"
    if metric not in METRICS or not METRICS[metric].per_image or column not in cell.finals:
        return math.nan
    row = cell.finals.iloc[0]
    return float(row[column]) / math.sqrt(row["images"]) if row["images"] else math.nan


def half_width(found: Estimate) -> float:
    """Return half the 95 % interval of a mean; NaN where nothing supports one.

    Over seeds by Student's t, from three on; of one seed over its test images.
    """
    if found.over == "seeds" and found.seeds >= SEEDS_FOR_INTERVAL:
        return quantile(found.seeds) * found.spread / math.sqrt(found.seeds)
    return Z95 * found.spread if found.over == "images" else math.nan


@dataclass(frozen=True)
class Interval:
    """The 95 % interval of a mean and what it is over; NaN and "none" without one."""

    low: float
    high: float
    over: Ground


def interval(cell: Cell, metric: str) -> Interval:
    """Return the 95 % interval of a cell's mean, the same in tables, figures and the ledger.

    Over seeds from five on, by Student's t. Below, over test images where the metric has a score
    for each, over seeds from three on where it has none; of a distance of one seed over halves of
    the generated images, where those are stored.
    """
    found = estimate(cell, metric)
    error = image_error(cell, metric)
    if found.known and math.isfinite(error) and found.seeds < SEEDS_TO_RESAMPLE:
        return Interval(found.mean - Z95 * error, found.mean + Z95 * error, "images")
    if found.over == "seeds" and math.isfinite(half := half_width(found)):
        return Interval(found.mean - half, found.mean + half, "seeds")
    ends = [f"{metric}_low", f"{metric}_high"]
    if (
        found.seeds == 1
        and set(ends) <= set(cell.finals)
        and cell.finals[ends].notna().to_numpy().all()
    ):
        low, high = (float(cell.finals[end].iloc[0]) for end in ends)
        return Interval(low, high, "generated images")
    return Interval(math.nan, math.nan, "none")


def step_ratio(cell: Cell, reference: Cell | None) -> Estimate:
    """Return the time per image over that of `reference`, paired by seed, on equal hardware.

    With one seed there is one pair, which whatever else the machine did would decide: then the
    fastest training run of each cell, trials included, is the least disturbed. NaN without a
    reference or where device, precision or threads differ.
    """
    ratios = step_ratios(cell, reference)
    if ratios.empty or reference is None:
        return Estimate(math.nan, math.nan, "none", 0)
    if len(ratios) == 1:
        return Estimate(fastest(reference) / fastest(cell), math.nan, "none", 1)
    return Estimate(float(ratios.mean()), float(ratios.std(ddof=1)), "seeds", len(ratios))


def step_ratios(cell: Cell, reference: Cell | None) -> "pd.Series[float]":
    """Return the ratio of each seed that both cells have on equal hardware, by seed."""
    if reference is None:
        return pd.Series(dtype=float)
    keys = ["seed", *HARDWARE]
    columns = [*keys, "images_per_second"]
    own, other = (each.finals[columns] for each in (cell, reference))
    both = own.merge(other, on=keys, suffixes=("", "_reference")).set_index("seed")
    return (both["images_per_second_reference"] / both["images_per_second"]).dropna()


def fastest(cell: Cell) -> float:
    """Return the images per second of the cell's fastest training run, trials included."""
    return _speeds(cell)[1]


def timed(cell: Cell, reference: Cell) -> tuple[float, float]:
    """Return the least and the largest ratio of step times that the two cells' runs give.

    All trainings of a cell take the same steps: how far their speeds differ is what the machine did
    beside, and no ratio within it tells two losses apart.
    """
    (slow, fast), (others_slow, others_fast) = _speeds(cell), _speeds(reference)
    return others_slow / fast, others_fast / slow


def _speeds(cell: Cell) -> tuple[float, float]:
    """Images per second of the slowest and the fastest training run, trials included."""
    runs = pd.concat([each["images_per_second"] for each in (cell.finals, cell.tunes)])
    return float(runs.min()), float(runs.max())
