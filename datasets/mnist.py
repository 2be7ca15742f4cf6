"""`mnist`: the handwritten digits of LeCun, Cortes and Burges, grey or binary."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from datasets.amat import read_amat
from datasets.idx import read_idx
from datasets.images import Pixels
from datasets.locating import file_state, find_file, missing
from datasets.official import OfficialSource
from datasets.options import InvalidOptionError, require_integer
from datasets.seeding import words
from datasets.source import Dataset, locate

FOLDERS = (".", "mnist", "MNIST/raw", "MNIST", "raw", "mnist/MNIST/raw", "binarized_mnist")
PAGE = "http://yann.lecun.com/exdb/mnist/"
AMAT_PAGE = "http://www.cs.toronto.edu/~larocheh/public/datasets/binarized_mnist/"
BINARISE = ("none", "threshold", "dynamic", "larochelle")
_SIDE = 28


@dataclass(frozen=True)
class Part:
    """One official file: its name, the images in it and the md5 of its content if known."""

    name: str
    count: int
    md5: str = ""


IDX = {
    "train": Part("train-images-idx3-ubyte", 60_000, "6bbc9ace898e44ae57da46a324031adb"),
    "test": Part("t10k-images-idx3-ubyte", 10_000, "2646ac647ad5339dbf082846283269ea"),
}
AMAT = {
    "train": Part("binarized_mnist_train.amat", 50_000),
    "validation": Part("binarized_mnist_valid.amat", 10_000),
    "test": Part("binarized_mnist_test.amat", 10_000),
}


class Mnist(Dataset):
    """70,000 handwritten digits, 1 × 28 × 28 or padded to 1 × 32 × 32.

    Source: LeCun, Bottou, Bengio and Haffner (1998); official page http://yann.lecun.com/exdb/mnist/.
    Looked for in `root`, root/mnist, root/MNIST/raw (torchvision's layout) and the like:
    train-images-idx3-ubyte and t10k-images-idx3-ubyte, gzipped or not (Kaggle's names with a dot
    too); labels are not needed. The md5 of the content is checked.

    Options: `size` 28, or 32 with two black pixels on each side; `seed`; `binarise`:
    - `none`: grey;
    - `threshold`: white where the grey value is over 0.5;
    - `dynamic` (Burda, Grosse and Salakhutdinov 2016): each pixel is white with probability its
      grey value. Train keeps the probabilities and is marked stochastic, to be drawn anew at each
      visit; validation and test are drawn once, by `seed`;
    - `larochelle`: the one fixed draw of Salakhutdinov and Murray (2008) that Larochelle and Murray
      (2011) published, binarized_mnist_{train,valid,test}.amat with 50,000, 10,000 and 10,000
      images; its official splits and order are kept.

    Splits otherwise: the official test in its order; validation is the last tenth of the seeded
    permutation of train, the same digits for every `binarise` and `size`, and train the rest of
    it. No two of the 70,000 images are equal.

    Errors: `InvalidOptionError`, `MissingFilesError` at `open`, and `InvalidArrayFileError` when
    the images are read: truncated, wrong magic, wrong counts, not the official pixels.
    """

    def __init__(
        self,
        *,
        root: Path | None = None,
        binarise: str = "none",
        size: int = _SIDE,
        seed: int = 0,
    ) -> None:
        if binarise not in BINARISE:
            raise InvalidOptionError(f"binarise={binarise!r} is none of {', '.join(BINARISE)}")
        if type(size) is not int or size not in (28, 32):
            raise InvalidOptionError(f"size={size!r} is neither 28 nor 32 (padded with black)")
        require_integer("seed", seed, 0, 2**63 - 1)
        self.root, self.binarise, self.size, self.seed = root, binarise, size, seed

    def image_shape(self) -> tuple[int, int, int]:
        """Return (channels, height, width) of every image."""
        return 1, self.size, self.size

    def open(self) -> "MnistSource":
        """Find the files; they are read with the first image.

        Errors: `MissingFilesError`.
        """
        fixed = self.binarise == "larochelle"
        parts, page = (AMAT, AMAT_PAGE) if fixed else (IDX, PAGE)
        paths = {split: self._find(part, page) for split, part in parts.items()}
        source = MnistSource(parts, paths, self.binarise, self.size, self.seed)
        if self.root is not None:
            source.files = tuple(file_state(self.root, path) for path in paths.values())
        return source

    def _find(self, part: Part, page: str) -> Path:
        dotted = part.name.replace("-idx", ".idx")
        names = [name + suffix for name in (part.name, dotted) for suffix in ("", ".gz")]
        path = find_file(self.root, FOLDERS, names)
        if path is None:
            raise missing("mnist", self.root, part.name, FOLDERS, page)
        return path


class MnistSource(OfficialSource):
    """The digits of found files."""

    licence = "CC BY-SA 3.0 as others report it, Y. LeCun, C. Cortes and C. Burges"

    def __init__(
        self, parts: dict[str, Part], paths: dict[str, Path], binarise: str, size: int, seed: int
    ) -> None:
        super().__init__("mnist", {split: part.count for split, part in parts.items()}, seed)
        self.parts, self.paths, self.binarise = parts, paths, binarise
        self.shape = (1, size, size)
        self.margin = (size - _SIDE) // 2
        self.stochastic = binarise == "dynamic"
        kind = "grey" if binarise == "none" else f"binarised ({binarise})"
        self.description = f"MNIST, {kind}, {size}x{size}"
        self._drawn = self._drawn_places() if self.stochastic else frozenset()

    def read_split(self, split: str) -> Pixels:
        """Return the digits of an official split, padded and, where fixed, binarised."""
        part, path = self.parts[split], self.paths[split]
        if self.binarise == "larochelle":
            digits = read_amat(path, part.count, _SIDE)
        else:
            digits = read_idx(path, part.count, _SIDE, part.md5)
        if self.binarise == "threshold":
            digits = (digits > 127.5) * np.uint8(255)
        return np.pad(digits, ((0, 0), (self.margin,) * 2, (self.margin,) * 2))[:, None]

    def read(self, index: int) -> Pixels:
        """Return a digit; of the dynamic ones, those of validation and test are drawn."""
        digit = super().read(index)
        if index not in self._drawn:
            return digit
        inner = slice(self.margin, self.margin + _SIDE)
        drawn = np.zeros_like(digit)
        drawn[:, inner, inner] = _draw(
            digit[:, inner, inner], self.seed, *locate(self.counts, index)
        )
        return drawn

    def _drawn_places(self) -> frozenset[int]:
        empty = np.zeros((0, 0), np.uint8)
        splits = self.arrange(empty, empty.astype(np.bool_))
        return frozenset(np.concatenate([splits["validation"], splits["test"]]).tolist())


def _draw(probabilities: Pixels, *axes: str | int) -> Pixels:
    """Draw white pixels with probability p / 255: a level uniform on 0..254 is below p."""
    levels = words(probabilities.size, *axes).reshape(probabilities.shape) % 255
    return (levels < probabilities) * np.uint8(255)
