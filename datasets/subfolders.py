"""Recognises the splits that the first folders of a tree name."""

import logging

from datasets.tree import InvalidFolderError

logger = logging.getLogger(__name__)

SPLIT_OF = {
    "train": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}


def official_splits(names: list[str]) -> dict[str, list[str]]:
    """Group relative names by the split their first folder names, in any case.

    Folders that wrap everything are passed over. Without a train folder nothing is official and all
    names are train's; a validation or test folder is then an error. Images outside the split
    folders are passed over with a warning. Raises `InvalidFolderError`.
    """
    start = len(_wrapping(names))
    folders: dict[str, list[str]] = {}
    for name in names:
        folder, slash, _ = name[start:].partition("/")
        folders.setdefault(folder if slash else "", []).append(name)
    splits = _by_split(folders)
    if splits and "train" not in splits:
        found = " and ".join(splits)
        raise InvalidFolderError(f"a {found} folder without a train folder: add train or rename it")
    outside = len(names) - sum(map(len, splits.values()))
    if splits and outside:
        logger.warning("%d images outside the folders of splits are not used", outside)
    return splits or {"train": names}


def _wrapping(names: list[str]) -> str:
    """Return the folders that all names share up to one that names a split, "" where none does."""
    first, last = names[0].split("/")[:-1], names[-1].split("/")[:-1]
    shared = 0
    while shared < min(len(first), len(last)) and first[shared] == last[shared]:
        if first[shared].lower() in SPLIT_OF:
            break
        shared += 1
    return "".join(f"{folder}/" for folder in first[:shared])


def _by_split(folders: dict[str, list[str]]) -> dict[str, list[str]]:
    splits: dict[str, list[str]] = {}
    for folder, members in folders.items():
        split = SPLIT_OF.get(folder.lower())
        if split in splits:
            raise InvalidFolderError(
                f"folder {folder!r} is a second {split} split: keep one of them"
            )
        if split:
            splits[split] = members
    return splits
