"""`cifar10`: 60,000 colour photographs of ten kinds of things, without loss."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from datasets.batch_files import read_members
from datasets.idx import InvalidArrayFileError
from datasets.images import Pixels
from datasets.locating import file_state, find_file, missing
from datasets.official import OfficialSource
from datasets.options import InvalidOptionError, require_integer
from datasets.pickled import array_bytes
from datasets.source import Dataset

PAGE = "https://www.cs.toronto.edu/~kriz/cifar.html"
START = (".", "cifar10", "cifar-10", "CIFAR10", "cifar")
PER_FILE = 10_000
_SIDE = 32
_VALUES = 3 * _SIDE * _SIDE

# md5 of the files of the Python version, as torchvision checks them
MD5 = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}


@dataclass(frozen=True)
class Version:
    """One official way the images are published in: its folder, its tar, its files' suffix."""

    folder: str
    archive: str
    suffix: str
    limit: int  # bytes of a file


BINARY = Version("cifar-10-batches-bin", "cifar-10-binary.tar.gz", ".bin", 30_730_000)
PYTHON = Version("cifar-10-batches-py", "cifar-10-python.tar.gz", "", 40_000_000)


class Cifar10(Dataset):
    """50,000 + 10,000 photographs, 3 × 32 × 32, of ten classes.

    Source: Krizhevsky (2009), https://www.cs.toronto.edu/~kriz/cifar.html. Looked for in `root`,
    root/cifar10 and the like, in this order: the binary version (cifar-10-batches-bin), the Python
    version that torchvision keeps (cifar-10-batches-py), and the tar of either, not unpacked.
    Files of the Python version are pickles: they are never loaded, their md5 is compared with the
    official one and the pixels are taken out of their bytes. Binary files have to have the
    official size and labels from 0 to 9.

    Options: `size`, 32 alone; `seed`.
    Splits: the official test in its order; validation is the last tenth of the seeded permutation
    of train, and train the rest of it.

    Errors: `InvalidOptionError`, `MissingFilesError` at `open`, and `InvalidArrayFileError` when
    the images are read.
    """

    def __init__(self, *, root: Path | None = None, size: int = _SIDE, seed: int = 0) -> None:
        if type(size) is not int or size != _SIDE:
            raise InvalidOptionError(f"size={size!r} is not 32, the only size of CIFAR-10")
        require_integer("seed", seed, 0, 2**63 - 1)
        self.root, self.seed = root, seed

    def image_shape(self) -> tuple[int, int, int]:
        """Return (channels, height, width) of every image."""
        return 3, _SIDE, _SIDE

    def open(self) -> "CifarSource":
        """Find the files; they are read with the first image.

        Errors: `MissingFilesError`.
        """
        version, path = self._find()
        source = CifarSource(version, path, self.seed)
        if self.root is not None:
            files = [path / name for name in source.names] if path.is_dir() else [path]
            source.files = tuple(file_state(self.root, file) for file in files)
        return source

    def _find(self) -> tuple[Version, Path]:
        for version in (BINARY, PYTHON):
            first = find_file(self.root, _folders(version), [f"data_batch_1{version.suffix}"])
            if first is not None:
                self._refuse_partial(version, first.parent)
                return version, first.parent
        for version in (BINARY, PYTHON):
            archive = find_file(self.root, START, [version.archive])
            if archive is not None:
                return version, archive
        wanted = f"{BINARY.archive} or {PYTHON.archive}, packed or unpacked"
        raise missing("cifar10", self.root, wanted, START, PAGE)

    def _refuse_partial(self, version: Version, folder: Path) -> None:
        for name in _names(version):
            if not (folder / name).is_file():
                raise missing("cifar10", folder, name, (".",), PAGE)


class CifarSource(OfficialSource):
    """The photographs of a found version."""

    shape = (3, _SIDE, _SIDE)
    description = "CIFAR-10, 32x32"
    licence = "none stated by the owner, A. Krizhevsky, who asks for citation of his report (2009)"

    def __init__(self, version: Version, path: Path, seed: int) -> None:
        super().__init__("cifar10", {"train": 5 * PER_FILE, "test": PER_FILE}, seed)
        self.version, self.path = version, path
        self.names = _names(version)

    def read_split(self, split: str) -> Pixels:
        """Return the photographs of an official split."""
        names = self.names[:5] if split == "train" else self.names[5:]
        members = read_members(self.path, names, self.version.limit)
        parse = _binary if self.version is BINARY else _python
        batches = [parse(members.pop(name), name, self.path) for name in names]
        return np.concatenate(batches).reshape(-1, *self.shape)


def _folders(version: Version) -> list[str]:
    return [f"{start}/{version.folder}" for start in START] + list(START)


def _names(version: Version) -> list[str]:
    return [f"{name}{version.suffix}" for name in MD5]


def _binary(content: bytes, name: str, path: Path) -> Pixels:
    expected = PER_FILE * (1 + _VALUES)
    if len(content) != expected:
        raise InvalidArrayFileError(
            f"{name} of {path} has {len(content)} bytes instead of {expected}: get it again"
        )
    rows = np.frombuffer(content, np.uint8).reshape(PER_FILE, 1 + _VALUES)
    if rows[:, 0].max() > 9:
        raise InvalidArrayFileError(
            f"{name} of {path} has label {rows[:, 0].max()}, but CIFAR-10 has 0 to 9: get it again"
        )
    return rows[:, 1:]


def _python(content: bytes, name: str, path: Path) -> Pixels:
    digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if digest != MD5[name]:
        raise InvalidArrayFileError(
            f"{name} of {path} has md5 {digest} instead of {MD5[name]}: get it again"
        )
    return array_bytes(content, (PER_FILE, _VALUES), f"{name} of {path}")
