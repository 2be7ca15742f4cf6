"""Mean ranks with the losses that cannot be told apart, and the ranks by dataset and metric."""

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from harness.metrics import METRICS
from harness.report.abbreviations import shortened
from harness.report.collect import Group
from harness.report.drawing import INK, QUIET, WIDE, Drawn, panel, style
from harness.report.leading import MOST
from harness.report.palette import Look
from harness.report.rank_table import condition_names
from harness.report.rank_words import not_ranked, objective
from harness.report.ranks import standing
from harness.report.ranks_key import LETTER, LINE, above, key, without_rank
from harness.report.standing import Standing

ROW = 0.175  # inches
_DARK = "#14171f"  # not the reader's ink: it stands on a colour of our own


def rank_figure(
    groups: list[Group], looks: dict[str, Look], known: Standing | None = None
) -> Drawn | None:
    """Draw mean ranks and ranges, bars that join what no test tells apart, and ranks by condition.

    Demšar's critical-difference diagram turned on its side, so that it holds dozens of losses: dots
    are mean ranks by the objective, lines their range over the blocks, rings mean ranks over all
    metrics. At the right the rank by condition and by metric. None where nothing repeats. `known`
    is the groups' `standing` where it was computed before.
    """
    found = known or standing(groups)
    if found is None:
        return None
    losses = list(found.means.index[:MOST])
    blocks = _maps(found, losses)
    short = shortened(losses)
    names = {loss: short[loss] for loss in losses}
    foot = without_rank(found)
    with style("ranks"):
        left = 0.16 + LETTER * 1.1 * max(map(len, names.values()))
        cell = min(0.36, 2.6 / sum(f.shape[1] for _, f in blocks))
        right = WIDE - 0.06 - sum(f.shape[1] * cell + 0.14 for _, f in blocks)
        runs = _columns(found.joined(), len(losses))
        step = min(0.07, 0.9 / max(1, len(runs)))
        width = right - left - 0.12 - step * len(runs)
        lines = key(found, len(losses), width)
        heads = LETTER * 1.1 * max(len(n) for _, f in blocks for n in f.columns)
        top = 0.15 + max(above(found) + LINE * len(lines), heads)
        height, base = ROW * len(losses), 0.5 + LINE * len(foot)
        figure = Figure(figsize=(WIDE, base + height + top))
        axes = panel(figure, left, base, width, height)
        _dots(axes, found, names, looks)
        _bars(axes, runs, step)
        _scale(axes, found, lines)
        if foot:
            figure.text(0.08 / WIDE, 0.06 / figure.get_figheight(), "\n".join(foot), va="bottom")
        for word, frame in blocks:
            right += 0.14
            width = cell * frame.shape[1]
            _map(panel(figure, right, base, width, height), frame, word, len(found.means))
            right += width
    return Drawn("ranks", figure, _in_words(found), _data(found))


def _maps(found: Standing, losses: list[str]) -> list[tuple[str, pd.DataFrame]]:
    """Ranks by condition, where there are several, and by metric; named as the figure shows it."""
    names = condition_names(found)
    short = shortened(names.values())
    by_condition = found.conditions[losses].T.rename(columns=lambda slug: short[names[slug]])
    by_metric = found.by_metric[losses].T.rename(columns=lambda metric: METRICS[metric].label)
    kind = next((key for key in ("dataset", "model") if _differ(found, key)), "condition")
    chosen = [(f"by {kind}", by_condition)] if by_condition.shape[1] > 1 else []
    return chosen + ([("by metric", by_metric)] if by_metric.shape[1] else [])


def _differ(found: Standing, key: str) -> bool:
    return len({getattr(group, key) for group in found.groups}) == len(found.groups)


def _dots(axes: Axes, found: Standing, names: dict[str, str], looks: dict[str, Look]) -> None:
    overall = found.by_metric.mean()
    losses = list(names)
    for place, loss in enumerate(losses):
        look, own = looks[loss], found.blocks[loss]
        axes.plot([own.min(), own.max()], [place, place], color=look.colour, linewidth=1.0)
        axes.plot(overall[loss], place, "o", markersize=6.5, markerfacecolor="none",
                  markeredgecolor=QUIET, markeredgewidth=0.8)  # fmt: skip
        axes.plot(found.means[loss], place, look.marker, markersize=4.5, color=look.colour,
                  markeredgecolor=INK, markeredgewidth=0.4)  # fmt: skip
    axes.set_yticks(range(len(losses)), list(names.values()))
    axes.set_ylim(len(losses) - 0.5, -0.5)
    axes.set_xlim(0.6, len(found.means) + 0.4)
    step = next(step for step in (1, 2, 5, 10, 50, 100, 500) if len(found.means) <= 12 * step)
    axes.set_xticks([1, *range(step if step > 1 else 2, len(found.means) + 1, step)])
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("rank (1 is best)")


def _columns(runs: list[tuple[int, int]], shown: int) -> list[list[tuple[int, int]]]:
    """Put runs that overlap into columns of their own; runs below the last row shown end there."""
    columns: list[list[tuple[int, int]]] = []
    for first, last in runs:
        run = (first, min(last, shown - 1))
        if run[1] <= first:
            continue
        free = next((each for each in columns if each[-1][1] < first), None)
        if free is None:
            columns.append([run])
        else:
            free.append(run)
    return columns


def _bars(axes: Axes, columns: list[list[tuple[int, int]]], step: float) -> None:
    width = _inches(axes)[0]
    for index, column in enumerate(columns):
        x = 1 + (0.07 + step * index) / width
        for first, last in column:
            axes.plot([x, x], [first - 0.3, last + 0.3], transform=axes.get_yaxis_transform(),
                      color=INK, linewidth=2.0, solid_capstyle="butt", clip_on=False)  # fmt: skip


def _scale(axes: Axes, found: Standing, lines: list[str]) -> None:
    """Write the key above the axes, and draw the critical difference to scale."""
    height = _inches(axes)[1]
    if found.told_apart:
        axes.plot([1, 1 + found.critical], [1 + 0.12 / height] * 2, color=INK, linewidth=2.0,
                  transform=axes.get_xaxis_transform(), solid_capstyle="butt",
                  clip_on=False)  # fmt: skip
    for index, row in enumerate(reversed(lines)):
        y = 1 + (above(found) + LINE * (index + 0.5)) / height
        axes.text(0, y, row, transform=axes.transAxes, va="center_baseline")


def _map(axes: Axes, frame: pd.DataFrame, word: str, worst: int) -> None:
    """Draw ranks as colours, best darkest, with the numbers on them where they fit."""
    colours = colormaps["Blues_r"]
    cell = _inches(axes)[0] / frame.shape[1]
    rounded = cell < (0.24 if worst < 10 else 0.29)
    for (row, column), rank in np.ndenumerate(frame.to_numpy()):
        share = (rank - 1) / max(1, worst - 1)
        known = math.isfinite(rank)
        fill = colours(0.08 + 0.84 * share) if known else "none"
        axes.add_patch(_square(column, row, fill))
        if cell >= 0.17:
            ink = ("white" if share < 0.45 else _DARK) if known else QUIET
            axes.text(column, row, _printed(rank, rounded=rounded), ha="center",
                      va="center_baseline", color=ink)  # fmt: skip
    axes.set_xlim(-0.5, frame.shape[1] - 0.5)
    axes.set_ylim(frame.shape[0] - 0.5, -0.5)
    axes.set_xticks(range(frame.shape[1]), frame.columns, rotation=90)
    axes.set_yticks([])
    axes.tick_params(top=True, labeltop=True, bottom=False, labelbottom=False, length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.set_xlabel(word)


def _printed(rank: float, *, rounded: bool) -> str:
    if not math.isfinite(rank):
        return "–"
    return f"{math.floor(rank + 0.5)}" if rounded or rank == int(rank) else f"{rank:.1f}"


def _square(column: int, row: int, fill: Any) -> Rectangle:
    corner = (column - 0.5, row - 0.5)
    return Rectangle(corner, 1, 1, facecolor=fill, edgecolor="none")


def _inches(axes: Axes) -> tuple[float, float]:
    extent, dots = axes.get_window_extent(), axes.figure.dpi
    return extent.width / dots, extent.height / dots


def _in_words(found: Standing) -> str:
    order = ", ".join(f"{loss} {mean:.2f}" for loss, mean in found.means.items())
    runs = [
        f"{found.means.index[first]} to {found.means.index[last]}" for first, last in found.joined()
    ]
    told = f" Not told apart: {'; '.join(runs)}." if runs else ""
    left = not_ranked(found)
    without = f" Not ranked: {', '.join(left)}." if left else ""
    return (
        f"Mean ranks by {objective(found)} over {len(found.blocks)} blocks: {order}.{told}{without}"
    )


def _data(found: Standing) -> pd.DataFrame:
    own = found.blocks[found.means.index]
    data = pd.DataFrame(
        {
            "loss": found.means.index,
            "mean_rank": found.means.to_numpy(),
            "lowest_rank": own.min().to_numpy(),
            "highest_rank": own.max().to_numpy(),
            "blocks": len(own),
            "mean_rank_all_metrics": found.by_metric[found.means.index].mean().to_numpy(),
        }
    )
    for frame in (found.conditions, found.by_metric):
        for name, ranks in frame.iterrows():
            data[str(name)] = ranks[found.means.index].to_numpy()
    return data
