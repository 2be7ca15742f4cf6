"""Files in a tree, whether it is a folder or an archive: listed once, read in any order."""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from datasets.source import FileState

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
ARCHIVES = (".zip", ".tar")
# Plain tars only: in a compressed one a file is reached by inflating all that lie before it, and
# even a list of its files costs inflating the whole, which every opening would repeat.
COMPRESSED = (".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2", ".tbz2", ".tar.zst")


class InvalidFolderError(ValueError):
    """A folder or an archive that cannot be read as a dataset."""


class InvalidArchiveError(InvalidFolderError):
    """An archive that is damaged, of a kind that is not read, or not to be trusted."""


@dataclass(frozen=True)
class Span:
    """Where the bytes of a file lie, as they are: in the file `path`, from `offset` on."""

    path: Path
    offset: int
    size: int


class Tree(ABC):
    """The files of a folder or an archive; names that begin with a dot are passed over.

    `names` are relative, with forward slashes, and sorted; `path` is the folder or the archive.
    """

    path: Path
    names: list[str]

    @abstractmethod
    def read(self, name: str) -> bytes:
        """Return the content of a file; several threads may read at once.

        Raises `OSError` or `InvalidArchiveError` where it cannot be read.
        """

    @abstractmethod
    def span(self, name: str) -> Span:
        """Return where the content lies uncompressed, to be mapped.

        Raises `InvalidArchiveError` for a member of an archive that is compressed.
        """

    @abstractmethod
    def states(self, names: Iterable[str]) -> tuple[FileState, ...]:
        """Return size and time of the files `names`; an archive is one file, whatever is asked."""

    def images(self) -> list[str]:
        """Return the names that end as image files do; raises `InvalidFolderError` without any."""
        found = [name for name in self.names if name.lower().endswith(SUFFIXES)]
        if not found and (arrays := [name for name in self.names if name.endswith(".npy")]):
            raise InvalidFolderError(
                f"no image below {self.path} but {len(arrays)} .npy files such as {arrays[0]}: "
                "name one file that holds all images, (N, H, W) or (N, H, W, C), or call them "
                "train.npy, val.npy and test.npy"
            )
        if not found:
            raise InvalidFolderError(
                f"no image below {self.path}: put {', '.join(SUFFIXES)} files there"
            )
        return found


class FolderTree(Tree):
    """The files anywhere below a folder; linked folders are followed."""

    def __init__(self, path: Path) -> None:
        """List them; raises `InvalidFolderError` for unreadable folders and links in a circle."""
        self.path = path
        # Absolute, because below "." the walk would name some files with it and others without
        base = path.absolute()
        start = len(str(base).rstrip(os.sep)) + 1
        self.names = sorted(found[start:].replace(os.sep, "/") for found in _walk(base, ()))

    def read(self, name: str) -> bytes:
        """Return the content of a file."""
        return (self.path / name).read_bytes()

    def span(self, name: str) -> Span:
        """Return the file itself."""
        path = self.path / name
        return Span(path, 0, path.stat().st_size)

    def states(self, names: Iterable[str]) -> tuple[FileState, ...]:
        """Return a state per file; one that has gone has size -1."""
        return tuple(state(f"{self.path}{os.sep}{name}", name) for name in names)


def open_tree(path: Path) -> Tree:
    """List the files of a folder, a `.zip` or a plain `.tar`.

    Raises `InvalidFolderError` where there is none or it cannot be listed, `InvalidArchiveError`
    for an archive that is compressed as a whole, damaged, encrypted or hostile (names that leave
    the folder, links, a content absurdly larger than the file).
    """
    if path.is_dir():
        return FolderTree(path)
    if not path.exists():
        raise InvalidFolderError(f"no folder {path}: give the path of an existing folder of images")
    name = path.name.lower()
    if name.endswith(COMPRESSED):
        raise InvalidArchiveError(
            f"{path} is compressed as a whole, so its files cannot be read in any order: "
            "unpack it, or make it a plain .tar or a .zip"
        )
    if not name.endswith(ARCHIVES):
        raise InvalidFolderError(
            f"{path} is a file: give the folder that holds the images, or a .zip, .tar or .npy"
        )
    from datasets.archive import TarTree, ZipTree

    return ZipTree(path) if name.endswith(".zip") else TarTree(path)


def state(path: str | Path, name: str) -> FileState:
    """Return size and time of the file at `path` under the name `name`; size -1 for none."""
    try:
        # A Path for each of 200,000 files would double the time
        status = os.stat(path)  # noqa: PTH116
    except OSError:
        return FileState(name, -1, 0)
    return FileState(name, status.st_size, status.st_mtime_ns)


def _walk(folder: Path, parents: tuple[tuple[int, int], ...]) -> Iterator[str]:
    try:
        status = folder.stat()
        with os.scandir(folder) as entries:
            visible = [entry for entry in entries if not entry.name.startswith(".")]
        subfolders = [entry.path for entry in visible if entry.is_dir()]
    except OSError as error:
        reason = f"cannot list {folder}: {error.strerror}"
        raise InvalidFolderError(f"{reason}; repair its links or permissions") from error
    identity = (status.st_dev, status.st_ino)
    if identity in parents:
        raise InvalidFolderError(f"{folder} links back to a folder it lies in: remove the link")
    yield from {entry.path for entry in visible}.difference(subfolders)
    for subfolder in subfolders:
        yield from _walk(Path(subfolder), (*parents, identity))
