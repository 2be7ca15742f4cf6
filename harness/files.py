"""Files as a store of results needs them: whole or not there at all, shared, claimed."""

import contextlib
import errno
import fcntl
import logging
import os
import shutil
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import IO

from harness.errors import StoreError

log = logging.getLogger(__name__)

# Seconds after which a temporary file is taken for an orphan.
STILL_WRITING = 3600.0


def write_atomically(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write `path` under a temporary name, flush it to the disk, then rename it.

    A reader sees the whole file or none. On failure the temporary file is removed.

    Raises:
        StoreError: the disk is full or the folder cannot be written.
    """
    temporary = path.with_name(f"_tmp-{uuid.uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as stream:
            write(stream)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise StoreError(explain(path, error)) from error


def explain(path: Path, error: OSError) -> str:
    """Return why `path` cannot be written, and what to do, as one sentence."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return (
            f"the disk is full: {path.name} could not be written to {path.parent}; what was "
            "stored before is whole: free some space and run the same command again"
        )
    return (
        f"cannot write to {path.parent} ({error.strerror}): "
        "choose another folder with --results or change its permissions"
    )


def sweep(folder: Path) -> None:
    """Delete temporary files that nobody writes to any more: a kill left them in `folder`.

    The cells of a killed run may still be saving their state, so the newest stay.
    """
    for path in folder.glob("_tmp-*"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime < STILL_WRITING:
                continue
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()


def link(source: Path, target: Path, *, replace: bool = False) -> None:
    """Let `target` be the same file, or a copy of a study or across file systems.

    What lies there stays, unless `replace`.
    """
    if target.exists() and not replace:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    # A study goes on growing: a link would let one grid's run write into the other's journal.
    if source.parent.name == "_journal":
        content = source.read_bytes()
        write_atomically(target, lambda stream: stream.write(content))
        return
    try:
        target.unlink(missing_ok=True)
        os.link(source, target)
    except OSError:
        content = source.read_bytes()
        write_atomically(target, lambda stream: stream.write(content))


def claimed(stream: IO[bytes]) -> bool:
    """Lock an open file until it is closed; tell whether no other process has it."""
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:  # a file system without locks
        log.info("%s cannot be claimed (%s)", stream.name, error)
    return True
