"""Reads .amat files of binary images: one image per line, pixels written as 0 or 1."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from datasets.idx import InvalidArrayFileError
from datasets.images import Pixels
from datasets.source import Flags

Counts = npt.NDArray[np.int64]

_ZERO, _ONE, _NEWLINE = b"01\n"
_KNOWN = np.isin(np.arange(256), list(b"01 \t\r\n"))


def read_amat(path: Path, count: int, side: int) -> Pixels:
    """Return the `count` images of an .amat file, uint8 `(count, side, side)`, 0 or 255.

    Errors: `InvalidArrayFileError` for a file that cannot be read, a sign other than 0, 1 and
    blanks between them, a line of another length or another number of lines.
    """
    try:
        text = np.fromfile(path, np.uint8)
    except OSError as error:
        raise InvalidArrayFileError(f"{path} cannot be read ({error}): get it again") from error
    digit = (text == _ZERO) | (text == _ONE)
    if not _KNOWN[text].all() or (digit[1:] & digit[:-1]).any():
        raise InvalidArrayFileError(
            f"{path} holds more than single 0s and 1s between blanks: get the official file"
        )
    lines = _digits_per_line(text, digit)
    if len(lines) != count or (lines != side * side).any():
        wrong = lines[lines != side * side]
        found = f"a line of {wrong[0]} pixels" if len(wrong) else f"{len(lines)} lines"
        raise InvalidArrayFileError(
            f"{path} holds {found} instead of {count} lines of {side * side}: get the official file"
        )
    return ((text[digit] == _ONE) * np.uint8(255)).reshape(count, side, side)


def _digits_per_line(text: Pixels, digit: Flags) -> Counts:
    starts = np.append(0, np.flatnonzero(text == _NEWLINE) + 1)
    counts: Counts = np.add.reduceat(digit, starts[starts < len(text)], dtype=np.int64)
    return counts[counts > 0]
