"""The Parquet result store: `results/<grid>/` holds one small immutable file per row.

Everything that is not a row lies in folders or files that start with `_`, which Parquet readers
skip, so `pandas.read_parquet("results/<grid>")` reads all rows.
"""

import contextlib
import json
import logging
import uuid
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from harness import locks, row_files
from harness.errors import StoreError
from harness.files import explain, link, sweep, write_atomically
from harness.row_files import Key
from harness.schema import RETRIED, SCHEMA_VERSION, arrow_schema

log = logging.getLogger(__name__)

_WARNED: set[Path] = set()  # damaged row files that this process has told of

# What every reader of a grid's description asks for, of the grid and of each cell.
_GRID: dict[str, type] = {"name": str, "cells": list}
_CELL: dict[str, type] = {"id": str, "dataset": str, "model": str, "loss": str, "protocol": dict}

FOLDERS = ("_scores", "_images", "_models", "_journal", "_logs", "_checkpoints", "_superseded")
KEY = ["cell", "stage", "trial", "seed"]
SOURCE = ["source_digest", "data_hash"]


def now() -> str:
    """Return the present time as the store writes it: UTC, ISO 8601, microseconds."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


class Store:
    """Rows and artefacts of one grid."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.damaged: set[Path] = set()  # row files that could not be read, until `tidy`

    @property
    def name(self) -> str:
        """The grid's name."""
        return self.root.name

    def prepare(self) -> None:
        """Create the folder and check that it can be written and has this schema.

        Raises:
            StoreError: another schema version, or a folder that cannot be written.
        """
        self.check_schema()
        for folder in FOLDERS:
            try:
                (self.root / folder).mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise StoreError(explain(self.root / folder, error)) from error
        write_atomically(self.root / "_schema.json", lambda stream: stream.write(_schema_note()))

    def check_schema(self) -> None:
        """Refuse a folder that another schema version wrote.

        Raises:
            StoreError: naming both versions and the fix.
        """
        note = self.root / "_schema.json"
        if not note.exists():
            return
        try:
            found = json.loads(note.read_text())["schema_version"]
        except (ValueError, KeyError, TypeError, OSError):
            found = "unreadable"
        self._accept(found)

    def _accept(self, version: object) -> None:
        if version != SCHEMA_VERSION:
            raise StoreError(
                f"{self.root} was written with results schema {version}, this harness reads "
                f"schema {SCHEMA_VERSION}: use another --results folder or the matching version"
            )

    def lock(self) -> AbstractContextManager[None]:
        """Hold this folder for one command that writes; see `locks.hold`."""
        return locks.hold(self.root / "_lock")

    def claim(
        self, cell: str, stop: Callable[[], bool] = lambda: False
    ) -> AbstractContextManager[None]:
        """Let one process at a time work on a cell; see `locks.claim`."""
        return locks.claim(self.root / "_logs" / f"{cell}.log", stop)

    def locked(self) -> bool:
        """Tell whether a run holds this folder now."""
        return locks.held(self.root / "_lock")

    def write(self, row: dict[str, Any]) -> Path:
        """Store one row in a file of its own and return its path.

        Raises:
            StoreError: the disk is full or the folder cannot be written.
        """
        full = {"schema_version": SCHEMA_VERSION, "grid": self.name, "created": now(), **row}
        name, content = row_files.encode(full)
        path = self.root / name
        write_atomically(path, lambda stream: stream.write(content))
        if row.get("status") not in RETRIED:  # a failure never hides a result
            self._set_older_aside(path, f"{row_files.place(row)}.*.parquet")
        return path

    def _set_older_aside(self, newer: Path, pattern: str) -> None:
        """Keep one file per trial or seed, so that reading the folder counts each once."""
        for path in self.root.glob(pattern):
            if path != newer:
                with contextlib.suppress(OSError):
                    (self.root / "_superseded").mkdir(exist_ok=True)
                    path.replace(self.root / "_superseded" / path.name)

    def files(self, cell: str | None = None) -> list[Path]:
        """Return the row files, of all cells or of one."""
        return sorted(self.root.glob(f"{cell}.*.parquet" if cell else "[!_]*.parquet"))

    def rows(self, cell: str | None = None) -> pd.DataFrame:
        """Return all readable rows, of all cells or of one, stale ones too; see `newest`.

        A file cut short by a crash is left out with a warning; `tidy` sets it aside.
        """
        self.check_schema()
        tables = [found for path in self.files(cell) if (found := self._read(path)) is not None]
        if not tables:
            return arrow_schema().empty_table().to_pandas()
        return pa.concat_tables(tables).to_pandas()

    def _read(self, path: Path) -> pa.Table | None:
        try:
            return row_files.read(path)
        except FileNotFoundError:
            return None  # set aside by a run meanwhile
        except row_files.Damaged as error:
            if path not in _WARNED:
                _WARNED.add(path)
                log.warning("%s is damaged (%s): left out, its cell runs again", path.name, error)
            self.damaged.add(path)
            return None

    def tidy(self) -> None:
        """Set aside the damaged files met so far, and delete what killed processes half wrote.

        For a command that writes and holds the lock.
        """
        for path in self.damaged:
            with contextlib.suppress(OSError):
                (self.root / "_superseded").mkdir(exist_ok=True)
                path.replace(self.root / "_superseded" / path.name)
        self.damaged.clear()
        for folder in (self.root, *(self.root / name for name in FOLDERS)):
            sweep(folder)

    def supersede(self, cell: str) -> None:
        """Set the cell's rows, study and checkpoints aside, so that it runs from the start."""
        target = self.root / "_superseded"
        target.mkdir(exist_ok=True)
        stamp = uuid.uuid4().hex[:8]
        for path in self.files(cell):
            path.replace(target / path.name)
        for path in [
            *self.root.glob(f"_journal/{cell}.*"),
            *self.root.glob(f"_checkpoints/{cell}.*"),
        ]:
            path.replace(target / f"{path.parent.name.strip('_')}-{stamp}-{path.name}")

    def adopt(self, cell: str, other: "Store", keys: Collection[Key], *, journal: bool) -> None:
        """Link rows of another grid, by stage and number, and what lies beside them.

        Training that was interrupted there goes on here. The study is taken over where `journal`
        says so: that it knows more trials.
        """
        for path in other.files(cell):
            if row_files.key(path, cell) in keys:
                link(path, self.root / path.name)
        for kind in ("images", "models", "scores"):
            for path in other.root.glob(f"_{kind}/{cell}.*"):
                seed = path.name[len(cell) + 2 :].partition(".")[0]
                if seed.isdigit() and ("final", int(seed)) in keys:
                    link(path, self.root / path.relative_to(other.root), replace=True)
        for path in other.root.glob(f"_checkpoints/{cell}.*"):
            link(path, self.root / path.relative_to(other.root))
        study = other.root / "_journal" / f"{cell}.log"
        if journal and study.exists():
            link(study, self.root / "_journal" / study.name, replace=True)

    def artefact(self, kind: str, cell: str, seed: int, suffix: str) -> Path:
        """Return the path of an artefact of a final model, as in `_images/<cell>.s0.npz`."""
        return self.root / f"_{kind}" / f"{cell}.s{seed}.{suffix}"

    def write_grid(self, description: dict[str, Any]) -> None:
        """Store what the grid consists of, so that reports know the cells that did not run."""
        text = json.dumps({"schema_version": SCHEMA_VERSION, **description}, indent=1)
        write_atomically(self.root / "_grid.json", lambda stream: stream.write(text.encode()))

    def grid(self) -> dict[str, Any]:
        """Return the stored description of the grid.

        Raises:
            StoreError: nothing was ever run in this folder, the description is damaged, or another
                schema version wrote it.
        """
        path = self.root / "_grid.json"
        if not path.exists():
            raise StoreError(f"no results in {self.root}: start with 'harness run --grid smoke'")
        self.check_schema()
        try:
            found = dict(json.loads(path.read_text()))
            self._accept(found.get("schema_version", SCHEMA_VERSION))
            _whole(found)
        except (ValueError, TypeError) as error:
            raise StoreError(
                f"{path} is damaged ({error}): give the command that made the grid once more, "
                "which writes it anew and keeps every row"
            ) from None
        return found


def _whole(grid: dict[str, Any]) -> None:
    """Refuse a description of a grid that lacks what every reader of it asks for.

    Raises:
        ValueError: a key is not there, or what stands under it is of another kind.
    """
    _typed(grid, _GRID, "")
    for number, cell in enumerate(grid["cells"], start=1):
        _typed(cell, _CELL, f" of cell {number}")


def _typed(found: Any, kinds: dict[str, type], whose: str) -> None:
    for key, kind in kinds.items():
        if not (isinstance(found, dict) and isinstance(found.get(key), kind)):
            raise ValueError(f"no {key}{whose}")


def _schema_note() -> bytes:
    return json.dumps({"schema_version": SCHEMA_VERSION}).encode()


def newest(rows: pd.DataFrame) -> pd.DataFrame:
    """Return one row per (cell, stage, trial, seed), from one source and data state per cell.

    Rows of a cell whose source digest or data hash differs from those of its newest row are stale
    and dropped: a report never mixes them. Within a state the newest row wins, but a failure never
    hides a result.
    """
    if rows.empty:
        return rows
    ordered = rows.sort_values(["cell", "created"], kind="stable")
    state = ordered[SOURCE].fillna("").agg("|".join, axis=1)
    kept = ordered[state == state.groupby(ordered["cell"]).transform("last")]
    is_result = ~kept["status"].isin(RETRIED).to_numpy()
    ranked = kept.iloc[is_result.argsort(kind="stable")].drop_duplicates(KEY, keep="last")
    return ranked.sort_values(["cell", "created"], kind="stable").reset_index(drop=True)
