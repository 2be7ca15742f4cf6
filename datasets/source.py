"""What a dataset offers before it is decoded: images in a fixed order, read one at a time."""

import hashlib
import json
import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from datasets.images import Images, Pixels

Indices = npt.NDArray[np.int64]
Digests = npt.NDArray[np.uint8]  # (N, DIGEST): one row per image
Flags = npt.NDArray[np.bool_]

logger = logging.getLogger(__name__)

SPLITS = ("train", "validation", "test")
DIGEST = 16  # bytes that identify an image's pixels
BLOCK = 256  # images that one thread reads in order
_NAMED = 5


class UnreadableError(ValueError):
    """More of a dataset's images than tolerated cannot be read."""


class MissingFilesError(ValueError):
    """Files of a dataset that are not where they should be; says which and where to get them."""


class FatalError(ValueError):
    """What `Source.read` raises where going on makes no sense, such as images of two sizes."""


@dataclass(frozen=True, order=True)
class FileState:
    """A file that images come from; another size or time of change means other images."""

    path: str  # relative to the dataset's root, forward slashes
    size: int
    changed: int  # nanoseconds


class Source(ABC):
    """A dataset whose files are listed and checked but not decoded.

    Images are numbered from 0 in an order that depends on the files' names and contents alone.
    `shape` is the (C, H, W) of every image; `files` what they are read from, empty where they come
    with an installed package; `stochastic` says that train's pixels are probabilities to be drawn
    anew at each visit; `tolerated` is the share of unreadable images that is skipped.
    """

    shape: tuple[int, int, int]
    description: str
    licence: str
    files: tuple[FileState, ...] = ()
    stochastic: bool = False
    tolerated: float = 0.01

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of images."""

    @abstractmethod
    def name(self, index: int) -> str:
        """Return what a list of unreadable images calls image `index`."""

    @abstractmethod
    def read(self, index: int) -> Pixels:
        """Return image `index`, uint8 of `shape`; called from several threads at once.

        Indices of one thread rise. Raises `FatalError` to end the reading, any other
        `Exception` where this one image cannot be read.
        """

    @abstractmethod
    def arrange(self, digests: Digests, readable: Flags) -> dict[str, Indices]:
        """Return the indices of train, validation and test, in the order they are kept.

        `digests`: one row per image, equal for equal pixels; `readable`: whether it was read.
        Raises `ValueError` where a split would be empty.
        """

    def fingerprint(self) -> str:
        """Return the sha256 (hexadecimal) of the names, sizes and times of the files."""
        states = sorted((state.path, state.size, state.changed) for state in self.files)
        return hashlib.sha256(json.dumps(states).encode()).hexdigest()


class Dataset(ABC):
    """A reader of one kind of dataset; options are checked when it is made, files when opened."""

    @abstractmethod
    def image_shape(self) -> tuple[int, int, int]:
        """Return (channels, height, width) of every image, from the options where they say it."""

    @abstractmethod
    def open(self) -> Source:
        """List and check the files; decodes at most a few.

        Raises `MissingFilesError` and other `ValueError`s, one sentence each.
        """

    def load(self) -> Images:
        """Read the whole dataset into memory; raises as `open`, `check_unreadable`, `arrange`."""
        return gather(self.open())


class ArraySource(Source):
    """Splits that are in memory already, in the order they are kept."""

    def __init__(
        self, train: Pixels, validation: Pixels, test: Pixels, *, description: str, licence: str
    ) -> None:
        """Take the splits, uint8 `(N, C, H, W)` of one image shape."""
        self.splits = {"train": train, "validation": validation, "test": test}
        channels, height, width = train.shape[1:]
        self.shape = (channels, height, width)
        self.description, self.licence = description, licence
        self.counts = {name: len(array) for name, array in self.splits.items()}

    def __len__(self) -> int:
        """Return the number of images of all splits."""
        return sum(self.counts.values())

    def name(self, index: int) -> str:
        """Return the split and the place of an image in it."""
        split, place = locate(self.counts, index)
        return f"{split} {place}"

    def read(self, index: int) -> Pixels:
        """Return an image."""
        split, place = locate(self.counts, index)
        found: Pixels = self.splits[split][place]
        return found

    def arrange(self, digests: Digests, readable: Flags) -> dict[str, Indices]:
        """Return the splits as they were given."""
        return consecutive(self.counts)


def consecutive(counts: Mapping[str, int]) -> dict[str, Indices]:
    """Number the images of splits that lie one after the other."""
    ends = np.cumsum([0, *counts.values()]).tolist()
    spans = zip(counts, ends, ends[1:], strict=False)
    return {split: np.arange(start, end, dtype=np.int64) for split, start, end in spans}


def locate(counts: Mapping[str, int], index: int) -> tuple[str, int]:
    """Return the split of an image of `consecutive` ones and its place in it."""
    place = index
    for split, count in counts.items():
        if place < count:
            return split, place
        place -= count
    raise IndexError(f"image {index} of {sum(counts.values())}")


def gather(source: Source) -> Images:
    """Read every image of a source into memory, with a pool of threads, and split them."""
    count = len(source)
    pixels = np.zeros((count, *source.shape), np.uint8)
    digests = np.zeros((count, DIGEST), np.uint8)
    starts = range(0, count, BLOCK)

    def read(start: int) -> dict[int, str]:
        stop = min(start + BLOCK, count)
        return read_block(source, start, pixels[start:stop], digests[start:stop])

    reasons: dict[int, str] = {}
    with ThreadPoolExecutor() as pool:
        for found in pool.map(read, starts):
            reasons |= found
    if skipped := check_unreadable(source, reasons):
        logger.warning("%s", skipped)
    readable = np.ones(count, np.bool_)
    readable[list(reasons)] = False
    splits = source.arrange(digests, readable)
    return Images.of(
        *(pixels[splits[name]] for name in SPLITS),
        description=source.description,
        licence=source.licence,
        stochastic=source.stochastic,
    )


def read_block(source: Source, start: int, pixels: Pixels, digests: Digests) -> dict[int, str]:
    """Read images `start`, `start + 1`, … into `pixels` `(n, *shape)` and digest each.

    Returns index -> reason for those that cannot be read; their pixels and digests stay 0.
    """
    reasons: dict[int, str] = {}
    for place in range(len(pixels)):
        try:
            found = source.read(start + place)
        except FatalError:
            raise
        except Exception as error:  # decoders raise almost anything on broken bytes
            reasons[start + place] = f"{type(error).__name__}: {error}"
            continue
        pixels[place] = found
        kept = np.ascontiguousarray(pixels[place])  # decoders give channels last: copied once
        digest = hashlib.blake2b(kept.data, digest_size=DIGEST).digest()
        digests[place] = np.frombuffer(digest, np.uint8)
    return reasons


def check_unreadable(source: Source, reasons: dict[int, str]) -> str | None:
    """Return a sentence that counts and names the unreadable images, or None without any.

    Raises `UnreadableError` when they are more than `source.tolerated` of all.
    """
    if not reasons:
        return None
    # Of a volume that cannot be read every patch is missing: it is named once.
    first = {source.name(index): reasons[index] for index in sorted(reasons, reverse=True)}
    named = "; ".join(f"{name} ({why})" for name, why in list(reversed(first.items()))[:_NAMED])
    counted = f"{len(reasons)} of {len(source)} images cannot be read"
    if len(reasons) > source.tolerated * len(source):
        raise UnreadableError(
            f"{counted}, more than {source.tolerated:.0%}: repair or remove them, beginning with "
            f"{named}"
        )
    return f"{counted} and are left out: {named}"
