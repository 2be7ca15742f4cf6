"""Decodes a source into its staging folder with all cores."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from datasets.source import BLOCK, Source, read_block
from harness.processors import cores
from harness.staging import Reasons, Staging

Tell = Callable[[int, int], None]  # images done, images in all

# Images that a thread reads between two looks at whether it should stop.
STRIDE = 16
# Seconds between two times that what is done is flushed to the disk and marked: what a kill costs.
MARK_SECONDS = 4.0


class _Stopped(Exception):
    """The reading ends; what is marked stays."""


class Decoding:
    """One pass over the blocks of a source that are not done yet."""

    def __init__(self, source: Source, staging: Staging, tell: Tell) -> None:
        self.source, self.staging, self.tell = source, staging, tell
        self.total = len(source)
        self._stop, self._lock = threading.Event(), threading.Lock()
        self._read = sum(min(BLOCK, self.total - start) for start in staging.done)

    def run(self) -> None:
        """Decode what is left, by as many threads as there are cores.

        Decoders release the interpreter's lock for most of their time, and threads share an open
        archive and need no copy of any pixel. Raises what `Source.read` raises to end the reading
        (`FatalError`).
        """
        left = [s for s in range(0, self.total, BLOCK) if s not in self.staging.done]
        self.tell(self._read, self.total)
        with ThreadPoolExecutor(cores()) as pool:
            try:
                self._collect({pool.submit(self._block, start): start for start in left})
            except BaseException:
                self._stop.set()
                pool.shutdown(cancel_futures=True)
                raise

    def _collect(self, running: dict[Future[Reasons], int]) -> None:
        finished: dict[int, Reasons] = {}
        marked = time.monotonic()
        try:
            while running:
                ended, _ = wait(running, timeout=0.2, return_when=FIRST_COMPLETED)
                finished |= {running.pop(future): future.result() for future in ended}
                if finished and time.monotonic() - marked >= MARK_SECONDS:
                    self.staging.mark(finished)
                    finished, marked = {}, time.monotonic()
                self.tell(self._read, self.total)
        except BaseException:
            if finished:
                self.staging.mark(finished)
            raise
        # The set is made of them at once: only if that fails must they be on the disk.
        self.staging.note(finished)

    def _block(self, start: int) -> Reasons:
        reasons: Reasons = {}
        stop = min(start + BLOCK, self.total)
        for begin in range(start, stop, STRIDE):
            if self._stop.is_set():
                raise _Stopped
            rows = slice(begin, min(begin + STRIDE, stop))
            digests, pixels = self.staging.digests[rows], self.staging.pixels[rows]
            found = read_block(self.source, begin, pixels, digests)
            for index in found:  # a killed process may have left other pixels there
                digests[index - begin], pixels[index - begin] = 0, 0
            reasons |= found
            with self._lock:
                self._read += len(pixels)
        return reasons
