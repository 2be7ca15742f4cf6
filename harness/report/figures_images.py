"""Image grids for papers: the data first, one row per loss, every pixel a whole square."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from harness.report.abbreviations import shortened
from harness.report.artefacts import Bytes
from harness.report.collect import Group
from harness.report.drawing import DPI, POINTS, WIDE, Drawn, style
from harness.report.pictures import Strips


def grid_figures(group: Group, strips: Strips | None) -> list[Drawn]:
    """Return the figures of reconstructions and of generated images; none without pictures."""
    if strips is None:
        return []
    rows = list(strips.cells.items())
    recon = [("data", strips.inputs), *((label, each.recon) for label, each in rows)]
    samples = [("data", strips.inputs), *((label, each.samples) for label, each in rows)]
    seeds = {label: each.seed for label, each in rows}
    shown = f"test images {', '.join(map(str, strips.indices))}"
    return [
        _grid(
            f"{group.slug}-reconstructions",
            recon,
            _data(seeds, "test_image", list(strips.indices)),
            f"Reconstructions of {shown} on {group.title}: the data, then one row per loss.",
        ),
        _grid(
            f"{group.slug}-samples",
            samples,
            _data(seeds, "latent", list(range(len(samples[1][1])))),
            f"Images generated from the same latents on {group.title}, one row per loss; "
            "the first row shows data.",
        ),
    ]


def _data(seeds: dict[str, int], what: str, numbers: list[int]) -> pd.DataFrame:
    rows = [
        (label, seed, column, number)
        for label, seed in seeds.items()
        for column, number in enumerate(numbers)
    ]
    return pd.DataFrame(rows, columns=["loss", "seed", "column", what])


def _grid(name: str, rows: list[tuple[str, Bytes]], data: pd.DataFrame, alt: str) -> Drawn:
    with style(name):
        # A letter of 8 points is about 0.068 inches wide.
        names = shortened(label for label, _ in rows)
        margin = 0.08 + 0.068 * max(map(len, names.values()))
        across = _across(rows, margin)
        canvas = mosaic([images[:across] for _, images in rows])
        # A whole number of dots per pixel at 300 dpi: no pixel is wider than its neighbour.
        scale = max(1, int((WIDE - margin) * DPI // canvas.shape[1]))
        height, width = (side * scale / DPI for side in canvas.shape[:2])
        left = round(margin * DPI) / DPI
        figure = Figure(figsize=(left + width, height))
        axes = figure.add_axes((left / (left + width), 0, width / (left + width), 1))
        axes.imshow(canvas, interpolation="none", aspect="auto")
        axes.axis("off")
        for index, (label, _) in enumerate(rows):
            middle = 1 - (index + 0.5) / len(rows)
            x = (left - 0.06) / (left + width)
            figure.text(x, middle, names[label], ha="right", va="center", fontsize=POINTS)
    return Drawn(name, figure, alt, data)


def _across(rows: list[tuple[str, Bytes]], margin: float) -> int:
    """As many images as fit with at least one dot per pixel and a size that can be seen."""
    least = min(len(images) for _, images in rows)
    width = rows[0][1].shape[-1]
    fit = int((WIDE - margin) * DPI // (width + 1))
    return max(1, min(least, fit, int((WIDE - margin) / 0.55)))


def mosaic(rows: list[Bytes]) -> NDArray[np.uint8]:
    """Return rows of images `(n, C, H, W)` as one `(H', W', 4)` picture.

    Images are one transparent pixel apart.
    """
    count, _, height, width = rows[0].shape
    canvas = np.zeros((len(rows) * (height + 1) - 1, count * (width + 1) - 1, 4), np.uint8)
    for row, images in enumerate(rows):
        for column, image in enumerate(images):
            top, left = row * (height + 1), column * (width + 1)
            tile = np.broadcast_to(np.moveaxis(image, 0, -1), (height, width, 3))
            canvas[top : top + height, left : left + width, :3] = tile
            canvas[top : top + height, left : left + width, 3] = 255
    return canvas
