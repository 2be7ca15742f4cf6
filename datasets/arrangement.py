"""From the readable images of a source to its splits: official ones kept, missing ones cut."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from datasets.seeding import permutation
from datasets.source import SPLITS, Digests, Flags, Indices
from datasets.splitting import cut
from datasets.tree import InvalidFolderError


@dataclass(frozen=True)
class Cut:
    """Splits that are cut from the end of train's permutation, with the share of each."""

    missing: tuple[str, ...]
    share: float = 0.1


@dataclass(frozen=True)
class Arrangement:
    """How images become splits.

    `official`: indices by split, train among them; `cuts`: made one after the other; `groups`: a
    label per image that keeps equal ones on one side of a cut; `shuffle`: the name of the random
    stream in which every split is shuffled at the end, or None where the order is kept.
    """

    official: dict[str, Indices]
    seed: int
    cuts: tuple[Cut, ...] = ()
    groups: Sequence[Hashable] | None = None
    shuffle: str | None = None

    def __call__(self, digests: Digests, readable: Flags) -> dict[str, Indices]:
        """Return the splits, as `Source.arrange`."""
        splits = {name: _readable(name, found, readable) for name, found in self.official.items()}
        for step in self.cuts:
            splits |= cut(
                splits["train"], step.missing, self.seed, digests, self.groups, step.share
            )
        return {name: self._shuffled(name, splits[name]) for name in SPLITS}

    def _shuffled(self, name: str, indices: Indices) -> Indices:
        if self.shuffle is None:
            return indices
        return indices[permutation(len(indices), self.seed, self.shuffle, name)]


def cut_missing(official: dict[str, Indices]) -> tuple[Cut, ...]:
    """Return the cut that completes the splits: a tenth of train for each that is missing."""
    missing = tuple(name for name in SPLITS if name not in official)
    return (Cut(missing),) if missing else ()


def counted(official: dict[str, Indices]) -> str:
    """Return how many images each split has before anything is cut, for a description."""
    return ", ".join(f"{name} {len(indices)}" for name, indices in official.items())


def _readable(name: str, indices: Indices, readable: Flags) -> Indices:
    chosen = indices[readable[indices]]
    if not len(chosen):
        raise InvalidFolderError(f"no image of split {name} can be read: replace its files")
    return chosen
