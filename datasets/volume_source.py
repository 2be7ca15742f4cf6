"""A source of patches that are cut from volumes as they are read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from datasets.bands import shares
from datasets.images import Pixels
from datasets.options import InvalidOptionError, require_integer
from datasets.patches import PLANES, draw_patches, slices
from datasets.recent import Recent
from datasets.seeding import permutation
from datasets.source import SPLITS, Digests, Flags, Indices, Source
from datasets.splitting import TooFewImagesError
from datasets.volumes import InvalidVolumeError, read_volume

# Volumes whose patches are kept: as many as a pool of threads has workers at most. Two are read at
# a time, since a volume of 256^3 voxels needs 0.3 GiB while it is scaled.
_KEPT, _READERS = 32, 2


@dataclass(frozen=True)
class Sampling:
    """How patches are drawn: side, plane of the slices, least bright share, seed."""

    patch: int
    plane: str
    coverage: float
    seed: int

    def __post_init__(self) -> None:
        """Check every value; raises `InvalidOptionError`."""
        require_integer("patch", self.patch, 8, 512)
        if self.plane not in PLANES:
            raise InvalidOptionError(f"slices={self.plane!r} is none of {', '.join(PLANES)}")
        number = isinstance(self.coverage, int | float) and not isinstance(self.coverage, bool)
        if not number or not 0 <= self.coverage <= 1:
            raise InvalidOptionError(f"coverage={self.coverage!r} is not a share from 0 to 1")
        require_integer("seed", self.seed, 0, 2**63 - 1)


class VolumeSource(Source):
    """Patches of the NIfTI files `splits` (split -> names below `root`), equally many of each.

    Images are numbered volume by volume. Positions depend on the seed, the file's own name, its
    subject and the sampling alone. Patches inside a split are shuffled. A volume that cannot be
    used makes all its patches unreadable, so the tolerated share of images is one of volumes.
    """

    def __init__(
        self,
        root: Path,
        splits: Mapping[str, Sequence[str]],
        owner: Mapping[str, str],
        counts: Mapping[str, int],
        sampling: Sampling,
    ) -> None:
        """Take the names of every split, name -> subject, and patches wanted per split."""
        self.root, self.owner, self.sampling = root, owner, sampling
        self.names: list[str] = []
        numbers: list[int] = []
        for split in SPLITS:
            self.names += splits[split]
            numbers += shares(counts[split], len(splits[split]))
        self.ends = np.cumsum(numbers)
        lengths = [counts[split] for split in SPLITS]
        self.bounds = dict(zip(SPLITS, np.cumsum(lengths) - lengths, strict=True))
        self.counts = dict(counts)
        self.shape = (1, sampling.patch, sampling.patch)
        self._patches = Recent(self._draw, _KEPT, _READERS)

    def __len__(self) -> int:
        """Return the number of patches of all splits."""
        return int(self.ends[-1])

    def name(self, index: int) -> str:
        """Return the file that a patch comes from."""
        return self.names[self._volume(index)]

    def read(self, index: int) -> Pixels:
        """Return a patch; the first one of a volume reads it.

        Errors: `InvalidVolumeError`.
        """
        volume = self._volume(index)
        found = self._patches(volume)
        if isinstance(found, str):
            raise InvalidVolumeError(found)
        patch: Pixels = found[index - self._start(volume)]
        return patch

    def arrange(self, digests: Digests, readable: Flags) -> dict[str, Indices]:
        """Return the readable patches of every split, shuffled.

        Errors: `TooFewImagesError` where a split has none.
        """
        arranged: dict[str, Indices] = {}
        for split, start in self.bounds.items():
            members = start + np.flatnonzero(readable[start : start + self.counts[split]])
            if not len(members):
                raise TooFewImagesError(f"no volume of split {split} can be read: replace them")
            order = permutation(len(members), self.sampling.seed, "patches", split)
            arranged[split] = members[order]
        return arranged

    def _volume(self, index: int) -> int:
        return int(np.searchsorted(self.ends, index, side="right"))

    def _start(self, volume: int) -> int:
        return int(self.ends[volume - 1]) if volume else 0

    def _draw(self, volume: int) -> Pixels | str:
        name, how = self.names[volume], self.sampling
        count = int(self.ends[volume]) - self._start(volume)
        axes = (how.seed, self.owner[name], name.rsplit("/", 1)[-1], how.plane, how.patch)
        try:
            pictures = slices(read_volume(self.root / name), how.plane)
            return draw_patches(pictures, how.patch, count, how.coverage, *axes)
        except InvalidVolumeError as error:
            return str(error)
