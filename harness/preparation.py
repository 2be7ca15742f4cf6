"""Decodes a dataset once and keeps it for every process: safe to interrupt, whole or not there."""

import errno
import logging
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from datasets.images import content_hash
from datasets.source import Indices, check_unreadable
from harness import __version__, manifest
from harness.components import Component
from harness.decoding import Decoding
from harness.errors import HarnessError, StoreError
from harness.files import sweep
from harness.locks import claim
from harness.manifest import SPLITS, Manifest
from harness.origin import Origin
from harness.staging import Staging, allocate

log = logging.getLogger(__name__)

Tell = Callable[[str, int, int], None]  # dataset, images done, images in all

# Bytes gathered at once when splits are written in their order.
_CHUNK = 16 << 20


def silent(name: str, done: int, total: int) -> None:
    """Tell nobody."""


def prepare(
    component: Component, origin: Origin, folder: Path | None = None, tell: Tell = silent
) -> Manifest:
    """Decode a source and keep its splits, unless they lie there already.

    One process at a time prepares a dataset; others wait and then find it. What a killed one
    decoded is kept, and gone on from as long as the source is the same.

    Args:
        component: the dataset.
        origin: its source.
        folder: where prepared datasets lie; `settings().prepared` without it.
        tell: told how many of how many images are decoded.

    Raises:
        HarnessError: the source is unusable.
        StoreError: the disk is full or the folder cannot be written.
    """
    place = manifest.target(component, folder)
    with _writable(place.parent), claim(place.with_name(f"_lock-{place.name}"), lambda: False):
        found = manifest.whole(place)
        if found is not None and same(found, origin):
            return found  # another process was faster
        sweep(place.parent)
        staging = Staging(place.with_name(f"_staging-{place.name}"), origin)
        try:
            made = _make(component, origin, staging, lambda *n: tell(component.spec, *n))
        except ValueError as error:  # the user's to mend: it begins anew then
            staging.remove()
            raise HarnessError(f"{component.spec}: {error}") from error
        except BaseException:
            staging.settle()
            raise
        _install(staging.folder / "set", place)
        staging.remove()
        return made


def same(found: Manifest, origin: Origin) -> bool:
    """Tell whether a prepared dataset is what its source gives now."""
    return (found.fingerprint, found.reader) == (origin.fingerprint, origin.reader)


def _make(
    component: Component, origin: Origin, staging: Staging, tell: Callable[[int, int], None]
) -> Manifest:
    source = origin.source
    Decoding(source, staging, tell).run()
    warning = check_unreadable(source, staging.reasons)
    if warning:
        log.warning("%s: %s", component.spec, warning)
    readable = np.ones(len(source), np.bool_)
    readable[list(staging.reasons)] = False
    splits = source.arrange(staging.digests, readable)
    counts = {name: len(splits[name]) for name in SPLITS}
    if empty := [name for name, count in counts.items() if not count]:
        raise ValueError(f"there is no image in {' and '.join(empty)}: add some")
    place = staging.folder / "set"
    arrays = _write_splits(staging.pixels, splits, place)
    with ThreadPoolExecutor(1) as pool:  # the disk is slow where hashing is: both at once
        synced = pool.submit(_sync, [place / f"{name}.npy" for name in SPLITS])
        data_hash = content_hash(arrays)
        synced.result()
    made = Manifest(
        spec=component.spec,
        data_hash=data_hash,
        description=source.description,
        licence=source.licence,
        stochastic=source.stochastic,
        shape=source.shape,
        counts=counts,
        arrays=manifest.array_states(place),
        fingerprint=origin.fingerprint,
        files=len(source.files),
        root=None if origin.root is None else str(origin.root.absolute()),
        reader=origin.reader,
        skipped=tuple((source.name(i), staging.reasons[i]) for i in sorted(staging.reasons)),
        harness_version=__version__,
    )
    made.write(place)
    return made


def _write_splits(
    pixels: np.ndarray, splits: dict[str, Indices], place: Path
) -> dict[str, np.ndarray]:
    """Write each split in its order and return the files as maps."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    rows = max(1, _CHUNK // int(np.prod(pixels.shape[1:])))
    try:
        for name in SPLITS:
            indices = splits[name]
            with (place / f"{name}.npy").open("wb") as stream:
                allocate(stream, (len(indices), *pixels.shape[1:]))
                for begin in range(0, len(indices), rows):
                    stream.write(pixels[indices[begin : begin + rows]].data)
    except OSError:
        shutil.rmtree(place, ignore_errors=True)
        raise
    return {name: np.load(place / f"{name}.npy", mmap_mode="r") for name in SPLITS}


def _sync(files: list[Path]) -> None:
    """Wait until the files are on the disk."""
    for file in files:
        with file.open("rb") as stream:
            os.fsync(stream.fileno())


def _install(made: Path, place: Path) -> None:
    """Put a whole set in its place; processes that map the old one keep it until they end."""
    old = place.with_name(f"_tmp-{uuid.uuid4().hex}")
    if place.exists():
        place.replace(old)
    made.replace(place)
    shutil.rmtree(old, ignore_errors=True)


@contextmanager
def _writable(folder: Path) -> Iterator[None]:
    """Say in one sentence why prepared datasets cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        yield
    except OSError as error:
        raise StoreError(explain(folder, error)) from error


def explain(folder: Path, error: OSError) -> str:
    """Return why prepared datasets cannot be kept, and what to do, as one sentence."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return (
            f"the disk is full: {folder} has no room for the prepared dataset; free some space and "
            "run the same command again, which goes on from there, or set HARNESS_PREPARED to a "
            "folder on a larger disk"
        )
    return (
        f"cannot write prepared datasets to {folder} ({error.strerror}): "
        "set HARNESS_PREPARED to a folder that can be written"
    )
