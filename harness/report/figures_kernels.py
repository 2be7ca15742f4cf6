"""Kernels over the epochs, laid out as Figure 2 of Bredell et al. (2023), and their widths."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from harness.report.abbreviations import shortened
from harness.report.board import Board
from harness.report.collect import Group
from harness.report.drawing import LINE, POINTS, QUIET, WIDE, Drawn, panel, style
from harness.report.kernels import Track, moments, tracks, width
from harness.report.palette import Look
from harness.report.table import number

MOST = 6  # losses; the data beside the figure has all
ACROSS = 6  # epochs
SIDE, GAP, LEFT = 0.55, 0.05, 0.05  # inches
PITCH = SIDE + 0.2  # from row to row: below each kernel stands its width
NAME, HEAD = 0.22, 0.34  # above the kernels of a loss: its name, its epochs
LEAST = 1.9  # in height, for the plot at the right


@dataclass(frozen=True)
class _Block:
    """The rows of one loss: `places` are those of the epochs shown, `headed` tells them above."""

    track: Track
    places: list[int]
    rows: int
    named: bool
    headed: bool

    @property
    def head(self) -> float:
        """Inches above the first row."""
        return NAME * self.named + HEAD * self.headed

    @property
    def height(self) -> float:
        """Inches in all."""
        return self.head + self.rows * PITCH + 0.03


def kernel_figure(group: Group, looks: dict[str, Look]) -> Drawn | None:
    """Draw the kernels that the group's losses predicted, or None where none are stored.

    A row per training image, the image itself first, a column per epoch; each kernel is scaled to
    its own largest value and its width in pixels (`kernels.width`) stands below. At the right the
    median width over all the images that were kept, of one loss with its range.
    """
    found = tracks(group)
    if not found:
        return None
    name = f"{group.slug}-kernels"
    blocks = _blocks(found[:MOST])
    columns = 1 + max(len(block.places) for block in blocks)
    left = LEFT + columns * (SIDE + GAP) + 0.52
    height = max(LEAST, sum(block.height for block in blocks))
    across = min(WIDE - left - 0.08, 2.6)
    names = shortened(block.track.label for block in blocks)
    with style(name):
        figure = Figure(figsize=(left + across + 0.08, height))
        board = Board(figure)
        top = height
        for block in blocks:
            _draw(figure, board, block, names[block.track.label], top, looks[block.track.loss])
            top -= block.height
        tall = min(height - blocks[0].head - 0.4, 2.1 if len(blocks) == 1 else 3.0)
        axes = panel(figure, left, height - blocks[0].head - tall, across, tall)
        _widths(axes, [block.track for block in blocks], looks)
    return Drawn(name, figure, _alt(group, blocks), _data(found))


def _blocks(found: list[Track]) -> list[_Block]:
    """Four images of one loss as in the document, fewer where several losses would fill pages."""
    rows = 4 if len(found) == 1 else 2 if len(found) < 4 else 1
    blocks: list[_Block] = []
    for track in found:
        places = moments(track.epochs, track.sets_in, ACROSS)
        epochs = [int(track.epochs[place]) for place in places]
        above = blocks[-1] if blocks else None
        same = above is not None and epochs == [int(above.track.epochs[p]) for p in above.places]
        own = min(rows, track.kernels.shape[1])
        blocks.append(_Block(track, places, own, len(found) > 1, not same))
    return blocks


def _draw(figure: Figure, board: Board, block: _Block, name: str, top: float, look: Look) -> None:
    if block.named:
        _name(figure, name, top, look)
    for row in range(block.rows):
        base = top - block.head - row * PITCH - SIDE
        image = np.moveaxis(block.track.inputs[row], 0, -1)
        place = _place(0, base)
        board.picture(np.broadcast_to(image, (*image.shape[:2], 3)), *place)
        board.edge(*place, LINE)  # a white image would have none on white paper
        heads = ["image", *(f"{block.track.epochs[at]}" for at in block.places)]
        for column, at in enumerate(block.places, start=1):
            _kernel(board, block.track.kernels[at, row], _place(column, base))
        if row == 0 and block.headed:
            for column, head in enumerate(heads):
                board.above(_middle(column), base + SIDE, head)
    if block.headed:
        middle = LEFT + (1 + len(block.places) / 2) * (SIDE + GAP) - GAP / 2
        _text(figure, middle, top - NAME * block.named - 0.09, "after epoch", ha="center")


def _name(figure: Figure, name: str, top: float, look: Look) -> None:
    """Write a loss's name after a piece of its line in the plot."""
    line = panel(figure, LEFT, top - 0.18, 0.25, 0.14)
    line.axis("off")
    line.plot([0, 1], [0, 0], **look.line())
    _text(figure, LEFT + 0.32, top - 0.11, name, ha="left")


def _text(figure: Figure, x: float, y: float, text: str, ha: str) -> None:
    across, up = figure.get_size_inches()
    figure.text(x / across, y / up, text, ha=ha, va="center", fontsize=POINTS)


def _place(column: int, base: float) -> tuple[float, float, float, float]:
    return LEFT + column * (SIDE + GAP), base, SIDE, SIDE


def _middle(column: int) -> float:
    return LEFT + column * (SIDE + GAP) + SIDE / 2


def _kernel(
    board: Board, kernel: NDArray[np.float32], place: tuple[float, float, float, float]
) -> None:
    left, base = place[:2]
    if not np.isfinite(kernel).all():
        board.within(left + SIDE / 2, base + SIDE / 2, "not\nfinite")
        return
    low, high = min(0.0, float(kernel.min())), float(kernel.max())
    board.picture(kernel, *place, cmap="magma", vmin=low, vmax=high)
    board.below(left + SIDE / 2, base, f"σ {number(width(kernel), 2)}")


def _widths(axes: Axes, found: list[Track], looks: dict[str, Look]) -> None:
    for track in found:
        look, widths = looks[track.loss], track.widths
        finite = np.isfinite(widths).all(axis=1)
        epochs, widths = track.epochs[finite], widths[finite]
        if len(found) == 1:  # the ranges of several would cover each other
            low, high = widths.min(axis=1), widths.max(axis=1)
            axes.fill_between(epochs, low, high, color=look.colour, alpha=0.15, linewidth=0)
        middle = np.median(widths, axis=1)
        axes.plot(epochs, middle, marker=look.marker, markersize=2, **look.line())
    axes.set_ylim(bottom=0)
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.set_xlabel("epoch")
    axes.set_ylabel("kernel width σ, pixels")
    for epoch in sorted({track.sets_in for track in found if track.sets_in}):
        axes.axvline(epoch, color=QUIET, linewidth=0.6, linestyle=":")
        axes.text(epoch, 1.02, "in use", transform=axes.get_xaxis_transform(), ha="center")


def _alt(group: Group, blocks: list[_Block]) -> str:
    left_out = max(0, len(tracks(group)) - len(blocks))
    more = f" The data beside the figure have {left_out} more." if left_out else ""
    each = "; ".join(_in_words(block.track) for block in blocks)
    return f"Blur kernels predicted on {group.title} over the epochs. Median width: {each}.{more}"


def _in_words(track: Track) -> str:
    ends = [0, -1] if len(track.epochs) > 1 else [0]
    middles = [(number(float(np.median(track.widths[i])), 2), track.epochs[i]) for i in ends]
    return f"{track.label} " + " and ".join(f"{m} pixels after epoch {e}" for m, e in middles)


def _data(found: list[Track]) -> pd.DataFrame:
    rows = [
        (track.label, track.seed, int(epoch), image, width(kernel), float(kernel.max()))
        for track in found
        for epoch, kernels in zip(track.epochs, track.kernels, strict=True)
        for image, kernel in enumerate(kernels)
    ]
    columns = ["loss", "seed", "epoch", "training_image", "width_px", "largest_value"]
    return pd.DataFrame(rows, columns=columns)
