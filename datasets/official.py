"""Sources whose files hold thousands of images each and are read whole, once."""

from abc import abstractmethod
from collections.abc import Mapping
from threading import Lock

from datasets.images import Pixels
from datasets.seeding import permutation
from datasets.source import SPLITS, Digests, Flags, Indices, Source, consecutive, locate


class OfficialSource(Source):
    """Official splits in a few files, which are read and checked when the first image is.

    Images are numbered in the official order, train before validation before test. The official
    validation and test keep that order; where validation is missing it is the last tenth of the
    seeded permutation of train, and train the nine tenths before it, in permuted order, so that
    the first n of every split are a fair subset.
    """

    def __init__(self, dataset: str, counts: Mapping[str, int], seed: int) -> None:
        """Take the number of images of every official split and the seed of the permutation."""
        self.counts = {split: counts.get(split, 0) for split in SPLITS}
        self.dataset, self.seed = dataset, seed
        self._pools: dict[str, Pixels] | None = None
        self._lock = Lock()

    @abstractmethod
    def read_split(self, split: str) -> Pixels:
        """Return the images of an official split, uint8 `(N, C, H, W)`.

        Raises `FatalError` where its files are not what they should be.
        """

    def __len__(self) -> int:
        """Return the number of images of all splits."""
        return sum(self.counts.values())

    def name(self, index: int) -> str:
        """Return the official split and the place of an image in it."""
        split, place = locate(self.counts, index)
        return f"{split} {place}"

    def read(self, index: int) -> Pixels:
        """Return an image; the first call reads every file."""
        split, place = locate(self.counts, index)
        found: Pixels = (self._pools or self._read_all())[split][place]
        return found

    def arrange(self, digests: Digests, readable: Flags) -> dict[str, Indices]:
        """Return the official splits; validation from train where there is none."""
        splits = consecutive(self.counts)
        if not self.counts["validation"]:
            order = permutation(self.counts["train"], self.seed, self.dataset)
            kept = len(order) - len(order) // 10
            splits |= {"train": order[:kept], "validation": order[kept:]}
        return splits

    def _read_all(self) -> dict[str, Pixels]:
        with self._lock:
            if self._pools is None:
                present = [split for split, count in self.counts.items() if count]
                self._pools = {split: self.read_split(split) for split in present}
            return self._pools
