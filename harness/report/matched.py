"""Losses at one common rate: scores read off each loss's rate-quality curve."""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from harness.metrics import METRICS
from harness.report.collect import Cell, Group
from harness.report.figures_tuning import best_index, trials
from harness.report.monotone import pchip
from harness.report.table import Column, Entry, Row, Table, number, spanned

NO_OVERLAP = "no overlap"
_SIGNED = "_signature"
METHOD = "monotone interpolation in log KL (PCHIP)"


@dataclass(frozen=True)
class _Curve:
    """A cell's models at several rates, by increasing KL, and the rate of the one it reports."""

    cell: Cell
    rows: pd.DataFrame
    tuned: float

    @property
    def ends(self) -> tuple[float, float]:
        return float(self.rows["kl"].iloc[0]), float(self.rows["kl"].iloc[-1])


def matched_table(group: Group) -> Table | None:
    """Return each loss's scores at one rate, read off its tuning trials; None below two losses."""
    found = [_curve(cell, rows, best_index(rows, group.objective)) for cell, rows in trials(group)]
    curves = [each for each in found if each is not None]
    chosen = group.protocol.get("select_on") or "validation"
    return _table(
        group,
        curves,
        f"{group.slug}-rate-matched",
        f"{group.title} at one rate, tuning budget",
        f"from the trials of each loss: tuning budget, {chosen}. One training per trial with the "
        "tuning's own seeds: for orientation, not to be quoted, no interval, not ranked.",
    )


def full_matched_table(group: Group) -> Table | None:
    """Return each loss's scores at one rate, read off its models of the full budget.

    They are the curve points that `curve_points` adds and the final model of the same seed, all
    scored on the test split. None where fewer than two losses have such points.
    """
    found = [_full(cell) for cell in group.measured]
    curves = [each for each in found if each is not None]
    models = spanned(len(each.rows) for each in curves)
    return _table(
        group,
        curves,
        f"{group.slug}-rate-matched-full",
        f"{group.title} at one rate, full budget",
        f"from {models} models of each loss: full budget, test split, seed 0. One training per "
        "model: no interval, not ranked.",
    )


def _curve(cell: Cell, rows: pd.DataFrame, tuned: int) -> _Curve | None:
    """The curve of some models, of which `tuned` is the reported one's label."""
    rate = float(rows["kl"][tuned])
    known = rows[rows["kl"] > 0].sort_values("kl", kind="stable").drop_duplicates("kl")
    return _Curve(cell, known, rate) if len(known) > 1 else None


def _full(cell: Cell) -> _Curve | None:
    points, finals = cell.curves, cell.finals[cell.finals["seed"] == 0]
    if points.empty or finals.empty:
        return None
    names = [name for name in points if name == "kl" or str(name).removesuffix(_SIGNED) in METRICS]
    rows = pd.DataFrame({name: [finals[name].iloc[0], *points[name]] for name in names})
    return _curve(cell, rows, 0)


def _table(group: Group, curves: list[_Curve], name: str, title: str, source: str) -> Table | None:
    if len(curves) < 2:
        return None
    tuned = [each.tuned for each in curves if each.tuned > 0]
    rate = common_rate([each.ends for each in curves], tuned or [curves[0].ends[0]])
    metrics, left_out = _metrics(group, curves)
    known = [METRICS[metric] for metric in metrics]
    reached = sum(low <= rate <= high for low, high in (each.ends for each in curves))
    missing = f" {NO_OVERLAP.capitalize()}: no model of the loss on one side of that rate."
    return Table(
        name,
        title,
        f"Scores at KL = {number(rate, 1)} nats, by {METHOD} {source}"
        f"{missing if reached < len(curves) else ''}",
        (
            *(Column(m.name, m.label, m.unit, m.direction) for m in known),
            Column("kl_range", "KL reached", "nats", text=True),
            Column("points", "Models"),
        ),
        tuple(
            Row(
                each.cell.label,
                (
                    *(_at(each.rows, metric, rate) for metric in metrics),
                    Entry("–".join(number(end, 1) for end in each.ends)),
                    Entry(str(len(each.rows)), len(each.rows)),
                ),
                each.cell.label,
            )
            for each in curves
        ),
        left_out,
    )


def _metrics(group: Group, curves: list[_Curve]) -> tuple[list[str], tuple[str, ...]]:
    """The metrics to print and a note on those that not all models have of one kind."""
    names = dict.fromkeys(("psnr", "ssim", "lpips", group.objective))
    counts = {name: len(_signatures(curves, name)) for name in names}
    several = [METRICS[name].label for name, count in counts.items() if count > 1]
    note = f"Left out, for its numbers bear several signatures: {', '.join(several)}."
    return [name for name, count in counts.items() if count == 1], (note,) if several else ()


def _signatures(curves: list[_Curve], metric: str) -> set[str]:
    """What the metric's finite numbers bear; empty where there are none."""
    found: set[str] = set()
    for each in curves:
        rows = each.rows.reindex(columns=[metric, metric + _SIGNED]).dropna(subset=[metric])
        found.update(rows[metric + _SIGNED].fillna(""))
    return found


def common_rate(ranges: list[tuple[float, float]], tuned: list[float]) -> float:
    """Return the rate of a tuned model that lies in the most ranges, the middle one of equals."""
    covered = {rate: sum(low <= rate <= high for low, high in ranges) for rate in tuned}
    best = sorted(rate for rate, count in covered.items() if count == max(covered.values()))
    return best[len(best) // 2]


def _at(rows: pd.DataFrame, metric: str, rate: float) -> Entry:
    known = rows.reindex(columns=["kl", metric]).dropna()
    if len(known) < 2 or not known["kl"].iloc[0] <= rate <= known["kl"].iloc[-1]:
        return Entry(NO_OVERLAP, note="no model of this loss on one side of that rate")
    log_rates = np.log(known["kl"].to_numpy(np.float64))
    value = pchip(log_rates, known[metric].to_numpy(np.float64), math.log(rate))
    return Entry(number(value, METRICS[metric].decimals), value)
