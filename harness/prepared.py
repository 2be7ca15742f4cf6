"""Datasets read once and kept as memory-mapped arrays for every process of a run."""

import contextlib
import hashlib
import json
import shutil
import uuid
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np

from harness.components import Component, build_dataset
from harness.errors import HarnessError
from harness.files import write_atomically
from harness.settings import settings
from harness.specs import slug

SPLITS = ("train", "validation", "test")


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
        StoreError: it cannot be kept.
    """
    splits = read(component)
    keep(component, splits, folder)
    return splits


def read(component: Component) -> Splits:
    """Read the dataset from its source; nothing is written.

    Raises:
        HarnessError: the source is missing or unusable.
    """
    try:
        images = build_dataset(_with_data_folder(component)).load()
    except ValueError as error:
        raise HarnessError(f"{component.spec}: {error}") from error
    return Splits(**{field.name: getattr(images, field.name) for field in fields(Splits)})


def keep(component: Component, splits: Splits, folder: Path) -> None:
    """Keep a dataset in `folder` for other processes to map, unless this very one lies there.

    Raises:
        StoreError: the disk is full or the folder cannot be written.
    """
    place = target(component, folder)
    if stored_hash(place) != splits.data_hash:
        _keep(splits, place)


def load(component: Component, folder: Path) -> Splits:
    """Map the dataset that `prepare` kept in `folder`; prepare it first where it is missing."""
    place = target(component, folder)
    try:
        return _map(place)
    except (OSError, ValueError):
        shutil.rmtree(place, ignore_errors=True)  # a damaged one would be taken for whole
        prepare(component, folder)
    # Not the arrays just read: their strides may differ, and so the bits of a training run.
    return _map(place)


def _map(place: Path) -> Splits:
    facts = json.loads((place / "facts.json").read_text())
    arrays = {name: np.load(place / f"{name}.npy", mmap_mode="r") for name in SPLITS}
    return Splits(**arrays, **facts)


def _with_data_folder(component: Component) -> Component:
    """Resolve a relative `path` in HARNESS_DATA, or else in the present folder."""
    path, root = component.options.get("path"), settings().data
    if not isinstance(path, str):
        return component
    place = Path(path).expanduser()
    if root is not None and ((root / place).exists() or not place.exists()):
        place = root / place
    options = {**component.options, "path": str(place)}
    return component.model_copy(update={"options": options})


def target(component: Component, folder: Path) -> Path:
    """Return the folder in which `prepare` keeps the dataset."""
    text = json.dumps([component.name, component.options], sort_keys=True)
    return folder / f"{slug(component.spec)[:60]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def stored_hash(place: Path) -> str | None:
    """Return the content hash of a kept dataset, or None where there is none."""
    try:
        return str(json.loads((place / "facts.json").read_text())["data_hash"])
    except (OSError, ValueError, KeyError):
        return None


def _keep(splits: Splits, place: Path) -> None:
    """Write to a folder of its own, then rename: readers map a whole set or none."""
    temporary = place.with_name(f"_tmp-{uuid.uuid4().hex}")
    try:
        for name in SPLITS:
            array = getattr(splits, name)
            write_atomically(temporary / f"{name}.npy", lambda stream, a=array: np.save(stream, a))  # type: ignore[misc]
        facts = json.dumps(splits._facts()).encode()
        write_atomically(temporary / "facts.json", lambda stream: stream.write(facts))
        shutil.rmtree(place, ignore_errors=True)
        with contextlib.suppress(OSError):  # another process was faster: its copy is the same
            temporary.replace(place)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
