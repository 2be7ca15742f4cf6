"""The documents' figures of images: one row per loss in the document's order, the data first."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from harness.report.abbreviations import shortened
from harness.report.artefacts import Bytes
from harness.report.drawing import DPI, POINTS, WIDE, Drawn, style
from harness.report.figures_images import mosaic
from harness.report.pictures import Strips

PARTS = ("reconstructions", "generations")
LEAST = 0.42  # inches: the least width of an image, unless even one would be wider than a page
SEPARATION = 0.1  # inches, about, between reconstructions and generations
HEAD = 0.2

Rows = list[tuple[str, Bytes]]


def strips_figure(
    name: str, title: str, found: Strips, parts: Sequence[str] = PARTS
) -> Drawn | None:
    """Draw the stored images of losses, or None where a part has no image.

    Args:
        name: the stem of the figure's files.
        title: what it shows, for those who cannot see it.
        found: the images, by label in the order of the rows.
        parts: `reconstructions`, `generations` or both, which then stand side by side.

    The data stand above: the inputs above their reconstructions; above generations, which are of no
    input, further ones.
    """
    rows = {part: _rows(found, part) for part in parts}
    most = [min(len(images) for _, images in each[1:]) for each in rows.values()]
    if min(most) == 0:
        return None
    names = shortened(label for label, _ in rows[parts[0]])
    # A letter of 8 points is about 0.068 inches wide.
    margin = 0.08 + 0.068 * max(map(len, names.values()))
    count = _count(found.inputs.shape[-1], WIDE - margin, len(parts), min(most))
    blocks = [_block(rows[part], found.inputs, part, count, parts) for part in parts]
    labels = [names[label] for label, _ in rows[parts[0]]]
    figure = _draw(name, blocks, labels, parts, margin)
    data = pd.concat([_data(found, part, count) for part in parts], ignore_index=True)
    return Drawn(name, figure, _alt(title, found, parts, count), data)


def _rows(found: Strips, part: str) -> Rows:
    each = [(x, y.recon if part == PARTS[0] else y.samples) for x, y in found.cells.items()]
    return [("data", found.inputs), *each]


def _count(width: int, room: float, parts: int, most: int) -> int:
    """As many images of a part as fit with at least one dot per pixel and a size to be seen."""
    by_dots = int((room - SEPARATION * (parts - 1)) * DPI // (parts * (width + 1)))
    by_size = int(room / LEAST / parts)
    return max(1, min(most, by_dots, by_size))


def _block(
    rows: Rows, inputs: Bytes, part: str, count: int, parts: Sequence[str]
) -> NDArray[np.uint8]:
    further = inputs[count : 2 * count] if part == PARTS[1] and len(parts) > 1 else inputs
    data = further if len(further) >= count else inputs
    return mosaic([data[:count], *(images[:count] for _, images in rows[1:])])


def _draw(
    name: str,
    blocks: Sequence[NDArray[np.uint8]],
    labels: Sequence[str],
    parts: Sequence[str],
    margin: float,
) -> Figure:
    # A whole number of dots per pixel at 300 dpi: no pixel is wider than its neighbour.
    wide = sum(block.shape[1] for block in blocks)
    gap = round(SEPARATION * DPI)
    scale = max(1, int((WIDE - margin) * DPI - gap * (len(blocks) - 1)) // wide)
    left, head = int(margin * DPI), round(HEAD * DPI) if len(parts) > 1 else 0
    across = left + scale * wide + gap * (len(blocks) - 1)
    tall = scale * blocks[0].shape[0]
    up = tall + head
    with style(name):
        figure = Figure(figsize=(across / DPI, up / DPI))
        x = left
        for block, part in zip(blocks, parts, strict=True):
            width = scale * block.shape[1]
            axes = figure.add_axes((x / across, 0, width / across, tall / up))
            axes.imshow(block, interpolation="none", aspect="auto")
            axes.axis("off")
            if head:
                middle = (x + width / 2) / across
                figure.text(middle, 1 - head / 2 / up, part, ha="center", va="center")
            x += width + gap
        for index, label in enumerate(labels):
            y = (1 - (index + 0.5) / len(labels)) * tall / up
            place = (left - 0.06 * DPI) / across
            figure.text(place, y, label, ha="right", va="center", fontsize=POINTS)
    return figure


def _data(found: Strips, part: str, count: int) -> pd.DataFrame:
    """Say of every image where it comes from: the test image or the number of the latent."""
    numbers = list(found.indices if part == PARTS[0] else range(count))
    rows = [
        (label, each.seed, part, column, numbers[column] if column < len(numbers) else None)
        for label, each in found.cells.items()
        for column in range(count)
    ]
    return pd.DataFrame(rows, columns=["loss", "seed", "images", "column", "test_image_or_latent"])


def _alt(title: str, found: Strips, parts: Sequence[str], count: int) -> str:
    what = " and ".join(parts)
    return f"{title}: {count} {what} in each row, from above: data, {', '.join(found.cells)}."
