"""Cuts square patches at random from the slices of a volume, inside the head."""

import numpy as np
import numpy.typing as npt

from datasets.images import Pixels
from datasets.seeding import words
from datasets.volumes import InvalidVolumeError

PLANES = ("axial", "coronal", "sagittal")
# Darker than 5 per cent is air: a scan of a whole head has noise there, one without skull has 0.
_AIR = 12


def slices(volume: Pixels, plane: str) -> Pixels:
    """Return the slices of a RAS volume `(X, Y, Z)` as pictures, uint8 `(N, rows, columns)`.

    Top rows are the front of an axial slice and the crown of the others; columns run from the
    patient's left to right, in a sagittal slice from back to front.
    """
    if plane == "axial":
        return volume.transpose(2, 1, 0)[:, ::-1]
    if plane == "coronal":
        return volume.transpose(1, 2, 0)[:, ::-1]
    return volume.transpose(0, 2, 1)[:, ::-1]


def draw_patches(
    pictures: Pixels, size: int, count: int, coverage: float, *axes: str | int
) -> Pixels:
    """Return `count` patches of `(N, rows, columns)` pictures, uint8 `(count, 1, size, size)`.

    Every position at which at least the share `coverage` of the pixels is brighter than air (5 per
    cent of white) is equally likely, and each patch is drawn independently of the others. `axes`
    name the random stream.
    Errors: `InvalidVolumeError` for pictures smaller than a patch or without such a position.
    """
    height, width = pictures.shape[1:]
    if min(height, width) < size:
        raise InvalidVolumeError(
            f"its slices of {width}x{height} are smaller than a patch of {size}x{size}: choose a "
            "smaller patch"
        )
    inside = [np.flatnonzero(_covered(picture, size, coverage)) for picture in pictures]
    ends = np.cumsum([len(corners) for corners in inside])
    if not ends[-1]:
        raise InvalidVolumeError(
            f"no patch of {size}x{size} is brighter than air on {coverage:.0%} of its pixels: "
            "choose a smaller patch or coverage"
        )
    drawn = (words(count, *axes) % np.uint64(ends[-1])).astype(np.int64)
    chosen = np.searchsorted(ends, drawn, side="right")
    corners = np.concatenate(inside)[drawn]
    tops, lefts = np.divmod(corners, width - size + 1)
    found = [
        pictures[picture, top : top + size, left : left + size]
        for picture, top, left in zip(chosen, tops, lefts, strict=True)
    ]
    return np.stack(found)[:, None] if found else np.zeros((0, 1, size, size), np.uint8)


def _covered(picture: Pixels, size: int, coverage: float) -> npt.NDArray[np.bool_]:
    """Say for every corner (top, left) whether the patch there shows enough, by an integral."""
    rows, columns = picture.shape
    integral = np.zeros((rows + 1, columns + 1), np.int32)
    integral[1:, 1:] = (picture > _AIR).cumsum(0, dtype=np.int32).cumsum(1, dtype=np.int32)
    tall = integral[size:] - integral[:-size]
    enough: npt.NDArray[np.bool_] = tall[:, size:] - tall[:, :-size] >= coverage * size * size
    return enough
