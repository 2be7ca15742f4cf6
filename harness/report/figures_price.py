"""The price of each loss in time and memory."""

import math

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.report.abbreviations import shortened
from harness.report.collect import Cell, Group
from harness.report.drawing import INK, WIDE, Drawn, panel, style
from harness.report.figures_cost import cost_label
from harness.report.main_table import REFERENCE
from harness.report.means import estimate
from harness.report.palette import Look
from harness.report.quality import cost_of
from harness.report.table import number


def price_figure(group: Group, looks: dict[str, Look]) -> Drawn | None:
    """Draw step time and peak memory per loss as dots on a line; None without a number."""
    reference = group.cell(REFERENCE)
    data = _price_data(group, reference)
    if data.empty:
        return None
    name = f"{group.slug}-price"
    with style(name):
        short = shortened(data["loss"])
        names = [short[each] for each in data["loss"]]
        left = 0.3 + 0.068 * max(map(len, names))
        height = 0.19 * len(data)
        figure = Figure(figsize=(WIDE, height + 0.6))
        width = (WIDE - left - 1.15) / 2
        for index, column in enumerate(("time", "memory")):
            axes = panel(figure, left + index * (width + 0.6), 0.45, width, height)
            _bars(axes, data, column, looks)
            axes.set_yticks(range(len(data)), names if index == 0 else [""] * len(data))
            if index == 0:
                _marks(axes, data, looks, width)
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


def _marks(axes: Axes, data: pd.DataFrame, looks: dict[str, Look], inches: float) -> None:
    """Put each loss's mark beside its name: variants of a loss have bars of one colour."""
    for index, loss in enumerate(data["loss"]):
        look = looks[str(loss)]
        axes.plot(-0.07 / inches, index, look.marker, color=look.colour, markersize=4,
                  markeredgewidth=0, clip_on=False,
                  transform=axes.get_yaxis_transform())  # fmt: skip
    axes.tick_params(axis="y", pad=9)
