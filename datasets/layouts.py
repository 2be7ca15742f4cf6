"""Finds the images of a named dataset below a root, in the layouts in which people have them."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from datasets.decode import header_size
from datasets.source import MissingFilesError
from datasets.tree import InvalidFolderError, Tree, open_tree

Members = dict[str, tuple[str, ...]]  # names in a tree, in its order, with a pattern's groups


@dataclass(frozen=True)
class Layout:
    """Where a dataset may lie and what its images are called.

    `needs`: the files in a few words, as a sentence calls them. `homes`: subfolders of the root
    that are looked into before the root itself. `folders`: where
    the images are, relative to a home. A home itself holds them where something in it has a name
    that matches `sign`. `archives`: files that may lie in a home instead. `image`: a pattern of
    the whole name of an image in such a folder or archive.
    """

    title: str
    needs: str
    page: str
    homes: tuple[str, ...]
    sign: str
    image: str
    folders: tuple[str, ...] = ()
    archives: tuple[str, ...] = ()

    def places(self, root: Path | None) -> list[Path]:
        """Return the homes that exist, the root last; raises `MissingFilesError` without any."""
        if root is None:
            raise self.missing(f"{self.title} needs {self.needs}, and no folder of them was named")
        if not root.exists():
            raise self.missing(f"{self.title} needs {self.needs}, but there is no folder {root}")
        return [*(root / home for home in self.homes if (root / home).is_dir()), root]

    def find(self, root: Path | None) -> tuple[Tree, Members]:
        """Return the first tree below `root` that holds images, and them.

        Raises `MissingFilesError` where none does, `InvalidFolderError` for an unreadable one.
        """
        for place in self.places(root):
            for tree in self._trees(place):
                members = matching(tree, self.image)
                if members:
                    return tree, members
        raise self.missing(f"{self.title} needs {self.needs}, and its images are not in {root}")

    def missing(self, what: str) -> MissingFilesError:
        """Return the error that says what is missing and where to get it."""
        return MissingFilesError(f"{what}: get the files from {self.page}")

    def refuse_gaps(self, numbers: Sequence[int], tree: Tree) -> None:
        """Refuse rising numbers of images that are not consecutive; raises `MissingFilesError`."""
        for before, after in pairwise(numbers):
            if after != before + 1:
                gap = f"image {before + 1} is missing" if after > before else f"two are {before}"
                raise self.missing(f"{self.title}: {gap} in {tree.path}")

    def _trees(self, place: Path) -> Iterator[Tree]:
        if place.is_file():
            yield open_tree(place)
            return
        for folder in self.folders:
            if (place / folder).is_dir():
                yield open_tree(place / folder)
        with os.scandir(place) as entries:
            if any(re.fullmatch(self.sign, entry.name) for entry in entries):
                yield open_tree(place)
        for archive in self.archives:
            if (place / archive).is_file():
                yield open_tree(place / archive)


def matching(tree: Tree, pattern: str) -> Members:
    """Return the names that match the whole pattern, with what its groups found."""
    compiled = re.compile(pattern)
    found = ((name, compiled.fullmatch(name)) for name in tree.names)
    return {name: match.groups() for name, match in found if match}


def first_size(tree: Tree, names: Sequence[str]) -> tuple[int, int]:
    """Return (width, height) of the first of ten images that can be read.

    Raises `InvalidFolderError` where none can.
    """
    for name in names[:10]:
        try:
            size = header_size(tree.read(name))
        except (OSError, ValueError):
            continue
        if size:
            return size[1], size[0]
    raise InvalidFolderError(f"none of the first files of {tree.path} is an image: replace them")


def refuse_small(tree: Tree, names: Sequence[str], size: int) -> None:
    """Refuse images, judged by the first, of fewer than `size` pixels a side.

    Raises `InvalidFolderError`.
    """
    width, height = first_size(tree, names)
    if min(width, height) < size:
        raise InvalidFolderError(
            f"the images of {tree.path} are {width}x{height}, too small for size={size}: "
            f"choose size={min(width, height)} or get larger ones"
        )
