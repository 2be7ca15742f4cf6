"""Datasets decoded once and mapped from the disk by every process that needs them."""

import logging
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from harness import manifest, origin
from harness.components import Component
from harness.errors import HarnessError
from harness.manifest import SPLITS, Manifest, target
from harness.origin import Origin
from harness.preparation import Tell, prepare, same, silent

if TYPE_CHECKING:
    from datasets.source import Source

log = logging.getLogger(__name__)

# Bytes of pixels up to which a dataset is read into memory to know its content.
SMALL = 64 << 20


@dataclass(frozen=True)
class Outline:
    """What is known of a dataset without its pixels."""

    image_shape: tuple[int, int, int]  # (C, H, W)
    counts: tuple[int, int, int]  # images in train, validation and test
    data_hash: str | None  # None: it has to be decoded for that


@dataclass(frozen=True)
class Splits:
    """The splits of one dataset: uint8 arrays (N, C, H, W), and what they are."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    data_hash: str
    description: str
    licence: str
    stochastic: bool = False  # train's pixels are probabilities, drawn anew at each visit

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W)"""
        channels, height, width = self.train.shape[1:]
        return channels, height, width

    @property
    def outline(self) -> Outline:
        """The same without pixels."""
        counts = (len(self.train), len(self.validation), len(self.test))
        return Outline(self.image_shape, counts, self.data_hash)

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


def load(component: Component, folder: Path | None = None, tell: Tell = silent) -> Splits:
    """Map a prepared dataset; prepare it first where it is missing or damaged.

    Only its manifest and the sizes and times of its arrays are read, and no memory is taken that
    other processes do not share.

    Raises:
        HarnessError: it is not whole and its source is missing or unusable.
        StoreError: it cannot be kept.
    """
    place = target(component, folder)
    if manifest.whole(place) is None:
        _renew(component, place, None, tell)
    return _map(place)


def ready(component: Component, folder: Path | None = None, tell: Tell = silent) -> Manifest:
    """Make sure that the prepared dataset is whole and what its source gives now.

    Where the source is gone, a whole one is used as it is. Called once, when a run starts.

    Raises:
        HarnessError: it is not whole and its source is missing or unusable.
        StoreError: it cannot be kept.
    """
    place = target(component, folder)
    found = manifest.whole(place)
    present = None if found is None else _look(component, found)
    if found is None or (present is not None and not same(found, present)):
        return _renew(component, place, present, tell)
    return found


def unchanged(component: Component, folder: Path | None = None) -> Manifest | None:
    """Return the manifest of a dataset that `ready` would find as it should be, else None."""
    found = manifest.whole(target(component, folder))
    if found is None:
        return None
    present = _look(component, found)
    return found if present is None or same(found, present) else None


def outline(component: Component, folder: Path | None = None) -> Outline:
    """Return what is known of a dataset; nothing is written.

    Where it is not prepared its source is listed, and decoded only if it is small.

    Raises:
        HarnessError: the source is missing or unusable.
    """
    found = manifest.whole(target(component, folder))
    if found is not None:
        counts = (found.counts["train"], found.counts["validation"], found.counts["test"])
        return Outline(found.shape, counts, found.data_hash)
    source = origin.find(component).source
    if len(source) * np.prod(source.shape, dtype=np.int64) <= SMALL:
        return read(component).outline
    return _expected(component, source)


def read(component: Component) -> Splits:
    """Read the dataset from its source into memory; nothing is written.

    Raises:
        HarnessError: the source is missing or unusable.
    """
    from datasets.source import gather

    source = origin.find(component).source
    try:
        images = gather(source)
    except ValueError as error:
        raise HarnessError(f"{component.spec}: {error}") from error
    return Splits(**{field.name: getattr(images, field.name) for field in fields(Splits)})


def _expected(component: Component, source: "Source") -> Outline:
    """Split a source as if every image could be read and no two were alike."""
    from datasets.source import DIGEST

    count = len(source)
    digests = np.zeros((count, DIGEST), np.uint8)
    digests[:, :8] = np.arange(count, dtype=np.uint64).view(np.uint8).reshape(count, 8)
    try:
        splits = source.arrange(digests, np.ones(count, np.bool_))
    except ValueError as error:
        raise HarnessError(f"{component.spec}: {error}") from error
    counts = (len(splits["train"]), len(splits["validation"]), len(splits["test"]))
    return Outline(source.shape, counts, None)


def _look(component: Component, found: Manifest) -> Origin | None:
    """Open the source where that can tell a change, and where it is at hand."""
    if found.files == 0 and found.reader == origin.reader(component):
        return None  # it comes with an installed package, whose version is the same
    return origin.look(component, found.root)


def _renew(component: Component, place: Path, present: Origin | None, tell: Tell) -> Manifest:
    """Prepare a dataset that is missing, damaged or changed, and say which."""
    before = manifest.read(place)
    root = None if before is None else before.root
    damaged = manifest.whole(place) is None and (place / manifest.NAME).exists()
    present = present or origin.look(component, root)
    if present is None:
        try:
            present = origin.find(component)
        except HarnessError as error:
            if not damaged:
                raise
            raise HarnessError(f"the prepared dataset in {place} is damaged; {error}") from error
    if damaged:
        log.warning("%s: the prepared dataset is damaged: making it anew", component.spec)
    elif before is not None:
        what = "its files" if before.reader == present.reader else "what reads it"
        log.warning("%s: %s changed since it was prepared: making it anew", component.spec, what)
    return prepare(component, present, place.parent, tell)


def _map(place: Path) -> Splits:
    found = manifest.read(place)
    if found is None:
        raise HarnessError(f"the prepared dataset in {place} is gone: run the same command again")
    arrays = {name: np.load(place / f"{name}.npy", mmap_mode="r") for name in SPLITS}
    return Splits(
        **arrays,
        data_hash=found.data_hash,
        description=found.description,
        licence=found.licence,
        stochastic=found.stochastic,
    )
