"""The pictures of a cell, read when a figure first asks for them: a table needs none."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, overload

import numpy as np

from harness.report.artefacts import Pictures, load_pictures
from harness.store import Store


class Album(Sequence[Pictures]):
    """One record of pictures per seed that stored them, as a sequence that is read late.

    Seeds are read in their order, no further than asked for, and only the first record stays:
    most figures show it alone, and those of all seeds together would fill the memory. It does not
    travel: a copy in another process reads the files anew.
    """

    def __init__(self, store: Store, cell: str, seeds: Sequence[int]) -> None:
        self._store, self._cell, self._seeds = store, cell, tuple(seeds)
        self.forget()

    def forget(self) -> None:
        """Free the memory; what is asked for later is read again."""
        self._first: Pictures | None = None
        self._place = 0  # in the seeds, of the first that stored its pictures or may have

    def __iter__(self) -> Iterator[Pictures]:
        if self._first is None:
            self._first = next(self._read(self._place), None)
            if self._first is None:
                self._place = len(self._seeds)
                return
            self._place = self._seeds.index(self._first.seed)
        yield self._first
        for each in self._read(self._place + 1):
            yield _sharing(each, self._first)

    def _read(self, start: int) -> Iterator[Pictures]:
        for seed in self._seeds[start:]:
            yield from load_pictures(self._store, self._cell, [seed])

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __bool__(self) -> bool:
        return next(iter(self), None) is not None

    @overload
    def __getitem__(self, index: int) -> Pictures: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Pictures]: ...

    def __getitem__(self, index: int | slice) -> Pictures | Sequence[Pictures]:
        if isinstance(index, slice) or index < 0:
            return list(iter(self))[index]  # list() of itself would read all for its length
        try:
            return next(itertools.islice(self, index, None))
        except StopIteration:
            raise IndexError(index) from None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_first": None, "_place": 0}


def _sharing(own: Pictures, first: Pictures) -> Pictures:
    """The inputs of all seeds are the same images: they are kept once."""
    if np.array_equal(own.inputs, first.inputs):
        return replace(own, inputs=first.inputs)
    return own
