"""What a prepared dataset says of itself, and whether its arrays are as they were written."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from harness.components import Component
from harness.origin import resolved
from harness.settings import settings
from harness.specs import slug

SPLITS = ("train", "validation", "test")
NAME = "manifest.json"


@dataclass(frozen=True)
class Manifest:
    """The facts of a prepared dataset: `manifest.json` beside its arrays."""

    spec: str
    data_hash: str  # sha256 of the splits' shapes and pixels
    description: str
    licence: str
    stochastic: bool
    shape: tuple[int, int, int]  # (C, H, W)
    counts: dict[str, int]  # images of each split
    arrays: dict[str, tuple[int, int]]  # bytes and time of change (ns) of each file
    fingerprint: str  # of the files that it was read from
    files: int  # how many those are; 0: they come with an installed package
    root: str | None  # where they lay
    reader: str  # digest of the source that reads them
    skipped: tuple[tuple[str, str], ...]  # images that could not be read, and why
    harness_version: str

    def write(self, place: Path) -> None:
        """Write the manifest into the folder of its arrays."""
        (place / NAME).write_text(json.dumps(asdict(self), indent=1))

    @property
    def bytes(self) -> int:
        """What the arrays take on the disk."""
        return sum(size for size, _ in self.arrays.values())


def target(component: Component, folder: Path | None = None) -> Path:
    """Return where a dataset is kept: below `folder`, or else below `settings().prepared`.

    A relative path of the user's own folder counts as what it stands for, so that folders of
    one name in two projects do not share a place.
    """
    options = resolved(component).options
    text = json.dumps([component.name, options], sort_keys=True)
    name = f"{slug(component.spec)[:60]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
    return (folder or settings().prepared) / name


def read(place: Path) -> Manifest | None:
    """Return the manifest in a folder, or None where there is none that can be read."""
    try:
        found = json.loads((place / NAME).read_text())
        found["shape"] = tuple(found["shape"])
        found["arrays"] = {name: tuple(state) for name, state in found["arrays"].items()}
        found["skipped"] = tuple((name, reason) for name, reason in found["skipped"])
        return Manifest(**found)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def whole(place: Path) -> Manifest | None:
    """Return the manifest when every array has the size and the time that it names, else None."""
    found = read(place)
    if found is None or set(found.arrays) != {f"{name}.npy" for name in SPLITS}:
        return None
    try:
        return found if array_states(place) == found.arrays else None
    except OSError:
        return None


def stored_hash(place: Path) -> str | None:
    """Return the content hash of the dataset kept in a folder, or None where there is none."""
    found = read(place)
    return None if found is None else found.data_hash


def array_states(place: Path) -> dict[str, tuple[int, int]]:
    """Return the size and time of change of each array in a folder."""
    states = {name: (place / name).stat() for name in (f"{split}.npy" for split in SPLITS)}
    return {name: (state.st_size, state.st_mtime_ns) for name, state in states.items()}
