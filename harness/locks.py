"""Who may write: one command per results folder, one process per cell."""

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from harness.errors import Interrupted, StoreError
from harness.files import claimed, explain


@contextlib.contextmanager
def hold(path: Path) -> Iterator[None]:
    """Hold the folder of the lock file `path` for one command that writes.

    Raises:
        StoreError: another one holds it, or the folder cannot be written or locked.
    """
    try:
        opened = path.open("a+")
    except OSError as error:
        raise StoreError(explain(path, error)) from error
    with opened as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.seek(0)
            holder = stream.read().strip() or "unknown"
            raise StoreError(
                f"another run (process {holder}) is writing to {path.parent}: "
                "wait for it or choose another folder with --results"
            ) from None
        except OSError as error:
            raise StoreError(
                f"{path.parent} cannot be locked against a second run ({error.strerror}): "
                "choose a folder on a disk that has file locks with --results"
            ) from error
        stream.truncate(0)
        stream.write(str(os.getpid()))
        stream.flush()
        yield


def held(path: Path) -> bool:
    """Tell whether a command holds the folder of the lock file `path` now."""
    try:
        with path.open("r+") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


@contextlib.contextmanager
def claim(path: Path, stop: Callable[[], bool]) -> Iterator[None]:
    """Let one process at a time work on a cell, whose log is `path`.

    A run that was killed leaves processes that store what they have before they end; the next
    run's wait for them here, or both would write to one study. The system frees the claim of a
    process that dies.

    Raises:
        Interrupted: `stop` said so while waiting.
        StoreError: the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        opened = path.open("ab")
    except OSError as error:
        raise StoreError(explain(path, error)) from error
    with opened as stream:
        while not claimed(stream):
            if stop():
                raise Interrupted
            time.sleep(0.05)
        yield
