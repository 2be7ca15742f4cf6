"""A source of image files in a tree."""

from collections.abc import Sequence

from datasets.arrangement import Arrangement
from datasets.decode import DifferentSizesError, Framing, decode, header_size
from datasets.images import Pixels
from datasets.source import Digests, FileState, Flags, Indices, Source
from datasets.tree import InvalidFolderError, Tree


class TreeSource(Source):
    """The image files `names` of a tree, framed alike."""

    def __init__(
        self,
        tree: Tree,
        names: Sequence[str],
        framing: Framing,
        arrangement: Arrangement,
        *,
        description: str,
        licence: str,
        beside: tuple[FileState, ...] = (),
    ) -> None:
        """Take the files as they are; reads headers only where `framing` says no size.

        `beside`: states of the files that say which image is in which split.

        Raises `InvalidFolderError` where no header can be read.
        """
        self.tree, self.names, self.framing, self.arrangement = tree, names, framing, arrangement
        self.description, self.licence = description, licence
        self.shape = framed_shape(tree, names, framing)
        # Once each: a list inside the very archive that holds the images is one file with them
        self.files = tuple(dict.fromkeys((*tree.states(names), *beside)))

    def __len__(self) -> int:
        """Return the number of files."""
        return len(self.names)

    def name(self, index: int) -> str:
        """Return the file's name in the tree."""
        return self.names[index]

    def read(self, index: int) -> Pixels:
        """Decode and frame a file; raises `DifferentSizesError` where sizes must be equal."""
        framing = self.framing
        pixels = framing(decode(self.tree.read(self.names[index]), framing.channels))
        if pixels.shape != self.shape:
            raise DifferentSizesError(
                f"{self.names[index]} is {pixels.shape[2]}x{pixels.shape[1]} but the first image "
                f"is {self.shape[2]}x{self.shape[1]}: pass size= to crop and resize them all"
            )
        return pixels

    def arrange(self, digests: Digests, readable: Flags) -> dict[str, Indices]:
        """Return the splits of the arrangement."""
        return self.arrangement(digests, readable)


def framed_shape(tree: Tree, names: Sequence[str], framing: Framing) -> tuple[int, int, int]:
    """Return (C, H, W) of every framed image, from the first readable header if need be."""
    told = framing.shape()
    if told is not None:
        return told
    for name in names:
        try:
            found = header_size(tree.read(name))
        except OSError:
            continue
        if found is not None:
            return framing.channels, *found
    raise InvalidFolderError(f"no file below {tree.path} can be read as an image: replace them")
