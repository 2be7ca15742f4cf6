"""The geometry of the photo crops: bands of a picture that the splits do not share.

Coordinates are (left, top, right, bottom), right and bottom excluded.
"""

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from datasets.seeding import permutation

# The owner of each fifth of the longer side. Photographers centre their subject: were validation
# and test the outer fifths, they would hold little but background.
FIFTHS = ("train", "test", "train", "validation", "train")

Box = tuple[int, int, int, int]


def bands(split: str, width: int, height: int) -> list[Box]:
    """Return the parts of a `width` × `height` picture that belong to `split`.

    The bands lie along the longer side (the width of a square); those of the three splits cover the
    picture exactly once.
    """
    longer = max(width, height)
    ends = [longer * fifth // len(FIFTHS) for fifth in range(len(FIFTHS) + 1)]
    owned = [span for span, owner in zip(pairwise(ends), FIFTHS, strict=True) if owner == split]
    if width >= height:
        return [(start, 0, end, height) for start, end in owned]
    return [(0, start, width, end) for start, end in owned]


def fits(width: int, height: int, size: int) -> bool:
    """Say whether a crop of `size` fits in every band; otherwise no split uses the picture."""
    boxes = [box for split in set(FIFTHS) for box in bands(split, width, height)]
    return all(min(right - left, bottom - top) >= size for left, top, right, bottom in boxes)


def crop_corners(
    boxes: list[Box], size: int, count: int, *axes: str | int
) -> npt.NDArray[np.int64]:
    """Draw `count` crops of `size`, each inside one of `boxes`.

    Returns their (left, top) corners, int64 `(count, 2)`. All positions are equally likely, each is
    used once before any is used again, and a smaller count is the beginning of a larger one.
    `axes` name the random stream.
    """
    corners = np.concatenate([_all_corners(box, size) for box in boxes])
    return corners[np.resize(permutation(len(corners), *axes), count)]


def shares(total: int, parts: int) -> list[int]:
    """Divide `total` into `parts` counts that differ by one at most, larger ones first."""
    return [total // parts + (part < total % parts) for part in range(parts)]


def _all_corners(box: Box, size: int) -> npt.NDArray[np.int64]:
    left, top, right, bottom = box
    columns, rows = np.arange(left, right - size + 1), np.arange(top, bottom - size + 1)
    return np.stack(np.meshgrid(columns, rows), axis=-1).reshape(-1, 2)
