"""Scores per image that lie beside the rows: read, resampled and cached when asked for."""

import hashlib
import io
import logging
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.errors import StoreError
from harness.files import write_atomically
from harness.report.resampling import METHOD, deviations
from harness.store import Store

log = logging.getLogger(__name__)

CACHE = "_report"  # Parquet readers skip it, as everything that starts with "_"


@dataclass(frozen=True)
class Resampled:
    """The mean of a measure over all test images, and how resamples of the images deviate."""

    mean: float
    deviations: NDArray[np.float32]  # (2000,), of the same resamples for every cell


@dataclass(frozen=True)
class Sample:
    """What is known of a cell's finite measures over one set of images."""

    images: int
    digest: str  # of the images' numbers: only equal ones are paired as a whole
    measures: dict[str, Resampled]
    partial: tuple[str, ...]  # measures that some images have no finite value of


class Scores:
    """The scores of a cell's test images, each the mean over the seeds that stored it.

    Nothing is read before it is asked for. Resampling is cached in `cache` under the content of
    `files`, where it can be written; a cached sample is bit by bit that which would be computed.
    """

    def __init__(
        self,
        files: Sequence[Path],
        cache: Path | None = None,
        images: pd.DataFrame | None = None,
    ) -> None:
        self._files = tuple(files)
        self._cache = cache
        self._known = images

    @classmethod
    def stored(cls, store: Store, cell: str, seeds: Sequence[int]) -> "Scores | None":
        """Return the scores stored beside the rows of these seeds; None unless all are there."""
        files = [store.artefact("scores", cell, seed, "parquet") for seed in seeds]
        if not files or not all(path.exists() for path in files):
            return None
        return cls(files, store.root / CACHE / "bootstrap" / f"{cell}.npz")

    @classmethod
    def known(cls, images: pd.DataFrame) -> "Scores":
        """Return scores that are at hand: one row per image, one column per measure."""
        return cls((), images=images)

    @cached_property
    def images(self) -> pd.DataFrame:
        """The scores, one row per image in the order of their numbers; NaN where not finite.

        Damaged files are left out. They stay in memory, unlike what `sample` reads.
        """
        return self._load() if self._known is None else self._known

    def _load(self) -> pd.DataFrame:
        frames = []
        for path in self._files:
            try:
                frames.append(pd.read_parquet(path).set_index("index"))
            except (OSError, ValueError, KeyError) as error:
                log.info("%s is left out: %s", path.name, error)
        found = pd.concat(frames) if frames else pd.DataFrame()
        found = found.replace([np.inf, -np.inf], np.nan).astype(float)
        return found.groupby(level=0).mean()

    @cached_property
    def sample(self) -> Sample:
        """The resampled measures; those with a value that is not finite are not among them."""
        if self._known is not None or self._cache is None:
            return resampled(self.images)
        try:
            key = _key(self._files)
        except OSError:  # a file that cannot be read, which is left out
            return resampled(self._load())
        found = _read(self._cache, key)
        if found is None:
            found = resampled(self._load())
            _write(self._cache, key, found)
        return found


def resampled(images: pd.DataFrame) -> Sample:
    """Return the sample of scores: one row per image, one column per measure."""
    digest = hashlib.sha256(images.index.to_numpy(np.int64).tobytes()).hexdigest()
    known = {str(name): int(np.isfinite(images[name]).sum()) for name in images}
    finite = [name for name, count in known.items() if count == len(images) > 1]
    partial = tuple(name for name, count in known.items() if 1 < count < len(images))
    if not finite:
        return Sample(len(images), digest, {}, partial)
    values = np.ascontiguousarray(images[finite].to_numpy(np.float64).T)
    columns = zip(finite, values.mean(axis=1), deviations(values, "images"), strict=True)
    measures = {name: Resampled(float(mean), each) for name, mean, each in columns}
    return Sample(len(images), digest, measures, partial)


def _key(files: Sequence[Path]) -> str:
    digest = hashlib.sha256(METHOD.encode())
    for path in files:
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _read(path: Path, key: str) -> Sample | None:
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            if str(archive["key"]) != key:
                return None
            columns = zip(archive["names"], archive["means"], archive["deviations"], strict=True)
            measures = {str(name): Resampled(float(mean), each) for name, mean, each in columns}
            partial = tuple(map(str, archive["partial"]))
            return Sample(int(archive["images"]), str(archive["digest"]), measures, partial)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None  # not there yet, or cut short


def _write(path: Path, key: str, sample: Sample) -> None:
    stream = io.BytesIO()
    np.savez(
        stream,
        key=key,
        images=sample.images,
        digest=sample.digest,
        partial=np.array(sample.partial, dtype=str),
        names=np.array(list(sample.measures), dtype=str),
        means=np.array([each.mean for each in sample.measures.values()]),
        deviations=np.array([each.deviations for each in sample.measures.values()]),
    )
    try:
        write_atomically(path, lambda target: target.write(stream.getvalue()))
    except StoreError as error:
        log.info("resamples are not cached: %s", error)
