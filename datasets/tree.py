"""Lists the images below a folder and recognises the splits its subfolders name."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

logger = logging.getLogger(__name__)

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
_SPLIT_OF = {
    "train": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}


class InvalidFolderError(ValueError):
    """A folder that cannot be read as a dataset."""


def find_images(root: Path) -> list[str]:
    """Return the sorted paths, relative to `root` and with forward slashes, of its images.

    Names that begin with a dot are passed over; linked folders are followed.
    Errors: `InvalidFolderError` for a root that is missing, cannot be listed or holds no image, and
    for links in a circle.
    """
    if not root.exists():
        raise InvalidFolderError(f"no folder {root}: give the path of an existing folder of images")
    if not root.is_dir():
        raise InvalidFolderError(
            f"{root} is a file: give the path of the folder that holds the images"
        )
    found = sorted(Path(path).relative_to(root).as_posix() for path in _walk(root, ()))
    if not found:
        raise InvalidFolderError(f"no image below {root}: put {', '.join(SUFFIXES)} files there")
    return found


def official_splits(paths: list[str]) -> dict[str, list[str]]:
    """Group relative paths by the split their first folder names, in any case.

    Without a train folder nothing is official and all paths are train's; a validation or test
    folder is then an error. Images outside the split folders are passed over with a warning.
    """
    folders: dict[str, list[str]] = {}
    for path in paths:
        folders.setdefault(path.split("/")[0] if "/" in path else "", []).append(path)
    splits: dict[str, list[str]] = {}
    for folder, members in folders.items():
        split = _SPLIT_OF.get(folder.lower())
        if split in splits:
            raise InvalidFolderError(
                f"folder {folder!r} is a second {split} split: keep one of them"
            )
        if split:
            splits[split] = members
    if splits and "train" not in splits:
        names = " and ".join(splits)
        raise InvalidFolderError(f"a {names} folder without a train folder: add train or rename it")
    outside = len(paths) - sum(map(len, splits.values()))
    if splits and outside:
        logger.warning("%d images outside the folders of splits are not used", outside)
    return splits or {"train": paths}


def _walk(folder: Path, parents: tuple[tuple[int, int], ...]) -> Iterator[str]:
    try:
        status = folder.stat()
        with os.scandir(folder) as entries:
            visible = [entry for entry in entries if not entry.name.startswith(".")]
        subfolders = [entry.path for entry in visible if entry.is_dir()]
    except OSError as error:
        reason = f"cannot list {folder}: {error.strerror}"
        raise InvalidFolderError(f"{reason}; repair its links or permissions") from error
    identity = (status.st_dev, status.st_ino)
    if identity in parents:
        raise InvalidFolderError(f"{folder} links back to a folder it lies in: remove the link")
    files = {entry.path for entry in visible}.difference(subfolders)
    yield from (path for path in files if path.lower().endswith(SUFFIXES))
    for subfolder in subfolders:
        yield from _walk(Path(subfolder), (*parents, identity))
