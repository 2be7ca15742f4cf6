"""Quality and cost of each loss of a group, with intervals and single seeds."""

import math

import pandas as pd

from harness.metrics import METRICS
from harness.report.collect import Cell, Group
from harness.report.main_table import REFERENCE
from harness.report.means import (
    GROUNDS,
    SEEDS_TO_RESAMPLE,
    Estimate,
    Interval,
    estimate,
    half_width,
    interval,
    step_ratio,
    step_ratios,
    timed,
)
from harness.report.ties import rankable

_ENDS = ("low", "high", "over")


def cost_of(cell: Cell, reference: Cell | None) -> Estimate:
    """Return the step time over the reference's, or seconds per 1,000 images without one."""
    if reference is not None:
        return step_ratio(cell, reference)
    return estimate(cell, "seconds_per_1000", _seconds(cell))


def quality_data(group: Group) -> pd.DataFrame:
    """Return one row per loss with a finite objective and cost.

    `cost` and `quality` are means, with `_spread` (standard deviation over seeds), `_low` and
    `_high` (95 % interval; of one seed's cost the range of its timings), `_over` (what that is
    over) and `_seeds` (the single seeds, where they are two to four, as text); `pareto` tells
    whether no other loss is as cheap and as good, among those that may be ranked.
    """
    reference = group.cell(REFERENCE)
    rows = [_row(cell, reference, group.objective) for cell in group.measured]
    columns = ["loss", "spec", "cost", "cost_spread", "quality", "quality_spread"]
    columns += [f"{axis}_{end}" for axis in ("cost", "quality") for end in (*_ENDS, "seeds")]
    data = pd.DataFrame([row for row in rows if row is not None], columns=columns)
    sign = -1 if METRICS[group.objective].direction == "maximize" else 1
    fair = {each.label for each in rankable(group.measured, group.objective)}
    ranked = data[data["loss"].isin(fair)]
    front = [row.loss in fair and _on_front(ranked, row, sign) for row in data.itertuples()]
    return data.assign(pareto=front)


def _row(cell: Cell, reference: Cell | None, metric: str) -> dict[str, object] | None:
    quality, cost = estimate(cell, metric), cost_of(cell, reference)
    if not (quality.known and cost.known):
        return None
    price = _price(cell, reference, cost)
    seeds = _seeds(cell, reference, metric)
    return {
        "loss": cell.label,
        "spec": cell.loss,
        "cost": cost.mean,
        "cost_spread": cost.spread,
        "quality": quality.mean,
        "quality_spread": quality.spread,
        **{f"cost_{end}": getattr(price, end) for end in _ENDS},
        **{f"quality_{end}": getattr(interval(cell, metric), end) for end in _ENDS},
        "cost_seeds": " ".join(f"{value:.6g}" for value in seeds["cost"]),
        "quality_seeds": " ".join(f"{value:.6g}" for value in seeds["quality"]),
    }


def _price(cell: Cell, reference: Cell | None, cost: Estimate) -> Interval:
    """The 95 % interval over seeds from five on; of a single seed the range of its timings."""
    if cost.seeds >= SEEDS_TO_RESAMPLE:
        half = half_width(cost)
        return Interval(cost.mean - half, cost.mean + half, "seeds")
    if cost.seeds == 1 and reference is not None and cell is not reference and len(cell.tunes):
        return Interval(*timed(cell, reference), "timings")
    return Interval(math.nan, math.nan, "none")


def _seeds(cell: Cell, reference: Cell | None, metric: str) -> pd.DataFrame:
    """Cost and quality of each seed, where there are several but too few for an interval."""
    costs = step_ratios(cell, reference) if reference is not None else _seconds(cell).iloc[:, 0]
    quality = cell.finals.set_index("seed")[metric]
    found = pd.DataFrame({"cost": costs, "quality": quality}).dropna()
    return found if 1 < len(found) < SEEDS_TO_RESAMPLE else found.iloc[:0]


def _seconds(cell: Cell) -> pd.DataFrame:
    rows = cell.finals.set_index("seed")
    return (1000 / rows["images_per_second"]).to_frame("seconds_per_1000")


def _on_front(data: pd.DataFrame, row: object, sign: int) -> bool:
    """No other loss is at least as cheap and at least as good, and better in one of both."""
    cost, quality = getattr(row, "cost"), sign * getattr(row, "quality")  # noqa: B009
    others = sign * data["quality"]
    no_worse = (data["cost"] <= cost) & (others <= quality)
    better = (data["cost"] < cost) | (others < quality)
    return not bool((no_worse & better).any())


def meaning(data: pd.DataFrame) -> str:
    """Return what whiskers and small points of the figure are, "" where there are neither."""
    over = [each for each in GROUNDS if each in _grounds(data)]
    parts = [f"bars: 95 % interval over {' or '.join(over)}"] if over else []
    if "timings" in set(data["cost_over"]):
        parts += ["horizontal bars: range of the timings, trials included"]
    parts += ["small points: seeds"] if (data["quality_seeds"] != "").any() else []
    return "; ".join(parts)


def _grounds(data: pd.DataFrame) -> set[str]:
    return set(data["quality_over"])
