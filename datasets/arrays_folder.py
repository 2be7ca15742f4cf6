"""Images in `.npy` files: one, or one per split in a folder, a zip or a tar."""

from pathlib import Path

import numpy as np
from PIL import Image

from datasets.arrangement import Arrangement, counted, cut_missing
from datasets.decode import DifferentSizesError, Framing
from datasets.images import Pixels
from datasets.source import Digests, FileState, Flags, Indices, Source, consecutive
from datasets.subfolders import SPLIT_OF
from datasets.tree import ARCHIVES, InvalidFolderError, Span, open_tree, state

_FORM = "save uint8 of shape (N, H, W), (N, H, W, C) or (N, C, H, W) with 1, 3 or 4 channels"
_CHANNELS = (1, 3, 4)


class ArraysSource(Source):
    """Arrays of images, mapped and not read."""

    def __init__(self, root: Path, spans: dict[str, Span], framing: Framing, seed: int) -> None:
        """Map the arrays, by split; raises `InvalidFolderError` where one holds no images."""
        self.splits = list(spans)
        self.arrays = [map_images(span) for span in spans.values()]
        official = consecutive(
            {name: len(array) for name, array in zip(spans, self.arrays, strict=True)}
        )
        self.starts = [int(indices[0]) for indices in official.values()]
        self.framing = framing
        self.arrangement = Arrangement(official, seed, cut_missing(official), shuffle="folder")
        self.shape = framing.shape() or (framing.channels, *self.arrays[0].shape[1:3])
        self.files = _states(root, spans)
        self.description = f"images of {root.resolve().name} ({counted(official)})"
        self.licence = "not stated: the user's own arrays"

    def __len__(self) -> int:
        """Return the number of images of all arrays."""
        return sum(map(len, self.arrays))

    def name(self, index: int) -> str:
        """Return the split and the place of an image in its array."""
        which = self._which(index)
        return f"{self.splits[which]} {index - self.starts[which]}"

    def read(self, index: int) -> Pixels:
        """Convert and frame an image; raises `DifferentSizesError` where sizes must be equal."""
        which = self._which(index)
        stored = np.ascontiguousarray(self.arrays[which][index - self.starts[which]])
        image = Image.fromarray(stored[..., 0] if stored.shape[-1] == 1 else stored)
        pixels = self.framing(image.convert("RGB" if self.framing.channels == 3 else "L"))
        if pixels.shape != self.shape:
            raise DifferentSizesError(
                f"images of {self.splits[which]} are {pixels.shape[2]}x{pixels.shape[1]} but those "
                f"of {self.splits[0]} {self.shape[2]}x{self.shape[1]}: pass size="
            )
        return pixels

    def arrange(self, digests: Digests, readable: Flags) -> dict[str, Indices]:
        """Return the splits that the arrays are, missing ones cut from train."""
        return self.arrangement(digests, readable)

    def _which(self, index: int) -> int:
        return sum(start <= index for start in self.starts) - 1


def find_arrays(path: Path) -> dict[str, Span] | None:
    """Return the `.npy` files at `path` by split, train first; None where images are files.

    A single `.npy` is train. Raises `InvalidFolderError` for a second array of a split or none of
    train, `InvalidArchiveError` for arrays compressed in a zip.
    """
    if path.is_file() and path.suffix.lower() == ".npy":
        return {"train": Span(path, 0, path.stat().st_size)}
    if path.is_dir():
        files = {found.name: found for found in path.glob("*.npy") if found.is_file()}
        return _by_split(path, {n: Span(p, 0, p.stat().st_size) for n, p in files.items()})
    if not path.name.lower().endswith(ARCHIVES) or not path.is_file():
        return None
    tree = open_tree(path)
    names = [name for name in tree.names if name.lower().endswith(".npy")]
    return _by_split(path, {name.split("/")[-1]: tree.span(name) for name in names})


def map_images(span: Span) -> Pixels:
    """Map an array of images, as uint8 `(N, H, W, C)`; nothing is read but its header.

    Raises `InvalidFolderError` for another type or shape, and for a file that is no whole `.npy`.
    """
    try:
        shape, fortran, dtype, offset = _header(span)
    except (ValueError, OSError) as error:
        raise InvalidFolderError(f"{span.path} is no array of images: {error}") from error
    axes = _axes(shape) if dtype == np.uint8 and 0 not in shape else None
    if axes is None:
        raise InvalidFolderError(f"{span.path} holds {dtype} of shape {shape}: {_FORM}")
    if offset - span.offset + int(np.prod(shape)) > span.size:
        raise InvalidFolderError(f"{span.path} ends before its array does: copy it again")
    order = "F" if fortran else "C"
    mapped = np.memmap(span.path, np.uint8, "r", offset, shape, order)  # type: ignore[call-overload]
    images: Pixels = mapped[..., None] if len(shape) == 3 else mapped.transpose(axes)
    return images


def _header(span: Span) -> tuple[tuple[int, ...], bool, np.dtype, int]:
    with span.path.open("rb") as stream:
        stream.seek(span.offset)
        version = np.lib.format.read_magic(stream)
        if version not in ((1, 0), (2, 0)):
            raise ValueError(f"npy version {version} is not one of plain arrays")
        read = (
            np.lib.format.read_array_header_1_0
            if version == (1, 0)
            else np.lib.format.read_array_header_2_0
        )
        return *read(stream), stream.tell()


def _axes(shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return the axes in the order (N, H, W, C), or None for a shape that is none of images."""
    if len(shape) == 3:
        return 0, 1, 2
    if len(shape) != 4:
        return None
    last, first = shape[3] in _CHANNELS, shape[1] in _CHANNELS
    if last == first:  # neither, or an image of so few rows that both could be meant
        return None
    return (0, 1, 2, 3) if last else (0, 2, 3, 1)


def _by_split(path: Path, spans: dict[str, Span]) -> dict[str, Span] | None:
    splits: dict[str, Span] = {}
    for name in sorted(spans):
        split = SPLIT_OF.get(name[: -len(".npy")].lower())
        if split in splits:
            raise InvalidFolderError(f"{path} holds two arrays of {split}: keep one of them")
        if split:
            splits[split] = spans[name]
    if splits and "train" not in splits:
        raise InvalidFolderError(f"{path} holds no train.npy: add it or rename one of the arrays")
    return dict(sorted(splits.items(), key=lambda item: item[0] != "train")) or None


def _states(root: Path, spans: dict[str, Span]) -> tuple[FileState, ...]:
    paths = sorted({span.path for span in spans.values()})
    return tuple(state(path, path.name) for path in paths)
