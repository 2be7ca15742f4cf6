"""Blur kernels over the epochs as stored data: which there are, how wide each is."""

import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.report.artefacts import Bytes, Epochs
from harness.report.collect import Cell, Group

SERIES = "kernels"  # as the loss names them; a sum numbers them: kernels_1, kernels_2


@dataclass(frozen=True)
class Track:
    """The kernels of one loss for the same few training images over the epochs.

    `inputs` `(B, C, H, W)` uint8, `epochs` `(E,)`, `kernels` `(E, B, s, s)`; `sets_in` is the epoch
    after which the loss uses them, None where its options name none. `loss` is the cell's label;
    `term` tells apart the kernels of several terms of a sum, "" where one alone has any.
    """

    loss: str
    term: str
    seed: int
    inputs: Bytes
    epochs: Epochs
    kernels: NDArray[np.float32]
    sets_in: float | None

    @property
    def label(self) -> str:
        """The loss, with the term where that is needed."""
        return f"{self.loss}, {self.term}" if self.term else self.loss

    @property
    def widths(self) -> NDArray[np.float64]:
        """The width of every kernel in pixels, `(E, B)`; see `width`."""
        return np.array([[width(kernel) for kernel in epoch] for epoch in self.kernels])


def tracks(group: Group) -> list[Track]:
    """Return the kernels that the group's cells stored, of each cell's first seed that has them."""
    return [track for cell in group.measured for track in _tracks(cell)]


def width(kernel: NDArray[Any]) -> float:
    """Return the standard deviation of a kernel along an axis, in pixels.

    The root of the mean over both axes of the variance about the centroid, the kernel's absolute
    values being the weights: of a Gaussian its standard deviation, of a single pixel 0. NaN where a
    value is not finite or all are 0.
    """
    weights = np.abs(kernel.astype(float))
    total = float(weights.sum())
    if not math.isfinite(total) or total == 0:
        return math.nan
    variance = sum(_variance(weights.sum(axis) / total) for axis in (0, 1)) / 2
    return math.sqrt(max(variance, 0.0))


def _variance(profile: NDArray[np.float64]) -> float:
    place = np.arange(len(profile))
    centre = float(profile @ place)
    return float(profile @ (place - centre) ** 2)


def moments(epochs: Epochs, sets_in: float | None, most: int) -> list[int]:
    """Return the places of at most `most` of the epochs, spread over them, the last among them.

    Where the kernels set in between two of them, both are among them, otherwise the first is.
    """
    count = len(epochs)
    if count <= most:
        return list(range(count))
    before = 0 if sets_in is None else int(np.searchsorted(epochs, sets_in, side="right")) - 1
    chosen = {max(before, 0), count - 1}
    if sets_in is not None and before + 1 < count:
        chosen.add(before + 1)
    while len(chosen) < most:
        # The epoch farthest from those that are chosen; of two, the earlier.
        chosen.add(max(range(count), key=lambda i: (min(abs(i - j) for j in chosen), -i)))
    return sorted(chosen)[:most]


def _tracks(cell: Cell) -> list[Track]:
    for pictures in cell.pictures:
        stored = pictures.snapshots
        if stored is not None:
            found = [
                Track(cell.label, _term(name), pictures.seed, stored.inputs, *pair, _sets_in(cell))
                for name, pair in stored.series.items()
                if _is_kernels(name, pair[1], len(stored.inputs))
            ]
            if found:
                return found
    return []


def _is_kernels(name: str, values: NDArray[np.float32], images: int) -> bool:
    """A plugin may show something else under this name: only planes of numbers can be drawn."""
    return (
        name.partition("_")[0] == SERIES
        and values.ndim == 4
        and len(values) > 0
        and 0 < values.shape[1] <= images
    )


def _term(name: str) -> str:
    number = name.partition("_")[2]
    return f"term {number}" if number else ""


def _sets_in(cell: Cell) -> float | None:
    """The longest warm-up of the loss's terms, from their options as they were stored."""
    stored = cell.finals["loss_options"].dropna()
    terms = json.loads(stored.iloc[0]) if len(stored) else []
    found = [term["options"].get("warmup") for term in terms]
    numbers = [float(each) for each in found if isinstance(each, (int, float))]
    return max(numbers, default=None)
