"""`folder`: the user's own images, in a tree of files, an archive or NumPy arrays."""

import re
from pathlib import Path

from datasets.arrangement import Arrangement, counted, cut_missing
from datasets.arrays_folder import ArraysSource, find_arrays
from datasets.decode import Framing
from datasets.options import InvalidOptionError, require_integer
from datasets.source import Dataset, Source, consecutive
from datasets.subfolders import official_splits
from datasets.tree import open_tree
from datasets.tree_source import TreeSource

_LICENCE = "not stated: the user's own folder"


class Folder(Dataset):
    r"""The png, jpeg, webp, bmp and tiff images anywhere below a folder, or arrays of images.

    Options: `path`: a folder, a `.zip` or a plain `.tar` of image files; a `.npy` file, uint8
    `(N, H, W)`, `(N, H, W, C)` or `(N, C, H, W)`; or a folder, zip or tar of train.npy, val.npy and
    test.npy. `crop`, 8 to 8192: side in pixels of the centred square that is cut, None for the
    largest. `size`, 8 to 2048: the square is resized to size × size (bilinear, antialiased);
    without both all images must share one size. `channels` 3 (grey is repeated) or 1 (luminance).
    `seed` of the permutations. `group`: a regular expression whose first group, or else whole
    match, in the name relative to `path` labels what stays on one side of a cut, such as a person
    or a scene: `group=(\d+)_` for 012_smiling.png.

    Splits: subfolders train, val (or valid, validation) and test are the splits. A missing one
    is cut from train: the last tenth of its seeded permutation is test, the tenth before it
    validation; a lone missing one takes the last tenth. Without subfolders all images are
    train's, hence 80/10/10. Cutting keeps copies of one image on one side; splits that folders name
    are kept as they are. Images inside a split are shuffled, so that its first n are a fair subset.

    EXIF orientation is honoured and alpha dropped. Unreadable files (truncated, not images, beyond
    Pillow's pixel limit, smaller than `crop`) are listed and skipped up to 1 per cent.
    Errors, all `ValueError`: `InvalidOptionError`; `InvalidFolderError` for nothing there, links
    in a circle, unreadable arrays; its `InvalidArchiveError`; and on reading `UnreadableError`,
    `DifferentSizesError` and `TooFewImagesError`.
    """

    def __init__(
        self,
        path: str,
        *,
        size: int | None = None,
        crop: int | None = None,
        channels: int = 3,
        seed: int = 0,
        group: str | None = None,
    ) -> None:
        if not isinstance(path, str) or not path:
            raise InvalidOptionError(f"path={path!r} names no folder: give a folder of images")
        if size is not None:
            require_integer("size", size, 8, 2048)
        if crop is not None:
            require_integer("crop", crop, 8, 8192)
        if type(channels) is not int or channels not in (1, 3):
            raise InvalidOptionError(f"channels={channels!r} is neither 1 (grey) nor 3 (colour)")
        require_integer("seed", seed, 0, 2**63 - 1)
        self.root, self.seed = Path(path).expanduser(), seed
        self.framing = Framing(channels=channels, size=size, crop=crop)
        self.group = None if group is None else _compiled(group)

    def image_shape(self) -> tuple[int, int, int]:
        """Return (channels, height, width) of every image; lists the files if options say none.

        Errors: as `open`.
        """
        return self.framing.shape() or self.open().shape

    def open(self) -> Source:
        """List the files.

        Errors: see the class.
        """
        arrays = find_arrays(self.root)
        if arrays is not None:
            if self.group is not None:
                raise InvalidOptionError("group= labels files by name: arrays have no names")
            return ArraysSource(self.root, arrays, self.framing, self.seed)
        tree = open_tree(self.root)
        splits = official_splits(tree.images())
        names = [name for members in splits.values() for name in members]
        official = consecutive({split: len(members) for split, members in splits.items()})
        return TreeSource(
            tree,
            names,
            self.framing,
            Arrangement(
                official,
                self.seed,
                cut_missing(official),
                None if self.group is None else _labels(self.group, names),
                shuffle="folder",
            ),
            description=f"images of {self.root.resolve().name} ({counted(official)})",
            licence=_LICENCE,
        )


def _compiled(group: object) -> re.Pattern[str]:
    try:
        return re.compile(group)  # type: ignore[call-overload]
    except (re.error, TypeError) as error:
        raise InvalidOptionError(f"group={group!r} is no regular expression: {error}") from error


def _labels(group: re.Pattern[str], names: list[str]) -> list[str]:
    labels = []
    for name in names:
        match = group.search(name)
        label = match and match[1 if group.groups else 0]
        if not label:
            raise InvalidOptionError(
                f"group={group.pattern!r} finds nothing in {name!r}: "
                "write a pattern that matches every name"
            )
        labels.append(label)
    return labels
