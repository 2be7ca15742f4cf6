"""The budget of the squared error: which frequencies each loss gets wrong, and by how much."""

import math

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from harness.report.abbreviations import shortened
from harness.report.budget import BANDS, Budget, Split, budgets
from harness.report.collect import Group
from harness.report.drawing import POINTS, QUIET, WIDE, Drawn, panel, style
from harness.report.palette import Look
from harness.report.table import plural, significant

# Blue where a blurred image keeps its power, amber where it loses it; of each the fill and the ink
# on it, which unlike the reader's ink may not change with the page.
FILLS = {
    "brightness": ("#12284c", "white"),
    "low": ("#2f5f9e", "white"),
    "middle": ("#6f9fd0", "#14171f"),
    "high": ("#f2b35e", "#14171f"),
    "corners": ("#f7dfb8", "#14171f"),
}
ROW = 0.19  # inches
_LETTER = 0.5 * POINTS / 72
_RAISED = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


def budget_figure(
    group: Group, looks: dict[str, Look], known: list[Budget] | None = None
) -> Drawn | None:
    """Draw each loss's squared error by frequency band, as shares and as stacked amounts.

    In the grid's order; None without stored pictures. `looks` colours the names' marks; `known`
    are budgets computed before, of the group's losses and perhaps of others.
    """
    members = {cell.id for cell in group.cells}
    found = budgets(group) if known is None else [x for x in known if x.cell.id in members]
    if not found:
        return None
    name = f"{group.slug}-budget"
    with style(name):
        short = shortened(each.cell.label for each in found)
        names = [short[each.cell.label] for each in found]
        left, height = 0.3 + _LETTER * 1.1 * max(map(len, names)), ROW * len(found)
        figure = Figure(figsize=(WIDE, height + 0.76))
        width = (WIDE - left - 0.95) / 2
        shares = panel(figure, left, 0.45, width, height)
        amounts = panel(figure, left + width + 0.35, 0.45, width, height)
        scale, unit = _unit_of(max(float(each.error.sum()) for each in found))
        for row, each in enumerate(found):
            _stack(shares, row, 100 * each.shares, width / 100)
            _stack(amounts, row, each.error * scale, 0)
            total = float(each.error.sum()) * scale
            amounts.text(total, row, f" {significant(total, 3)}", va="center_baseline")
            look = looks[each.cell.label]
            shares.plot(-0.07 / width, row, look.marker, color=look.colour, clip_on=False,
                        transform=shares.get_yaxis_transform())  # fmt: skip
        _finish(shares, amounts, names, found, scale, unit)
        _key(figure, left, height + 0.55)
    return Drawn(name, figure, _in_words(group, found), _data(found))


def _unit_of(largest: float) -> tuple[float, str]:
    """A power of ten that makes the largest total a number from 1 to 10."""
    if largest <= 0:
        return 1.0, ""
    exponent = -math.floor(math.log10(largest))
    power = "" if exponent == 1 else str(exponent).translate(_RAISED)
    return 10.0**exponent, "" if exponent == 0 else f" × 10{power}"


def _stack(axes: Axes, row: int, amounts: Split, inches: float) -> None:
    """Draw one bar; shares are written where they fit, `inches` being the length of one unit."""
    start = 0.0
    for (fill, ink), amount in zip(FILLS.values(), amounts, strict=True):
        if not math.isfinite(amount):
            return
        axes.add_patch(Rectangle((start, row - 0.38), amount, 0.76, facecolor=fill, linewidth=0))
        text = f"{amount:.0f}"
        if amount * inches > (len(text) + 0.6) * _LETTER:
            axes.text(start + amount / 2, row, text, ha="center", va="center_baseline", color=ink)
        start += amount


def _finish(
    shares: Axes, amounts: Axes, names: list[str], found: list[Budget], scale: float, unit: str
) -> None:
    largest = max(float(each.error.sum()) for each in found) * scale
    shares.set_xlim(0, 100)
    shares.set_xlabel("share of the squared error (%)")
    amounts.set_xlim(0, largest or 1.0)
    amounts.set_xlabel(f"mean squared error{unit}")
    for axes, labels in ((shares, names), (amounts, [""] * len(names))):
        axes.set_yticks(range(len(names)), labels)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.grid(visible=False, axis="y")
        axes.tick_params(axis="y", length=0, pad=9)


def _key(figure: Figure, left: float, height: float) -> None:
    """Name the bands once, in the order of the bars."""
    axes = panel(figure, left, height, WIDE - left - 0.1, 0.15)
    axes.set_axis_off()
    axes.set_xlim(0, WIDE - left - 0.1)
    axes.set_ylim(0, 0.15)
    words = {
        "brightness": "brightness",
        "low": "to 1/6",
        "middle": "to 1/3",
        "high": "to 1/2",
        "corners": "above",
    }
    x = 0.0
    for band, (fill, _) in FILLS.items():
        axes.add_patch(Rectangle((x, 0.02), 0.11, 0.11, facecolor=fill, linewidth=0))
        axes.text(x + 0.16, 0.075, words[band], va="center_baseline")
        x += 0.16 + _LETTER * 1.1 * len(words[band]) + 0.16
    axes.text(x, 0.075, "cycles per pixel", va="center_baseline", color=QUIET)


def _in_words(group: Group, found: list[Budget]) -> str:
    words = "; ".join(
        f"{each.cell.label} {float(each.error.sum()):.2g}, of which "
        f"{100 * float(each.shares[3:].sum()):.0f} % above 1/3 cycles per pixel"
        for each in found
    )
    pictures = plural(found[0].images, "stored test image")
    return f"Mean squared error of {pictures} on {group.title} by frequency: {words}."


def _data(found: list[Budget]) -> pd.DataFrame:
    rows = [
        (each.cell.label, band, *numbers, each.images, each.seeds)
        for each in found
        for band, *numbers in zip(BANDS, each.error, each.shares, each.power, strict=True)
    ]
    columns = ["loss", "band", "error", "share", "data_power", "images", "seeds"]
    return pd.DataFrame(rows, columns=columns)
