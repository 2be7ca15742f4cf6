"""Readers: files on disk become uint8 images with named splits; this table lists them.

Listing imports neither torch nor numpy; `find` imports only the module that is asked for.
"""

from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module


@dataclass(frozen=True)
class Entry:
    """One row of the registry: where a dataset's class lives and what it needs to load."""

    name: str
    module: str
    attribute: str
    summary: str
    needs: str


class UnknownDatasetError(ValueError):
    """A dataset name that is not in the registry."""

    def __init__(self, name: str) -> None:
        close = get_close_matches(name, REGISTRY, n=3, cutoff=0.4)
        hint = f"did you mean {' or '.join(close)}? " if close else ""
        super().__init__(f"unknown dataset {name!r}: {hint}there are {', '.join(REGISTRY)}")


REGISTRY: dict[str, Entry] = {
    entry.name: entry
    for entry in (
        Entry(
            name="photos",
            module="datasets.photos",
            attribute="Photos",
            summary="colour crops of seven photographs shipped with scikit-image and scikit-learn",
            needs="nothing",
        ),
        Entry(
            name="digits",
            module="datasets.digits",
            attribute="Digits",
            summary="1,797 handwritten digits shipped with scikit-learn",
            needs="nothing",
        ),
        Entry(
            name="folder",
            module="datasets.folder",
            attribute="Folder",
            summary="your own tree of png, jpeg, webp, bmp or tiff files",
            needs="a folder of images",
        ),
    )
}


def find(name: str) -> type:
    """Return the class of the dataset called `name`.

    Errors: `UnknownDatasetError` (a `ValueError`), with the nearest names, when there is none.
    """
    if name not in REGISTRY:
        raise UnknownDatasetError(name)
    entry = REGISTRY[name]
    found: type = getattr(import_module(entry.module), entry.attribute)
    return found
