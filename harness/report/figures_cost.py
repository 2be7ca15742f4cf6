"""Quality against cost."""

import itertools
import math
import textwrap

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.metrics import METRICS
from harness.report.collect import Cell, Group
from harness.report.drawing import INK, NARROW, QUIET, WIDE, Drawn, log_axis, panel, style
from harness.report.labels import Label, point_labels
from harness.report.main_table import REFERENCE
from harness.report.palette import Look
from harness.report.quality import meaning, quality_data

LINE_HEIGHT = 0.15  # inches of a line of text
CROWDED = 10  # losses from which on the chart takes two columns
LONG = 18  # letters of a name from which on it does
MOST_NAMED = 15  # losses up to which the chart names them all


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
        wide = len(data) > CROWDED or max(map(len, data["loss"])) > LONG
        width, height = (WIDE, 4.2) if wide else (NARROW, 2.75)
        named = _named(data)
        key = "; ".join(filter(None, (meaning(data), _unnamed(data, named))))
        said = textwrap.wrap(key, width=int(18 * width - 8))
        figure = Figure(figsize=(width, height + LINE_HEIGHT * len(said)))
        axes = panel(figure, 0.62, 0.45, width - 0.8, height - 0.6)
        across, up = figure.get_size_inches()
        figure.text(0.08 / across, 1 - 0.03 / up, "\n".join(said), va="top", color=QUIET)
        axes.set_xlabel(cost_label(group.cell(REFERENCE)))
        unit = f" ({metric.unit})" if metric.unit else ""
        better = {"minimize": "lower", "maximize": "higher", "none": "neither"}[metric.direction]
        axes.set_ylabel(f"{metric.label}{unit}, {better} is better")
        _scale(axes, data)
        _points(axes, data, named, looks, _front(axes, data))
    alt = (
        f"{metric.label} against step time on {group.title}. On the Pareto front: "
        f"{', '.join(data[data['pareto']]['loss'])}."
    )
    alt += f" {meaning(data).capitalize()}." if meaning(data) else ""
    alt += f" {_unnamed(data, named).capitalize()}." if _unnamed(data, named) else ""
    return Drawn(name, figure, alt, data)


def _named(data: pd.DataFrame) -> set[str]:
    """The losses that the chart names: in a crowd the front, the reference and the extremes."""
    if len(data) <= MOST_NAMED:
        return set(data["loss"])
    ends = [data.loc[at, "loss"] for axis in ("cost", "quality")
            for at in (data[axis].idxmin(), data[axis].idxmax())]  # fmt: skip
    known = data["pareto"] | (data["spec"] == REFERENCE) | data["loss"].isin(ends)
    return set(data.loc[known, "loss"])


def _unnamed(data: pd.DataFrame, named: set[str]) -> str:
    """Say what stands in the chart without a name, "" where nothing does."""
    count = len(data) - len(named)
    if not count:
        return ""
    whose = "its name" if count == 1 else "their names"
    losses = "1 loss" if count == 1 else f"{count} losses"
    return f"{losses} without a name: the table has {whose}"


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
    axes: Axes,
    data: pd.DataFrame,
    named: set[str],
    looks: dict[str, Look],
    front: list[tuple[float, float]],
) -> None:
    for row in data.itertuples():
        look, big = looks[str(row.loss)], row.loss in named
        axes.errorbar(
            row.cost,
            row.quality,
            xerr=_whisker(row.cost, row.cost_low, row.cost_high),
            yerr=_whisker(row.quality, row.quality_low, row.quality_high),
            fmt=look.marker,
            color=look.colour,
            markeredgecolor=INK,
            markeredgewidth=0.4,
            markersize=5 if big else 3.2,
            elinewidth=0.8 if big else 0.5,
        )
        seeds = [[float(x) for x in each.split()] for each in (row.cost_seeds, row.quality_seeds)]
        axes.plot(*seeds, look.marker, color=look.colour, markersize=2.4, markeredgewidth=0)
    labels = [Label(str(r.loss), r.cost, r.quality, looks[str(r.loss)]) for r in data.itertuples()]
    own = [label for label in labels if label.text in named]
    others = [(x.x, x.y) for x in labels if x.text not in named]
    point_labels(axes, own, front, others, _bars(data))


def _bars(data: pd.DataFrame) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    """The ends of what `errorbar` draws."""
    found = []
    for row in data.itertuples():
        if across := _reached(row.cost, row.cost_low, row.cost_high):
            found.append(((across[0], row.quality), (across[1], row.quality)))
        if up := _reached(row.quality, row.quality_low, row.quality_high):
            found.append(((row.cost, up[0]), (row.cost, up[1])))
    return found


def _whisker(value: float, low: float, high: float) -> list[list[float]] | None:
    ends = _reached(value, low, high)
    return ends and [[value - ends[0]], [ends[1] - value]]


def _reached(value: float, low: float, high: float) -> tuple[float, float] | None:
    """From where to where a whisker goes; None without an interval."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return None
    # Halves of the samples may have their interval beside the distance of all.
    return min(low, value), max(high, value)
