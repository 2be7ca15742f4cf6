"""Keeps the latest results of a costly function, each computed once for all threads."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from threading import BoundedSemaphore, Lock
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Recent(Generic[Key, Value]):
    """`compute` with a memory of its `size` latest keys; `workers` of it run at a time."""

    def __init__(self, compute: Callable[[Key], Value], size: int, workers: int) -> None:
        """Take the function; its results should be small, since `size` of them are kept."""
        self.compute, self.size = compute, size
        self._entries: OrderedDict[Key, Future[Value]] = OrderedDict()
        self._lock, self._slots = Lock(), BoundedSemaphore(workers)

    def __call__(self, key: Key) -> Value:
        """Return the result for `key`; threads that ask for it at the same time wait for it."""
        with self._lock:
            entry = self._entries.get(key)
            first = entry is None
            if entry is None:
                entry = self._entries[key] = Future()
            self._entries.move_to_end(key)
            while len(self._entries) > self.size:
                self._entries.popitem(last=False)
        if first:
            self._fulfil(entry, key)
        return entry.result()

    def _fulfil(self, entry: Future[Value], key: Key) -> None:
        try:
            with self._slots:
                entry.set_result(self.compute(key))
        except BaseException as error:  # whatever it is, threads must not wait for ever
            entry.set_exception(error)
