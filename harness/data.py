"""Datasets as memory-mapped arrays, and batches of them on the device."""

import contextlib
import hashlib
import json
import logging
import queue
import shutil
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import torch

from harness.components import Component, build_dataset
from harness.errors import HarnessError
from harness.settings import settings
from harness.specs import slug
from harness.store import write_atomically

log = logging.getLogger(__name__)

SPLITS = ("train", "validation", "test")
# A dataset may take this share of a device's free memory before it is streamed instead.
RESIDENT_SHARE = 0.4


@dataclass(frozen=True)
class Splits:
    """The splits of one dataset: uint8 arrays (N, C, H, W), and what they are."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    data_hash: str
    description: str
    licence: str

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W)"""
        channels, height, width = self.train.shape[1:]
        return channels, height, width

    def limited(self, count: int | None) -> "Splits":
        """Return the first `count` images of each split; the hash names the whole set."""
        if count is None:
            return self
        return replace(
            self,
            train=self.train[:count],
            validation=self.validation[:count],
            test=self.test[:count],
        )

    def _facts(self) -> dict[str, str]:
        return {key: getattr(self, key) for key in ("data_hash", "description", "licence")}


def prepare(component: Component, folder: Path) -> Splits:
    """Read the dataset from its source and keep it in `folder` for other processes to map.

    Raises:
        HarnessError: the source is missing or unusable.
    """
    try:
        images = build_dataset(_with_data_folder(component)).load()
    except ValueError as error:
        raise HarnessError(f"{component.spec}: {error}") from error
    splits = Splits(**{field.name: getattr(images, field.name) for field in fields(Splits)})
    target = _target(component, folder)
    if _stored_hash(target) != splits.data_hash:
        _keep(splits, target)
    return splits


def load(component: Component, folder: Path) -> Splits:
    """Map the dataset that `prepare` kept in `folder`, or prepare it now."""
    target = _target(component, folder)
    try:
        facts = json.loads((target / "facts.json").read_text())
        arrays = {name: np.load(target / f"{name}.npy", mmap_mode="r") for name in SPLITS}
    except (OSError, ValueError):
        return prepare(component, folder)
    return Splits(**arrays, **facts)


def _with_data_folder(component: Component) -> Component:
    """Resolve a relative `path` in HARNESS_DATA, when it does not exist here."""
    path, root = component.options.get("path"), settings().data
    if not isinstance(path, str) or root is None or Path(path).exists():
        return component
    options = {**component.options, "path": str(root / path)}
    return component.model_copy(update={"options": options})


def _target(component: Component, folder: Path) -> Path:
    text = json.dumps([component.name, component.options], sort_keys=True)
    return folder / f"{slug(component.spec)[:60]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def _stored_hash(target: Path) -> str | None:
    try:
        return str(json.loads((target / "facts.json").read_text())["data_hash"])
    except (OSError, ValueError, KeyError):
        return None


def _keep(splits: Splits, target: Path) -> None:
    """Write to a folder of its own, then rename: readers map a whole set or none."""
    temporary = target.with_name(f"_tmp-{uuid.uuid4().hex}")
    for name in SPLITS:
        array = getattr(splits, name)
        write_atomically(temporary / f"{name}.npy", lambda stream, a=array: np.save(stream, a))  # type: ignore[misc]
    facts = json.dumps(splits._facts()).encode()
    write_atomically(temporary / "facts.json", lambda stream: stream.write(facts))
    shutil.rmtree(target, ignore_errors=True)
    with contextlib.suppress(OSError):  # another process was faster: its copy is the same
        temporary.replace(target)
    shutil.rmtree(temporary, ignore_errors=True)


class Batches:
    """Batches of one split, float32 in [0, 1], on the device.

    Images stay on the device as uint8 where they fit and are streamed from the host otherwise;
    both ways give the same batches bit by bit.
    """

    def __init__(
        self, images: np.ndarray, batch: int, device: torch.device, resident: bool | None = None
    ) -> None:
        self.images, self.batch, self.device = images, batch, device
        self.resident = fits(images, device) if resident is None else resident
        self._store = _tensor(images).to(device) if self.resident else None

    def __len__(self) -> int:
        """Whole batches in an epoch: the rest, less than a batch, waits for the next shuffle."""
        return len(self.images) // self.batch

    def shuffled(self, generator: torch.Generator, start: int = 0) -> Iterator[torch.Tensor]:
        """Yield the whole batches of one epoch in random order, from batch `start` on."""
        order = torch.randperm(len(self.images), generator=generator)
        used = order[start * self.batch : len(self) * self.batch]
        yield from self._batches(used.split(self.batch))

    def ordered(self) -> Iterator[torch.Tensor]:
        """Yield every image once, in order; the last batch may be smaller."""
        yield from self._batches(torch.arange(len(self.images)).split(self.batch))

    def _batches(self, indices: tuple[torch.Tensor, ...]) -> Iterator[torch.Tensor]:
        if self._store is not None:
            for index in indices:
                yield self._store[index.to(self.device)].float().div_(255)
        else:
            for batch in _prefetched(self.images, indices, self.device):
                yield batch.to(self.device, non_blocking=True).float().div_(255)


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
