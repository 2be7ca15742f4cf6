"""Rate against distortion and against generation distance, every trial a point."""

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.metrics import METRICS
from harness.report.collect import Cell, Group
from harness.report.drawing import INK, WIDE, Drawn, log_axis, panel, style
from harness.report.figures_tuning import metric_label, panel_height, trials
from harness.report.labels import Label, end_labels, room
from harness.report.palette import Look

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
    if (values > 0).all() and values.max() / values.min() > 4:
        axes.set_ylim(values.min() / 1.2, values.max() * 1.2)
        log_axis(axes, "y")
