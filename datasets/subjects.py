"""Whose volume a file is, and splits that keep all volumes of a person on one side."""

import re
from collections.abc import Mapping, Sequence

import numpy as np

from datasets.options import InvalidOptionError
from datasets.source import SPLITS
from datasets.splitting import TooFewImagesError, cut
from datasets.subfolders import SPLIT_OF

_BIDS = re.compile(r"(?:^|/)(sub-[A-Za-z0-9]+)")


def subjects(names: Sequence[str], pattern: str | None = None) -> dict[str, str]:
    """Return file name -> subject for relative names with forward slashes.

    The subject is what `pattern` (a regular expression) finds, its first group if it has one; else
    `sub-LABEL` of BIDS; else the first folder below those that all names share and below one that
    names a split; else the file's name without its suffix.
    Errors: `InvalidOptionError` for a name in which `pattern` finds nothing.
    """
    folders = [name.split("/")[:-1] for name in names]
    shared = _shared(folders)
    return {
        name: _subject(name, folder[shared:], pattern)
        for name, folder in zip(names, folders, strict=True)
    }


def split_subjects(
    official: Mapping[str, Sequence[str]],
    owner: Mapping[str, str],
    shares: Mapping[str, float],
    seed: int,
) -> dict[str, list[str]]:
    """Return the names of train, validation and test; missing splits are cut from train's subjects.

    `official`: split -> names; `owner`: name -> subject; `shares`: split -> share of the subjects
    left in train that it takes, in the order in which they are taken.
    Errors: `TooFewImagesError` when train has too few subjects.
    """
    splits = {split: list(names) for split, names in official.items()}
    missing = [split for split in shares if split not in splits]
    for number, split in enumerate(missing):
        people = sorted({owner[name] for name in splits["train"]})
        if len(people) <= len(missing) - number:
            raise TooFewImagesError(
                f"too few subjects, {len(people)}, to cut {' and '.join(missing[number:])} from "
                f"train: have at least {len(missing) - number + 1}"
            )
        taken = _take(people, split, seed, shares[split])
        names = splits["train"]
        splits[split] = [name for name in names if owner[name] in taken]
        splits["train"] = [name for name in names if owner[name] not in taken]
    return {split: splits[split] for split in SPLITS}


def _take(people: list[str], split: str, seed: int, share: float) -> set[str]:
    indices = np.arange(len(people), dtype=np.int64)
    distinct = indices.view(np.uint8).reshape(len(people), -1)
    return {people[i] for i in cut(indices, [split], seed, distinct, share=share)[split]}


def _shared(folders: list[list[str]]) -> int:
    shared = 0
    for level in zip(*folders, strict=False):
        if len(set(level)) > 1 or level[0].lower() in SPLIT_OF:
            break
        shared += 1
    return shared


def _subject(name: str, folders: list[str], pattern: str | None) -> str:
    found = re.search(pattern, name) if pattern else _BIDS.search(name)
    if pattern and not found:
        raise InvalidOptionError(f"subject={pattern!r} finds nothing in {name}: correct or omit it")
    if found:
        return found.group(1 if found.re.groups else 0)
    if folders and folders[0].lower() in SPLIT_OF:
        folders = folders[1:]
    return folders[0] if folders else name.rsplit("/", 1)[-1].split(".")[0]
