"""Reads idx files, the format of MNIST: big-endian header, then unsigned bytes."""

import gzip
import hashlib
import struct
import zlib
from pathlib import Path

import numpy as np

from datasets.images import Pixels
from datasets.source import FatalError

_MAGIC = 0x0803  # unsigned bytes (08) in three dimensions (03)
_HEADER = struct.Struct(">IIII")


class InvalidArrayFileError(FatalError):
    """A file of many images that is damaged or is not the official one."""


def read_idx(path: Path, count: int, side: int, md5: str) -> Pixels:
    """Return the `count` images of an idx file, uint8 `(count, side, side)`, gzipped or not.

    `md5` is that of the content, unpacked: a .gz also holds a time and a level of compression, so
    the same images have several. At most one byte more than expected is unpacked.
    Errors: `InvalidArrayFileError` for a truncated or broken file, another magic number, another
    number or size of images, or other pixels than the official ones.
    """
    expected = _HEADER.size + count * side * side
    content = _read(path, expected + 1)
    if len(content) < _HEADER.size:
        raise InvalidArrayFileError(f"{path} holds {len(content)} bytes, less than an idx header")
    magic, *shape = _HEADER.unpack_from(content)
    if magic != _MAGIC:
        raise InvalidArrayFileError(
            f"{path} begins with {magic:#010x} instead of {_MAGIC:#010x}: it is no idx file of "
            "images, so get the official one"
        )
    if shape != [count, side, side]:
        raise InvalidArrayFileError(
            f"{path} says it holds {shape[0]} images of {shape[1]}x{shape[2]} instead of {count} "
            f"of {side}x{side}: get the official file"
        )
    if len(content) != expected:
        raise InvalidArrayFileError(
            f"{path} holds {'less' if len(content) < expected else 'more'} than the {expected} "
            "bytes its header announces: get it again"
        )
    digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if digest != md5:
        raise InvalidArrayFileError(
            f"the content of {path} has md5 {digest} instead of {md5}: it is damaged or another "
            "dataset of the same file names, so get the official file"
        )
    return np.frombuffer(content, np.uint8, offset=_HEADER.size).reshape(count, side, side)


def _read(path: Path, limit: int) -> bytes:
    try:
        with path.open("rb") as raw:
            zipped = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            if not zipped:
                return raw.read(limit)
            with gzip.open(raw) as unpacked:
                return unpacked.read(limit)
    except (EOFError, OSError, zlib.error) as error:
        raise InvalidArrayFileError(f"{path} cannot be read ({error}): get it again") from error
