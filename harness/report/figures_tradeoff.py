"""Rate against distortion and against generation distance, every trial a point."""

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.metrics import METRICS
from harness.report.collect import Cell, Group
from harness.report.drawing import INK, WIDE, Drawn, log_axis, panel, style
from harness.report.figures_tuning import best_index, metric_label, panel_height, trials
from harness.report.labels import Label, end_labels, room
from harness.report.palette import Look
from harness.report.table import Column, Entry, Row, Table, number

DISTORTION = "mse"


def tradeoff_figure(group: Group, looks: dict[str, Look]) -> Drawn | None:
    """Draw KL against MSE and against the objective for all trials; None without any."""
    found = [(cell, rows.dropna(subset=["kl", DISTORTION])) for cell, rows in trials(group)]
    found = [(cell, rows[rows["kl"] > 0]) for cell, rows in found]
    found = [(cell, rows) for cell, rows in found if len(rows)]
    if not found:
        return None
    name = f"{group.slug}-tradeoff"
    with style(name):
        right, height = room([cell.label for cell, _ in found]), panel_height(len(found))
        figure = Figure(figsize=(WIDE, height + 0.6))
        width = (WIDE - 0.62 - 0.75 - right) / 2
        ends: list[Label] = []
        for index, metric in enumerate((DISTORTION, group.objective)):
            axes = panel(figure, 0.62 + index * (width + 0.75), 0.45, width, height)
            ends = [_curve(axes, cell, rows, metric, looks[cell.label]) for cell, rows in found]
            _scales(axes, found, metric)
            axes.set_xlabel("rate: KL (nats per image)")
            axes.set_ylabel(metric_label(metric))
        end_labels(axes, ends)
    alt = (
        f"Rate against MSE and against {METRICS[group.objective].label} for all trials of "
        f"{len(found)} losses on {group.title}; the tuned trial of each is ringed."
    )
    columns = list(dict.fromkeys(["trial", "beta", "kl", DISTORTION, group.objective]))
    data = pd.concat([rows[columns].assign(loss=cell.label) for cell, rows in found])
    return Drawn(name, figure, alt, data[["loss", *columns]])


def _curve(axes: Axes, cell: Cell, rows: pd.DataFrame, metric: str, look: Look) -> Label:
    ordered = rows.sort_values("kl")
    line = look.line() | {"linewidth": 0.8, "marker": look.marker, "markeredgewidth": 0}
    axes.plot(ordered["kl"], ordered[metric], **line)
    tuned = rows[np.isclose(rows["beta"], tuned_beta(cell), rtol=1e-6)]
    if len(tuned):
        axes.plot(
            tuned["kl"].iloc[0],
            tuned[metric].iloc[0],
            look.marker,
            markersize=6.5,
            markerfacecolor=look.colour,
            markeredgecolor=INK,
            markeredgewidth=1.0,
        )
    last = ordered.iloc[-1]
    return Label(cell.label, float(last["kl"]), float(last[metric]), look)


def tuned_beta(cell: Cell) -> float:
    """Return the β of the final models, NaN without one."""
    betas = cell.attempts["beta"].dropna()
    return float(betas.iloc[0]) if len(betas) else math.nan


def _scales(axes: Axes, found: list[tuple[Cell, pd.DataFrame]], metric: str) -> None:
    rates = pd.concat([rows["kl"] for _, rows in found])
    values = pd.concat([rows[metric] for _, rows in found])
    axes.set_xlim(rates.min() / 1.3, rates.max() * 1.3)
    if rates.max() / rates.min() > 3:
        log_axis(axes, "x")
    if (values > 0).all() and values.max() / values.min() > 10:
        axes.set_ylim(values.min() / 1.2, values.max() * 1.2)
        log_axis(axes, "y")


def matched_table(group: Group) -> Table | None:
    """Return each loss's scores at one common rate, interpolated between its trials.

    Scores are linear in log KL between neighbouring trials, never extrapolated. None with fewer
    than two losses.
    """
    found = [(cell, rows[rows["kl"] > 0].sort_values("kl")) for cell, rows in trials(group)]
    found = [(cell, rows) for cell, rows in found if len(rows) > 1]
    if len(found) < 2:
        return None
    rate = common_rate(
        [(rows["kl"].iloc[0], rows["kl"].iloc[-1]) for _, rows in found],
        [float(rows["kl"][best_index(rows, group.objective)]) for _, rows in found],
    )
    metrics = list(dict.fromkeys(("psnr", "ssim", group.objective)))
    entries = [tuple(_at(rows, metric, rate) for metric in metrics) for _, rows in found]
    known = [METRICS[metric] for metric in metrics]
    chosen = group.protocol.get("select_on") or "validation"
    return Table(
        f"{group.slug}-rate-matched",
        f"{group.title} at one rate",
        f"Scores at KL = {number(rate, 1)} nats, interpolated in log KL between the trials of each "
        f"loss ({chosen} split, tuning budget); — where its trials do not reach that rate. "
        "One training per trial: no interval, not ranked.",
        tuple(Column(m.name, m.label, m.unit, m.direction) for m in known),
        tuple(
            Row(cell.label, each, cell.label)
            for (cell, _), each in zip(found, entries, strict=True)
        ),
    )


def common_rate(ranges: list[tuple[float, float]], tuned: list[float]) -> float:
    """Return the rate of a tuned trial that lies in the most ranges, the middle one of equals."""
    covered = {rate: sum(low <= rate <= high for low, high in ranges) for rate in tuned}
    best = sorted(rate for rate, count in covered.items() if count == max(covered.values()))
    return best[len(best) // 2]


def _at(rows: pd.DataFrame, metric: str, rate: float) -> Entry:
    known = rows.dropna(subset=[metric])
    if len(known) < 2 or not known["kl"].iloc[0] <= rate <= known["kl"].iloc[-1]:
        return Entry(note="outside the rates of its trials")
    value = float(np.interp(math.log(rate), np.log(known["kl"]), known[metric]))
    return Entry(number(value, METRICS[metric].decimals), value)
