"""Mean log spectra, laid out as Figure 6 of Bredell et al. (2023), and their radial profiles."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from harness.report.abbreviations import in_two_lines, shortened
from harness.report.artefacts import Spectrum
from harness.report.board import Board
from harness.report.collect import Cell, Group
from harness.report.drawing import NARROW, POINTS, WIDE, Drawn, panel, style
from harness.report.labels import HEIGHT
from harness.report.table import number

LETTER = 0.56 * POINTS  # points, as an average over a line: few names have an m or w in each
ACROSS = 6  # losses side by side before the figure goes on below
KINDS = {"spectrum_recon": "reconstructed", "spectrum_gen": "generated"}


def with_spectra(group: Group) -> list[Cell]:
    """Return the cells that stored all three spectra in the shape of the first one's."""
    cells = [
        cell for cell in group.measured if cell.pictures and len(cell.pictures[0].spectra) == 3
    ]
    shapes = [cell.pictures[0].spectra["spectrum_data"].shape for cell in cells]
    return [c for c, shape in zip(cells, shapes, strict=True) if shape == shapes[0]]


def difference(cell: Cell, kind: str) -> Spectrum:
    """Return S(x) - S(data) of the cell's first stored pictures; negative is lost detail."""
    spectra = cell.pictures[0].spectra
    return spectra[kind] - spectra["spectrum_data"]


def spectra_figure(group: Group) -> Drawn | None:
    """Draw the spectra: reconstructions above, samples below, the data at the right."""
    cells = with_spectra(group)
    if not cells:
        return None
    name = f"{group.slug}-spectra"
    blocks = [cells[start : start + ACROSS] for start in range(0, len(cells), ACROSS)]
    height, width = cells[0].pictures[0].spectra["spectrum_data"].shape
    columns = len(blocks[0]) + 1
    side = min(1.15, (WIDE - 0.95) / columns - 0.06)
    tall = side * height / width
    names = _titles(cells, side)
    second = any("\n" in name for name in names.values())
    block = 2 * (tall + 0.2) + 0.2 + second * HEIGHT / 72
    scale = _scale(cells)
    with style(name):
        across = columns * (side + 0.06) + 0.95
        figure = Figure(figsize=(WIDE if across > NARROW else NARROW, block * len(blocks) + 0.05))
        board = Board(figure)
        for index, members in enumerate(reversed(blocks)):
            _block(board, members, names, block * index + 0.05, side, tall, scale)
        top = block * (len(blocks) - 1)
        left = 0.3 + columns * (side + 0.06)
        _colour_bar(figure, panel(figure, left, top + 0.25, 0.09, 2 * tall + 0.2), scale)
    alt = (
        f"Mean log spectra on {group.title}. Mean absolute difference to the data of "
        f"reconstructions and samples: {'; '.join(map(_in_words, cells))}."
    )
    return Drawn(name, figure, alt, _spectra_data(cells))


def _colour_bar(figure: Figure, axes: Axes, scale: Normalize) -> None:
    # Whole numbers: a label beside "−12.5" would leave the page.
    whole = MaxNLocator(nbins=6, integer=True)
    bar = figure.colorbar(ScalarMappable(scale, "magma"), cax=axes, ticks=whole)
    bar.set_label("mean log amplitude", labelpad=2)
    bar.outline.set_linewidth(0)


def _in_words(cell: Cell) -> str:
    return f"{cell.label} {_mean(cell, 'spectrum_recon')} and {_mean(cell, 'spectrum_gen')}"


def _scale(cells: Sequence[Cell]) -> Normalize:
    """One colour scale for all panels; the extreme pixels saturate (empty borders give −18)."""
    every = np.concatenate([s.ravel() for c in cells for s in c.pictures[0].spectra.values()])
    low, high = np.percentile(every[np.isfinite(every)], [2.0, 99.8])
    return Normalize(float(low), float(high))


def _titles(cells: Sequence[Cell], side: float) -> dict[str, str]:
    """Names that fit above panels of `side` inches, on two lines where one is too short."""
    letters = max(4, int(((side + 0.06) * 72 - 2) / LETTER))
    names = shortened((cell.label for cell in cells), 2 * letters)
    return {label: in_two_lines(name, letters) for label, name in names.items()}


def _block(
    board: Board,
    cells: Sequence[Cell],
    names: dict[str, str],
    bottom: float,
    side: float,
    tall: float,
    scale: Normalize,
) -> None:
    mean = "mean |Δ|" if side > 0.88 else "|Δ|"
    how: Any = {"cmap": "magma", "norm": scale}
    for row, (kind, word) in enumerate(KINDS.items()):
        base = bottom + (1 - row) * (tall + 0.2) + 0.18
        board.beside(0.24, base + tall / 2, word)
        for column, cell in enumerate(cells):
            left = 0.24 + column * (side + 0.06)
            board.picture(cell.pictures[0].spectra[kind], left, base, side, tall, **how)
            board.below(left + side / 2, base, f"{mean} {_mean(cell, kind)}")
            if row == 0:
                board.above(left + side / 2, base + tall, names[cell.label], linespacing=1.05)
    left, base = 0.24 + len(cells) * (side + 0.06), bottom + tall + 0.38
    data = cells[0].pictures[0].spectra["spectrum_data"]
    board.picture(data, left, base, side, tall, **how)
    board.above(left + side / 2, base + tall, "data")


def _mean(cell: Cell, kind: str) -> str:
    return number(float(np.abs(difference(cell, kind)).mean()), 2)


def _spectra_data(cells: Sequence[Cell]) -> pd.DataFrame:
    rows = [
        (cell.label, word, float(np.abs(delta).mean()), float(delta.mean()))
        for cell in cells
        for kind, word in KINDS.items()
        for delta in [difference(cell, kind)]
    ]
    return pd.DataFrame(rows, columns=["loss", "images", "mean_abs_difference", "mean_difference"])
