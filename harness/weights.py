"""Pretrained weights on this machine: where they are looked for, and what identifies them."""

import functools
import hashlib
from pathlib import Path

from harness.settings import settings

# File names under which each name in a component's `requires` is known.
FILES: dict[str, tuple[str, ...]] = {
    "inception": ("pt_inception-2015-12-05-6726825d.pth",),
    "squeezenet": ("squeezenet1_1-b8a52dc0.pth",),
}


def find(name: str) -> Path | None:
    """Return the local file of the named weights: HARNESS_WEIGHTS first, then torch's cache."""
    found = settings()
    folders = [found.weights, found.torch_home / "hub" / "checkpoints"]
    for folder in folders:
        for file in FILES.get(name, ()):
            if folder is not None and (folder / file).is_file():
                return folder / file
    return None


def available() -> dict[str, Path]:
    """Return the files of all known weights that are on this machine."""
    return {name: path for name in FILES if (path := find(name)) is not None}


@functools.cache
def sha256(path: Path) -> str:
    """Return the file's digest in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
