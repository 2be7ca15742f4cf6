"""Features of real images, computed once per split and extractor and kept for every cell."""

import contextlib
import fcntl
import hashlib
import json
import logging
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from harness.batches import ordered
from harness.errors import StoreError
from harness.files import write_atomically
from harness.metrics.features import Features
from harness.metrics.frechet import Moments
from harness.specs import slug

log = logging.getLogger(__name__)

FORMAT = 1

# What reading files raises that were cut off, changed or overwritten.
DAMAGED = (OSError, ValueError, KeyError, TypeError, AttributeError)

Array = NDArray[np.float32]


@dataclass(frozen=True)
class RealFeatures:
    """Features of a split of real images, `(N, dims)` float32, and their moments in float64.

    `features` is a read-only map of a file where there is a cache. `taps` holds those of the
    extractor's other layers by their number, where it has any (Inception: 64, 192, 768).
    """

    features: Array
    moments: Moments
    taps: dict[int, "RealFeatures"] = field(default_factory=dict)


def real_features(
    images: np.ndarray,
    space: Features,
    folder: Path | None,
    key: str,
    *,
    split: str = "",
    device: torch.device | None = None,
) -> RealFeatures:
    """Return the features of real images: from `folder` where they lie there, else computed.

    Args:
        images: uint8 (N, C, H, W).
        space: the extractor, already on `device`.
        folder: the prepared dataset's folder; None to compute without keeping.
        key: what identifies the images: the data's hash, the split and the limit.
        split: the split's name, which only makes the folder's name readable.
        device: where to compute; the CPU unless given.

    Several processes may ask at once: one computes, the others wait for it. A damaged file is
    computed anew. Where the folder cannot be written the features are returned all the same, and
    a warning is logged.
    """
    device = device or torch.device("cpu")
    if folder is None:
        return _from_arrays(_computed(images, space, device), space.dims)
    place = _place(folder, space, key, split, len(images))
    with _turn(place):
        try:
            return _from_arrays(_read(place), space.dims)
        except DAMAGED as error:
            if place.exists():
                log.warning("the features in %s are damaged (%s): computed anew", place, error)
        arrays = _computed(images, space, device)
        try:
            _keep(arrays, place, {"signature": space.signature, "key": key, "format": FORMAT})
            return _from_arrays(_read(place), space.dims)
        except (*DAMAGED, StoreError) as error:
            log.warning("the features of real images are not kept: %s", error)
            return _from_arrays(arrays, space.dims)


def _computed(images: np.ndarray, space: Features, device: torch.device) -> dict[str, Any]:
    """Return arrays by name: `features-D`, and the moments' as `count-D`, `mean-D`, `scatter-D`."""
    parts: dict[int, list[Array]] = {}
    with torch.inference_mode():
        for batch in ordered(images, device):
            for dims, found in _every_tap(space, batch).items():
                parts.setdefault(dims, []).append(found.cpu().numpy())
    arrays: dict[str, Any] = {}
    for dims, batches in parts.items():
        arrays[f"features-{dims}"] = np.concatenate(batches)
        moments = Moments()
        for batch_features in batches:
            moments.update(batch_features)
        arrays |= {f"{name}-{dims}": value for name, value in moments.to_arrays().items()}
    return arrays


def _every_tap(space: Features, batch: torch.Tensor) -> dict[int, torch.Tensor]:
    taps = getattr(space, "taps", None)
    return taps(batch) if taps is not None else {space.dims: space(batch)}


def _from_arrays(arrays: dict[str, Any], dims: int) -> RealFeatures:
    """Return the features of `dims` numbers, with the others as taps."""
    found: dict[int, RealFeatures] = {}
    for name, value in arrays.items():
        kind, _, number = name.partition("-")
        if kind == "features":
            parts = {part: arrays[f"{part}-{number}"] for part in ("count", "mean", "scatter")}
            found[int(number)] = RealFeatures(value, Moments.from_arrays(parts))
    main = found.pop(dims)
    return RealFeatures(main.features, main.moments, found)


def _place(folder: Path, space: Features, key: str, split: str, count: int) -> Path:
    text = json.dumps([FORMAT, space.signature, key, count])
    name = "-".join(part for part in (slug(split), space.name, str(count)) if part)
    return folder / f"_features-{name}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


@contextlib.contextmanager
def _turn(place: Path) -> Iterator[None]:
    """Let one process at a time compute these features, where the file system has locks."""
    with contextlib.ExitStack() as stack:
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            stream = stack.enter_context(place.with_name(f"{place.name}.lock").open("a"))
            fcntl.flock(stream, fcntl.LOCK_EX)
        except OSError as error:
            log.info("%s cannot be locked (%s)", place, error)
        yield


def _read(place: Path) -> dict[str, Any]:
    """Map the arrays in `place`; raises OSError or ValueError unless each is whole."""
    digests = json.loads((place / "facts.json").read_text())["sha256"]
    arrays = {}
    for name, expected in digests.items():
        path = place / f"{name}.npy"
        if _digest(path) != expected:
            raise ValueError(f"{path.name} has changed")
        large = name.startswith("features-")
        arrays[name] = np.load(path, mmap_mode="r" if large else None, allow_pickle=False)
    return arrays


def _keep(arrays: dict[str, Any], place: Path, facts: dict[str, Any]) -> None:
    """Write to a folder of its own, then rename: readers find all the arrays or none."""
    temporary = place.with_name(f"_tmp-{uuid.uuid4().hex}")
    try:
        for name, array in arrays.items():
            path = temporary / f"{name}.npy"
            write_atomically(path, lambda stream, a=array: np.save(stream, a))  # type: ignore[misc]
        digests = {name: _digest(temporary / f"{name}.npy") for name in arrays}
        text = json.dumps({**facts, "sha256": digests}, indent=1).encode()
        write_atomically(temporary / "facts.json", lambda stream: stream.write(text))
        shutil.rmtree(place, ignore_errors=True)
        with contextlib.suppress(OSError):  # another process was faster: its features are the same
            temporary.replace(place)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
