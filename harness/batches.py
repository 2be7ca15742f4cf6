"""Batches of images on the device: resident as uint8 where they fit, streamed otherwise."""

import contextlib
import math
import queue
import threading
from collections.abc import Iterator

import numpy as np
import torch

# A dataset may take this share of a device's free memory before it is streamed instead.
RESIDENT_SHARE = 0.4

# Values per evaluation batch: 256 colour images of 64 by 64 pixels.
BATCH_VALUES = 256 * 3 * 64 * 64


class Batches:
    """Batches of one split, float32 in [0, 1], on the device.

    Images stay on the device as uint8 where they fit and are streamed from the host otherwise;
    both ways give the same batches bit by bit. Where they are `stochastic`, pixels are
    probabilities: `shuffled` draws each as 0 or 1 at every visit.
    """

    def __init__(
        self,
        images: np.ndarray,
        batch: int,
        device: torch.device,
        resident: bool | None = None,
        stochastic: bool = False,
    ) -> None:
        self.images, self.batch, self.device = images, batch, device
        self.stochastic = stochastic
        self.resident = fits(images, device) if resident is None else resident
        self._store = _tensor(images).to(device) if self.resident else None

    def __len__(self) -> int:
        """Whole batches in an epoch: the rest, less than a batch, waits for the next shuffle."""
        return len(self.images) // self.batch

    def shuffled(self, generator: torch.Generator, start: int = 0) -> Iterator[torch.Tensor]:
        """Yield the whole batches of one epoch in random order, from batch `start` on."""
        order = torch.randperm(len(self.images), generator=generator)
        used = order[start * self.batch : len(self) * self.batch]
        batches = self._batches(used.split(self.batch))
        if not self.stochastic:
            yield from map(_scaled, batches)
            return
        first = int(torch.randint(2**62, (), generator=generator))
        for number, batch in enumerate(batches, start):
            yield _drawn(batch, torch.Generator().manual_seed(first + number))

    def ordered(self) -> Iterator[torch.Tensor]:
        """Yield every image once, in order and as it is; the last batch may be smaller."""
        every = torch.arange(len(self.images)).split(self.batch)
        yield from map(_scaled, self._batches(every))

    def _batches(self, indices: tuple[torch.Tensor, ...]) -> Iterator[torch.Tensor]:
        if self._store is not None:
            for index in indices:
                yield self._store[index.to(self.device)]
        else:
            for batch in _prefetched(self.images, indices, self.device):
                yield batch.to(self.device, non_blocking=True)


def ordered(images: np.ndarray, device: torch.device) -> Iterator[torch.Tensor]:
    """Yield every image once, in order, float32 in [0, 1], in batches to evaluate."""
    return Batches(images, batch_size(images.shape[1:]), device).ordered()


def batch_size(shape: tuple[int, ...]) -> int:
    """Return how many images of `shape` (C, H, W) to evaluate at a time."""
    return max(1, min(1024, BATCH_VALUES // math.prod(shape)))


def _scaled(pixels: torch.Tensor) -> torch.Tensor:
    return pixels.float().div_(255)


def _drawn(pixels: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Draw 1 with probability pixels / 255, else 0.

    Each batch has a generator of its own, so that a resumed epoch draws what it would have drawn.
    """
    uniform = torch.rand(pixels.shape, generator=generator).to(pixels.device)
    return (uniform * 255 < pixels).float()


def fits(images: np.ndarray, device: torch.device) -> bool:
    """Tell whether the images fit the device's free memory beside a model."""
    if device.type != "cuda":
        return True  # a map of the file: the system keeps in memory what fits
    free, _ = torch.cuda.mem_get_info(device)
    return images.nbytes < RESIDENT_SHARE * free


def _tensor(images: np.ndarray) -> torch.Tensor:
    # torch warns about read-only maps, which are only ever read here: map them copy-on-write.
    if isinstance(images, np.memmap) and images.filename is not None:
        whole = np.load(images.filename, mmap_mode="c")
        return torch.from_numpy(whole[: len(images)])
    return torch.from_numpy(np.ascontiguousarray(images))


def _prefetched(
    images: np.ndarray, indices: tuple[torch.Tensor, ...], device: torch.device
) -> Iterator[torch.Tensor]:
    """Gather batches in a thread, two ahead, in pinned memory where a GPU will fetch them."""
    ahead: queue.Queue[torch.Tensor | BaseException | None] = queue.Queue(maxsize=2)
    stopped = threading.Event()

    def gather() -> None:
        try:
            for index in indices:
                batch = torch.from_numpy(images[index.numpy()])
                ahead.put(batch.pin_memory() if device.type == "cuda" else batch)
                if stopped.is_set():
                    return
            ahead.put(None)
        except BaseException as error:  # handed to the consumer, which raises it
            ahead.put(error)

    thread = threading.Thread(target=gather, daemon=True)
    thread.start()
    try:
        while (batch := ahead.get()) is not None:
            if isinstance(batch, BaseException):
                raise batch
            yield batch
    finally:
        stopped.set()
        with contextlib.suppress(queue.Empty):
            while True:
                ahead.get_nowait()
        thread.join()
