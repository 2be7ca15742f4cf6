"""The X-ray of losses: what each sees at equal MSE, and where in frequency it pulls."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, LogNorm, to_rgb
from matplotlib.figure import Figure
from matplotlib.typing import ColorType

from harness.probe.ladder import SHOWN
from harness.probe.perturbations import NOISE
from harness.probe.words import number, shown
from harness.report.abbreviations import shortened
from harness.report.drawing import INK, QUIET, WIDE, Drawn, panel, style
from harness.report.figures_gradients import (
    HEAD,
    POWER_SCALE,
    POWERS,
    bare,
    colour_bar,
    draw_lines,
    draw_strips,
    gradient_spectra,
    title,
)
from harness.report.figures_tuning import panel_height
from harness.report.labels import LETTER, room
from harness.report.palette import BLUE, VERMILION

FEW = 8  # losses whose spectra are still told apart as lines
STACKED = 12  # losses whose gradients' norms have room below the energies; the data have all
HEADS = {
    "blur": "blur",
    "high": "high\nband\nlost",
    "middle": "mid\nband\nlost",
    "low": "low\nband\nlost",
    "shift": "shift",
    "phase": "phase\nscram-\nbled",
    "jpeg": "JPEG",
    "contrast": "lower\ncon-\ntrast",
    "brightness": "bright-\nness",
}
ROW, FOOT, GAP = 0.185, 0.55, 0.3  # inches
# From blind (blue) over like noise (white) to keen (vermilion); told apart by all readers.
RATIOS = LinearSegmentedColormap.from_list("ratios", [BLUE, "#ffffff", VERMILION])
RATIO_SCALE = LogNorm(1 / 9, 9)
EMPTY = "#f1f2f4"


def probe_figure(frame: pd.DataFrame, name: str) -> Drawn:
    """Draw rows of a probe: energies and norms of gradients over those at white noise, and spectra.

    Few losses have the spectra of their gradients as lines below, many as strips beside their
    rows; of many the norms are in the data alone.
    """
    ratios = shown(frame).drop(columns=NOISE)
    missing = frame[frame["perturbation"].isna()]
    short = shortened(str(each) for each in (*ratios.index, *missing["loss"]))
    names = [short[str(each)] for each in (*ratios.index, *missing["loss"])]
    counts = _counts(frame, list(ratios.columns))
    rows, few = len(names) + 1, len(ratios) <= FEW  # the last row counts the images
    left = 0.15 + max(map(len, (*names, counts[0]))) * LETTER / 72
    width = WIDE - left - 0.1 if few else (WIDE - left - 0.4) * 0.72
    lines = panel_height(len(ratios))
    foot = FOOT + (lines + 0.45 + GAP if few else 0.0)
    norms = len(ratios) * ROW if len(ratios) <= STACKED else 0.0
    base = foot + (norms + 0.3 if norms else 0.0)
    letter = "c" if norms else "b"  # of the spectra
    with style(name):
        figure = Figure(figsize=(WIDE, base + rows * ROW + HEAD + 0.2))
        axes = panel(figure, left, base, width, rows * ROW)
        _matrix(axes, ratios, missing, [*names, counts[0]], counts[1:])
        title(axes, f"a  energy at MSE {SHOWN:g}, over that of white noise")
        if norms:
            below = panel(figure, left, foot, width, norms)
            _norms(below, shown(frame, "gradient_ratio")[ratios.columns], names)
        bar = (left, foot - 0.15, min(width, 2.6), 0.07)
        colour_bar(figure, bar, RATIOS, RATIO_SCALE, "1: as for white noise")
        if few:
            beside = (
                room([*map(str, ratios.index)]) - 0.2
            )  # the lines to the labels take a share of the panel
            place = (0.62, 0.42, (WIDE - 0.72 - beside) / 1.075, lines)
            draw_lines(panel(figure, *place), gradient_spectra(frame), letter)
        else:
            across = WIDE - left - width - 0.4
            height = len(ratios) * ROW
            place = (left + width + 0.25, base + rows * ROW - height, across, height)
            shown_losses = list(map(str, ratios.index))
            draw_strips(panel(figure, *place), gradient_spectra(frame), shown_losses, letter)
            bar = (place[0], base - 0.15, across, 0.07)
            colour_bar(figure, bar, POWERS, POWER_SCALE, "power, 1: the mean")
    return Drawn(name, figure, _alt(frame, ratios), _data(frame))


def _matrix(
    axes: Axes, ratios: pd.DataFrame, missing: pd.DataFrame, names: list[str], counts: list[str]
) -> None:
    """Draw a cell per loss and perturbation with its number; words where a loss is missing."""
    rows, columns = len(names), len(ratios.columns)
    for y, values in enumerate(ratios.to_numpy()):
        for x, value in enumerate(values):
            _cell(axes, x, y, value)
    for y, status in enumerate(missing["status"], len(ratios)):
        axes.text(0.1, y, str(status), va="center_baseline", color=QUIET)
    for x, count in enumerate(counts):
        axes.text(x + 0.5, rows - 1, count, ha="center", va="center_baseline", color=QUIET)
    axes.set(xlim=(0, columns), ylim=(rows - 0.5, -0.5))
    axes.set_yticks(range(rows), names)
    axes.get_yticklabels()[-1].set_color(QUIET)
    axes.set_xticks(np.arange(columns) + 0.5, [HEADS[str(each)] for each in ratios.columns])
    axes.tick_params(length=0, pad=3, labeltop=True, labelbottom=False)
    bare(axes)


def _norms(axes: Axes, ratios: pd.DataFrame, names: list[str]) -> None:
    """Draw the norms of the gradients below the energies, in the same columns."""
    for y, values in enumerate(ratios.to_numpy(float)):
        for x, value in enumerate(values):
            _cell(axes, x, y, value)
    axes.set(xlim=(0, ratios.shape[1]), ylim=(len(ratios) - 0.5, -0.5), xticks=[])
    axes.set_yticks(range(len(ratios)), names[: len(ratios)])
    axes.tick_params(length=0, pad=3)
    bare(axes)
    title(axes, "b  norm of the gradient, over that at white noise", 0.05)


def _cell(axes: Axes, x: int, y: int, ratio: float) -> None:
    known = bool(np.isfinite(ratio))
    level = float(np.clip(RATIO_SCALE(max(ratio, 1e-9)), 0, 1)) if known else 0.5
    colour = RATIOS(level) if known else EMPTY
    axes.fill_between([x + 0.02, x + 0.98], y - 0.46, y + 0.46, color=colour, linewidth=0)
    ink = "#ffffff" if known and _luminance(colour) < 0.45 else INK
    axes.text(x + 0.5, y, number(ratio), ha="center", va="center_baseline", color=ink)


def _luminance(colour: ColorType) -> float:
    return float(np.dot(to_rgb(colour), (0.299, 0.587, 0.114)))


def _counts(frame: pd.DataFrame, columns: list[str]) -> list[str]:
    """Return the row that counts images: its name, then how many reach the level shown."""
    first = frame[frame["perturbation"].notna()]
    rows = first[(first["loss"] == first["loss"].iloc[0]) & (first["level"] == SHOWN)]
    counts = rows.set_index("perturbation")["images"]
    numbers = ["few" if np.isnan(each) else f"{each:.0f}" for each in counts.reindex(columns)]
    return [f"images of {counts[NOISE]:.0f}", *numbers]


def _alt(frame: pd.DataFrame, ratios: pd.DataFrame) -> str:
    return (
        f"Energy of {len(ratios)} losses for perturbed images of {frame['dataset'].iloc[0]} at "
        f"MSE {SHOWN:g}, over their energy for white noise, the norms of their gradients likewise, "
        "and the radial power spectra of the gradients at blurred images."
    )


def _data(frame: pd.DataFrame) -> pd.DataFrame:
    kept = ["loss", "status", "cause", "perturbation", "level", "images", "strength", "energy"]
    return frame[[*kept, "excess", "ratio", "gradient_norm", "gradient_ratio"]]
