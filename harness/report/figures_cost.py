"""Quality against cost, and the price of each loss in time and memory."""

import itertools
import math
import textwrap

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.metrics import METRICS
from harness.report.collect import Cell, Group
from harness.report.drawing import INK, NARROW, QUIET, WIDE, Drawn, log_axis, panel, short, style
from harness.report.labels import Label, point_labels
from harness.report.main_table import REFERENCE
from harness.report.means import estimate
from harness.report.palette import Look
from harness.report.quality import cost_of, meaning, quality_data
from harness.report.table import number

LINE_HEIGHT = 0.15  # inches of a line of text
CROWDED = 10  # losses from which on the chart takes two columns


def cost_label(reference: Cell | None) -> str:
    """Return the axis label of `cost_of`."""
    return f"step time (× {REFERENCE})" if reference else "training time per 1,000 images (s)"


def quality_figure(group: Group, looks: dict[str, Look]) -> Drawn | None:
    """Draw the objective against the step time with the Pareto front; None without two points."""
    data = quality_data(group)
    if len(data) < 2:
        return None
    metric = METRICS[group.objective]
    name = f"{group.slug}-quality-cost"
    with style(name):
        wide = len(data) > CROWDED
        width, height = (WIDE, 4.2) if wide else (NARROW, 2.75)
        said = textwrap.wrap(meaning(data), width=int(20 * width - 8))
        figure = Figure(figsize=(width, height + LINE_HEIGHT * len(said)))
        axes = panel(figure, 0.62, 0.45, width - 0.8, height - 0.6)
        across, up = figure.get_size_inches()
        figure.text(0.08 / across, 1 - 0.03 / up, "\n".join(said), va="top", color=QUIET)
        axes.set_xlabel(cost_label(group.cell(REFERENCE)))
        unit = f" ({metric.unit})" if metric.unit else ""
        better = {"minimize": "lower", "maximize": "higher", "none": "neither"}[metric.direction]
        axes.set_ylabel(f"{metric.label}{unit}, {better} is better")
        _scale(axes, data)
        _points(axes, data, looks, _front(axes, data))
    alt = (
        f"{metric.label} against step time on {group.title}. On the Pareto front: "
        f"{', '.join(data[data['pareto']]['loss'])}."
    )
    alt += f" {meaning(data).capitalize()}." if meaning(data) else ""
    return Drawn(name, figure, alt, data)


def _scale(axes: Axes, data: pd.DataFrame) -> None:
    """Leave room around the points for their names, for whiskers and for single seeds."""
    (low, high), (bottom, top) = _reach(data, "quality")
    if low > 0 and high / low > 20:
        # A whisker that reaches 0 has no end on a logarithmic axis: it leaves at the bottom.
        axes.set_ylim(min(low / 1.3, bottom / 1.1 if bottom > 0 else low / 3), 1.1 * max(high, top))
        log_axis(axes, "y")
    else:
        margin = 0.12 * ((high - low) or abs(high) or 1.0)
        axes.set_ylim(
            min(low - margin, bottom - margin / 3), max(high + 1.4 * margin, top + margin / 3)
        )
    (left, right), (start, end) = _reach(data, "cost")
    room = 0.12 * ((right - left) or right)
    axes.set_xlim(min(left - room, start - room / 3), max(right + 2.2 * room, end + room / 3))


def _reach(data: pd.DataFrame, column: str) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the range of a column, without and with its whiskers and seeds."""
    values, spread = data[column], data[f"{column}_spread"].fillna(0.0)
    seeds = [float(x) for each in data[f"{column}_seeds"] for x in each.split()]
    lows = [(values - spread).min(), data[f"{column}_low"].min(), *seeds]
    highs = [(values + spread).max(), data[f"{column}_high"].max(), *seeds]
    return (values.min(), values.max()), (float(np.nanmin(lows)), float(np.nanmax(highs)))


def _front(axes: Axes, data: pd.DataFrame) -> list[tuple[float, float]]:
    """Draw the Pareto front and return its corners."""
    front = data[data["pareto"]].sort_values("cost")
    axes.plot(
        front["cost"],
        front["quality"],
        drawstyle="steps-post",
        color=QUIET,
        linewidth=0.8,
        linestyle=(0, (3, 2)),
        zorder=1,
    )
    points = list(zip(front["cost"], front["quality"], strict=True))
    corners = [(right[0], left[1]) for left, right in itertools.pairwise(points)]
    return [point for pair in itertools.zip_longest(points, corners) for point in pair if point]


def _points(
    axes: Axes, data: pd.DataFrame, looks: dict[str, Look], front: list[tuple[float, float]]
) -> None:
    for row in data.itertuples():
        look = looks[str(row.loss)]
        axes.errorbar(
            row.cost,
            row.quality,
            xerr=_whisker(row.cost, row.cost_low, row.cost_high),
            yerr=_whisker(row.quality, row.quality_low, row.quality_high),
            fmt=look.marker,
            color=look.colour,
            markeredgecolor=INK,
            markeredgewidth=0.4,
            markersize=5,
            elinewidth=0.8,
        )
        seeds = [[float(x) for x in each.split()] for each in (row.cost_seeds, row.quality_seeds)]
        axes.plot(*seeds, look.marker, color=look.colour, markersize=2.4, markeredgewidth=0)
    point_labels(
        axes,
        [Label(str(r.loss), r.cost, r.quality, looks[str(r.loss)]) for r in data.itertuples()],
        front,
    )


def _whisker(value: float, low: float, high: float) -> list[list[float]] | None:
    if not (math.isfinite(low) and math.isfinite(high)):
        return None
    # Halves of the samples may have their interval beside the distance of all.
    return [[max(0.0, value - low)], [max(0.0, high - value)]]


def price_figure(group: Group, looks: dict[str, Look]) -> Drawn | None:
    """Draw step time and peak memory per loss as dots on a line; None without a number."""
    reference = group.cell(REFERENCE)
    data = _price_data(group, reference)
    if data.empty:
        return None
    name = f"{group.slug}-price"
    with style(name):
        names = [short(each) for each in data["loss"]]
        left = 0.2 + 0.068 * max(map(len, names))
        height = 0.19 * len(data)
        figure = Figure(figsize=(WIDE, height + 0.6))
        width = (WIDE - left - 1.15) / 2
        for index, column in enumerate(("time", "memory")):
            axes = panel(figure, left + index * (width + 0.6), 0.45, width, height)
            _bars(axes, data, column, looks)
            axes.set_yticks(range(len(data)), names if index == 0 else [""] * len(data))
            axes.set_xlabel((cost_label(reference), _memory_label(reference))[index])
    alt = f"Step time and peak memory of {len(data)} losses on {group.title}."
    return Drawn(name, figure, alt, data)


def _memory_label(reference: Cell | None) -> str:
    return f"peak memory (× {REFERENCE})" if reference else "peak memory (MiB)"


def _price_data(group: Group, reference: Cell | None) -> pd.DataFrame:
    own = estimate(reference, "peak_memory_mib").mean if reference else 1.0
    rows = []
    for cell in group.measured:
        time, memory = cost_of(cell, reference), estimate(cell, "peak_memory_mib")
        rows.append((cell.label, cell.loss, time.mean, time.spread, memory.mean / own))
    columns = ["loss", "spec", "time", "time_spread", "memory"]
    return pd.DataFrame(rows, columns=columns).dropna(subset=["time", "memory"], how="all")


def _bars(axes: Axes, data: pd.DataFrame, column: str, looks: dict[str, Look]) -> None:
    top = float(data[column].max())
    for index, row in enumerate(data.itertuples()):
        value, look = float(getattr(row, column)), looks[str(row.loss)]
        if not math.isfinite(value):
            continue
        axes.barh(index, value, height=0.62, color=look.colour, edgecolor=INK, linewidth=0.4)
        axes.text(value + 0.02 * top, index, number(value, 2), va="center_baseline")
    axes.set_ylim(len(data) - 0.4, -0.6)
    axes.set_xlim(0, 1.12 * top if top > 0 else 1)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
