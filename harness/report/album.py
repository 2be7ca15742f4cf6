"""The pictures of a cell, read when a figure first asks for them: a table needs none."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, overload

import numpy as np

from harness.report.artefacts import Pictures, load_pictures
from harness.store import Store


class Album(Sequence[Pictures]):
    """One record of pictures per seed that stored them, as a sequence that is read late.

    Seeds are read in their order, no further than asked for: most figures show the first alone.
    What was read stays, but does not travel: a copy in another process reads the files anew.
    """

    def __init__(self, store: Store, cell: str, seeds: Sequence[int]) -> None:
        self._store, self._cell, self._seeds = store, cell, tuple(seeds)
        self.forget()

    def forget(self) -> None:
        """Free the memory; what is asked for later is read again."""
        self._read: list[Pictures] = []
        self._unread = list(self._seeds)

    def _first(self, count: float) -> list[Pictures]:
        while self._unread and len(self._read) < count:
            found = load_pictures(self._store, self._cell, [self._unread.pop(0)])
            self._read += [_sharing(each, self._read) for each in found]
        return self._read

    def __len__(self) -> int:
        return len(self._first(math.inf))

    def __bool__(self) -> bool:
        return bool(self._first(1))

    @overload
    def __getitem__(self, index: int) -> Pictures: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Pictures]: ...

    def __getitem__(self, index: int | slice) -> Pictures | Sequence[Pictures]:
        if isinstance(index, slice) or index < 0:
            return self._first(math.inf)[index]
        return self._first(index + 1)[index]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_read": [], "_unread": list(self._seeds)}


def _sharing(own: Pictures, others: list[Pictures]) -> Pictures:
    """The inputs of all seeds are the same images: they are kept once."""
    if others and np.array_equal(own.inputs, others[0].inputs):
        return replace(own, inputs=others[0].inputs)
    return own
