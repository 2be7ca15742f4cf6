"""`folder`: the user's own tree of image files."""

import logging
from pathlib import Path

import numpy as np

from datasets.decode import decode_all, header_size
from datasets.images import Images, Pixels
from datasets.options import InvalidOptionError, require_integer
from datasets.seeding import permutation
from datasets.splitting import Indices, cut
from datasets.tree import InvalidFolderError, find_images, official_splits

logger = logging.getLogger(__name__)

_SPLITS = ("train", "validation", "test")
_NAMED = 5
_TOLERATED = 0.01


class Folder:
    """The png, jpeg, webp, bmp and tiff images anywhere below a folder.

    Options: `path`; `size`, 8 to 2048: the largest centred square of each image is resized to
    size × size (bilinear, antialiased), and without it all images must share one size; `channels` 3
    (grey is repeated) or 1 (luminance); `seed` of the permutations.

    Splits: subfolders train, val (or valid, validation) and test are the splits. A missing one
    is cut from train: the last tenth of its seeded permutation is test, the tenth before it
    validation; a lone missing one takes the last tenth. Without subfolders all images are
    train's, hence 80/10/10. Cutting keeps copies of one image on one side. Images inside a split
    are shuffled, so that its first n are a fair subset.

    EXIF orientation is honoured and alpha dropped. Unreadable files (truncated, not images, beyond
    Pillow's pixel limit) are skipped with a warning.
    Errors, all `ValueError`: `InvalidOptionError`, and on reading `InvalidFolderError` (nothing
    there, links in a circle, more than 1 per cent unreadable), `DifferentSizesError` and
    `TooFewImagesError`.
    """

    def __init__(
        self, path: str, *, size: int | None = None, channels: int = 3, seed: int = 0
    ) -> None:
        if not isinstance(path, str) or not path:
            raise InvalidOptionError(f"path={path!r} names no folder: give a folder of images")
        if size is not None:
            require_integer("size", size, 8, 2048)
        if type(channels) is not int or channels not in (1, 3):
            raise InvalidOptionError(f"channels={channels!r} is neither 1 (grey) nor 3 (colour)")
        require_integer("seed", seed, 0, 2**63 - 1)
        self.root = Path(path).expanduser()
        self.size, self.channels, self.seed = size, channels, seed

    def image_shape(self) -> tuple[int, int, int]:
        """Return (channels, height, width) of every image; reads one header when `size` is None.

        Errors: `InvalidFolderError` as for `load`.
        """
        if self.size is not None:
            return self.channels, self.size, self.size
        return self._shape(official_splits(find_images(self.root)))

    def load(self) -> Images:
        """Decode every image and split them.

        Errors: see the class.
        """
        official = official_splits(find_images(self.root))
        paths = [path for members in official.values() for path in members]
        shape = self._shape(official)
        images, reasons = decode_all(self.root, paths, shape, resize=self.size is not None)
        self._report(paths, reasons)
        indices = self._shuffle(self._complete(images, _readable(official, reasons)))
        counts = ", ".join(f"{split} {len(indices[split])}" for split in _SPLITS)
        return Images.of(
            *(images[indices[split]] for split in _SPLITS),
            description=f"images of folder {self.root.resolve().name} ({counts})",
            licence="not stated: the user's own folder",
        )

    def _shape(self, official: dict[str, list[str]]) -> tuple[int, int, int]:
        if self.size is not None:
            return self.channels, self.size, self.size
        sizes = (header_size(self.root / path) for paths in official.values() for path in paths)
        first = next((size for size in sizes if size is not None), None)
        if first is None:
            raise InvalidFolderError(
                f"no file below {self.root} can be read as an image: replace them"
            )
        return self.channels, *first

    def _report(self, paths: list[str], reasons: dict[int, str]) -> None:
        if not reasons:
            return
        named = "; ".join(f"{paths[i]} ({reasons[i]})" for i in list(reasons)[:_NAMED])
        logger.warning("%d of %d images cannot be read: %s", len(reasons), len(paths), named)
        if len(reasons) > _TOLERATED * len(paths):
            raise InvalidFolderError(
                f"{len(reasons)} of {len(paths)} images below {self.root} cannot be read, more "
                f"than {_TOLERATED:.0%}: repair or remove them, beginning with {named}"
            )

    def _complete(self, images: Pixels, indices: dict[str, Indices]) -> dict[str, Indices]:
        missing = [split for split in _SPLITS if split not in indices]
        return indices | cut(images, indices["train"], missing, self.seed) if missing else indices

    def _shuffle(self, indices: dict[str, Indices]) -> dict[str, Indices]:
        return {
            split: members[permutation(len(members), self.seed, "folder", split)]
            for split, members in indices.items()
        }


def _readable(official: dict[str, list[str]], reasons: dict[int, str]) -> dict[str, Indices]:
    readable: dict[str, Indices] = {}
    start = 0
    for split, paths in official.items():
        chosen = [i for i in range(start, start + len(paths)) if i not in reasons]
        if not chosen:
            raise InvalidFolderError(f"no image of split {split} can be read: replace its files")
        readable[split] = np.array(chosen, np.int64)
        start += len(paths)
    return readable
