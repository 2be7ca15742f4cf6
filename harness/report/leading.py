"""A figure can show only so many losses: which ones it shows when there are more."""

import math
from dataclasses import replace

from harness.metrics import METRICS
from harness.report.collect import Cell, Group
from harness.report.main_table import REFERENCE
from harness.report.means import estimate

MOST = 36  # losses in a figure: more would have no room for their labels


def leading(group: Group) -> Group:
    """Return the group with the losses its figures show, in the grid's order.

    All of them where there are up to 36; otherwise those with the best objective, after `l2` where
    the group has it. The tables always have all.
    """
    if len(group.cells) <= MOST:
        return group
    chosen = {cell.id for cell in sorted(group.cells, key=lambda cell: _place(group, cell))[:MOST]}
    return replace(group, cells=tuple(cell for cell in group.cells if cell.id in chosen))


def _place(group: Group, cell: Cell) -> float:
    """A number to sort by: the reference first, cells without an objective last."""
    if cell.loss == REFERENCE:
        return -math.inf
    mean = estimate(cell, group.objective).mean if cell.measured else math.nan
    if not math.isfinite(mean):
        return math.inf
    return -mean if METRICS[group.objective].direction == "maximize" else mean


def remark(group: Group, shown: Group) -> str:
    """Return what the page says about losses that the figures leave out, "" where none."""
    left = len(group.cells) - len(shown.cells)
    if not left:
        return ""
    chosen = f"those with the best {METRICS[group.objective].label}"
    if any(cell.loss == REFERENCE for cell in shown.cells):
        chosen = f"{REFERENCE} and {chosen}"
    return (
        f"Figures and pictures show {len(shown.cells)} of {len(group.cells)} losses, {chosen}, "
        "while the tables have all."
    )
