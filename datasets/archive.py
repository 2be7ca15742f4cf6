"""Zip and tar archives as trees; hostile and damaged ones are refused before anything is read.

Nothing is ever unpacked to disk. Names that leave the folder and links are refused all the same:
who wrote them meant harm.
"""

import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path, PureWindowsPath

from datasets.source import FileState
from datasets.tree import InvalidArchiveError, Span, Tree, state

LARGEST = 1 << 29  # bytes of one compressed member: more than an image of Pillow's limit takes
RATIO = 200  # deflate reaches 1,030 on zeros; files of images stay below 20
_SUSPECT = 1 << 26  # bytes below which no ratio is absurd: a black bitmap is no attack
_LOCAL_HEADER = struct.Struct("<26xHH")  # lengths of name and extra field, PKWARE APPNOTE 4.3.7
_READABLE = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class ZipTree(Tree):
    """The members of a `.zip`, stored or deflated."""

    def __init__(self, path: Path) -> None:
        """Read the directory of the archive; raises `InvalidArchiveError`."""
        self.path = path
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            raise InvalidArchiveError(f"{path} is damaged or no zip: {error}") from error
        infos = self._zip.infolist()
        self._check_sizes(infos)
        self._members = {
            info.filename: info
            for info in infos
            if not info.is_dir() and _visible(path, info.filename)
        }
        for info in self._members.values():
            self._check(info)
        self.names = sorted(self._members)

    def read(self, name: str) -> bytes:
        """Inflate a member, to its declared size at most."""
        info = self._members[name]
        _refuse_large(self.path, name, info.file_size)
        try:
            return self._zip.read(info)
        except (zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise InvalidArchiveError(f"{name} in {self.path.name} is damaged: {error}") from error

    def span(self, name: str) -> Span:
        """Return where a stored member lies."""
        info = self._members[name]
        if info.compress_type != zipfile.ZIP_STORED:
            raise InvalidArchiveError(
                f"{name} is compressed in {self.path} and cannot be mapped: unpack the archive"
            )
        with self.path.open("rb") as stream:
            stream.seek(info.header_offset)
            lengths = _LOCAL_HEADER.unpack(stream.read(_LOCAL_HEADER.size))
        offset = info.header_offset + _LOCAL_HEADER.size + sum(lengths)
        return Span(self.path, offset, info.file_size)

    def states(self, names: Iterable[str]) -> tuple[FileState, ...]:
        """Return the state of the archive."""
        return (state(self.path, self.path.name),)

    def _check_sizes(self, infos: list[zipfile.ZipInfo]) -> None:
        total = sum(info.file_size for info in infos)
        if _absurd(total, self.path.stat().st_size):
            # Members that share their compressed bytes inflate to more than each one tells
            raise InvalidArchiveError(
                f"{self.path} would inflate to {total} bytes, more than {RATIO} times its size: "
                "it is refused as a decompression bomb"
            )

    def _check(self, info: zipfile.ZipInfo) -> None:
        if info.flag_bits & 1:
            raise InvalidArchiveError(
                f"{info.filename} in {self.path} is encrypted: unpack the archive"
            )
        if stat.S_ISLNK(info.external_attr >> 16):
            raise _link_error(self.path, info.filename)
        if info.compress_type not in _READABLE:
            raise InvalidArchiveError(
                f"{info.filename} in {self.path} is compressed by method {info.compress_type}: "
                "pack it with deflate or without compression"
            )
        deflated = info.compress_type == zipfile.ZIP_DEFLATED
        if deflated and (info.file_size > LARGEST or _absurd(info.file_size, info.compress_size)):
            raise InvalidArchiveError(
                f"{info.filename} in {self.path} would inflate from {info.compress_size} to "
                f"{info.file_size} bytes: it is refused as a decompression bomb"
            )


class TarTree(Tree):
    """The members of a plain `.tar`."""

    def __init__(self, path: Path) -> None:
        """Read the headers of the archive; raises `InvalidArchiveError`."""
        self.path = path
        try:
            self._spans = _tar_spans(path)
        except (tarfile.TarError, OSError, EOFError, ValueError) as error:
            if isinstance(error, InvalidArchiveError):
                raise
            raise InvalidArchiveError(f"{path} is damaged or no plain tar: {error}") from error
        self.names = sorted(self._spans)

    def read(self, name: str) -> bytes:
        """Return the bytes of a member."""
        offset, size = self._spans[name]
        _refuse_large(self.path, name, size)
        with self.path.open("rb") as stream:
            stream.seek(offset)
            return stream.read(size)

    def span(self, name: str) -> Span:
        """Return where a member lies."""
        return Span(self.path, *self._spans[name])

    def states(self, names: Iterable[str]) -> tuple[FileState, ...]:
        """Return the state of the archive."""
        return (state(self.path, self.path.name),)


def _tar_spans(path: Path) -> dict[str, tuple[int, int]]:
    spans: dict[str, tuple[int, int]] = {}
    with tarfile.open(path, "r:") as archive:
        while (member := archive.next()) is not None:
            archive.members = []  # type: ignore[attr-defined]  # else a kilobyte for each is kept
            if not _visible(path, member.name) or member.isdir():
                continue
            if member.issym() or member.islnk():
                raise _link_error(path, member.name)
            if not member.isreg() or member.issparse():
                raise InvalidArchiveError(f"{member.name} in {path} is no ordinary file: repack it")
            spans[member.name.removeprefix("./")] = member.offset_data, member.size
    return spans


def _visible(archive: Path, name: str) -> bool:
    """Say whether a member's name is one to list; raises where it leads out of the folder."""
    plain = "\\" not in name and ":" not in name and ".." not in name and name[:1] != "/"
    if not plain:
        meant = PureWindowsPath(name)  # knows both kinds of slashes, and drives
        if meant.anchor or ".." in meant.parts:
            raise InvalidArchiveError(
                f"{archive} holds {name!r}, a path that leaves the folder: it is refused"
            )
    if name.startswith("./"):
        name = name[2:]
    hidden = name.startswith(".") or "/." in name
    return not hidden and not name.startswith("__MACOSX/")


def _absurd(inflated: int, packed: int) -> bool:
    return inflated > _SUSPECT and inflated > RATIO * packed


def _refuse_large(archive: Path, name: str, size: int) -> None:
    if size > LARGEST:
        raise InvalidArchiveError(
            f"{name} in {archive.name} has {size} bytes: no image is so large"
        )


def _link_error(archive: Path, name: str) -> InvalidArchiveError:
    return InvalidArchiveError(f"{name} in {archive} is a link: pack the file it points to")
