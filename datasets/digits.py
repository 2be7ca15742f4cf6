"""`digits`: the small handwritten digits that come with scikit-learn."""

import numpy as np
from PIL import Image

from datasets.images import Pixels
from datasets.options import require_integer
from datasets.seeding import permutation
from datasets.source import ArraySource, Dataset
from datasets.wheels import MissingShippedFileError, shipped_file

_COUNT, _SIDE, _INK = 1797, 8, 16


class Digits(Dataset):
    """1,797 handwritten digits of 8 × 8 pixels, enlarged to 1 × size × size.

    Source: the test part of "Optical Recognition of Handwritten Digits" (Alpaydin and Kaynak 1998,
    UCI), as shipped with scikit-learn; ink counts 0..16 become 0..255. Of the 43 writers of the
    whole collection, 13 wrote this part. The file does not say who wrote what, so a writer's
    digits are in all three splits.

    Options: `size` 8 to 256 pixels (bilinear; 8 keeps the pixels); `seed` of the permutation whose
    first 60, next 20 and last 20 per cent are train (1,078), validation (359) and test (360).
    Errors: `InvalidOptionError` for a value out of range.
    """

    def __init__(self, *, size: int = 32, seed: int = 0) -> None:
        require_integer("size", size, _SIDE, 256)
        require_integer("seed", seed, 0, 2**63 - 1)
        self.size, self.seed = size, seed

    def image_shape(self) -> tuple[int, int, int]:
        """Return (channels, height, width) of every image."""
        return 1, self.size, self.size

    def open(self) -> ArraySource:
        """Read, enlarge and split the digits.

        Errors: `MissingShippedFileError` when the installed scikit-learn lacks them.
        """
        scans = read_scans()
        resized = np.stack([_resize(scan, self.size) for scan in scans])[:, None]
        order = permutation(_COUNT, self.seed, "digits")
        train, validation, test = np.split(order, [_COUNT * 6 // 10, _COUNT * 8 // 10])
        return ArraySource(
            resized[train],
            resized[validation],
            resized[test],
            description=f"8x8 handwritten digits enlarged to {self.size}x{self.size}",
            licence="CC BY 4.0, Alpaydin and Kaynak (1998), UCI Machine Learning Repository",
        )


def read_scans() -> Pixels:
    """Return the scans in the file's order, uint8 `(1797, 8, 8)` in [0, 255].

    The file is read directly because importing scikit-learn takes two seconds.
    """
    path = shipped_file("sklearn", "datasets/data/digits.csv.gz")
    table = np.loadtxt(path, dtype=np.uint16, delimiter=",")
    if table.shape != (_COUNT, _SIDE * _SIDE + 1):
        raise MissingShippedFileError(
            f"{path.name} of sklearn holds a table of {table.shape} instead of (1797, 65): "
            "install a release of scikit-learn that has the 1,797 digits"
        )
    ink = table[:, :-1].reshape(_COUNT, _SIDE, _SIDE)
    return ((ink * 255 + _INK // 2) // _INK).astype(np.uint8)


def _resize(scan: Pixels, size: int) -> Pixels:
    image = Image.fromarray(scan).resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(image)
