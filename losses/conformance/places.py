"""Where in a loss's own source an error arose."""

from __future__ import annotations

import sysconfig
import traceback
from pathlib import Path

_SUITE, _PACKAGE = Path(__file__).parent, Path(__file__).parents[1]
_OURS = {_PACKAGE, _PACKAGE.parent / "harness"}
_PYTHON = Path(sysconfig.get_path("stdlib"))


def described(error: Exception) -> str:
    """Return the error on one line, with its place."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}{place(error)}"


def place(error: Exception) -> str:
    """Return the file and line of the loss's source as in ` (mine.py, line 7)`; empty without."""
    frames = [
        (Path(frame.filename), frame.lineno)
        for frame in traceback.extract_tb(error.__traceback__)
        if _is_source(Path(frame.filename))
    ]
    # A loss from outside may fail in code of this package: the line to mend is that which called.
    outside = [each for each in frames if not _OURS & set(each[0].parents)]
    if not frames:
        return ""
    path, line = (outside or frames)[-1]
    return f" ({path.name}, line {line})"


def _is_source(path: Path) -> bool:
    return "site-packages" not in path.parts and not {_SUITE, _PYTHON} & set(path.parents)
