"""The Parquet result store: `results/<grid>/` holds one small immutable file per row.

Everything that is not a row lies in folders or files that start with `_`, which Parquet readers
skip, so `pandas.read_parquet("results/<grid>")` reads all rows.
"""

import contextlib
import fcntl
import json
import logging
import os
import re
import time
import uuid
from collections.abc import Callable, Collection, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from harness.errors import Interrupted, StoreError
from harness.files import claimed, explain, link, sweep
from harness.files import write_atomically as write_atomically
from harness.schema import RETRIED, SCHEMA_VERSION, arrow_schema, table

log = logging.getLogger(__name__)

FOLDERS = ("_scores", "_images", "_models", "_journal", "_logs", "_checkpoints", "_superseded")
KEY = ["cell", "stage", "trial", "seed"]
SOURCE = ["source_digest", "data_hash"]
# Stage and number of a row: ("tune", trial) or ("final", seed).
Key = tuple[str, int]


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
        if found != SCHEMA_VERSION:
            raise StoreError(
                f"{self.root} was written with results schema {found}, this harness reads "
                f"schema {SCHEMA_VERSION}: use another --results folder or the matching version"
            )

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold this folder for one command that writes.

        Raises:
            StoreError: another one holds it, or the folder cannot be written.
        """
        try:
            opened = (self.root / "_lock").open("a+")
        except OSError as error:
            raise StoreError(explain(self.root / "_lock", error)) from error
        with opened as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                stream.seek(0)
                holder = stream.read().strip() or "unknown"
                raise StoreError(
                    f"another run (process {holder}) is writing to {self.root}: "
                    "wait for it or choose another folder with --results"
                ) from None
            stream.truncate(0)
            stream.write(str(os.getpid()))
            stream.flush()
            yield

    @contextlib.contextmanager
    def claim(self, cell: str, stop: Callable[[], bool] = lambda: False) -> Iterator[None]:
        """Let one process at a time work on a cell.

        A run that was killed leaves processes that store what they have before they end; the next
        run's wait for them here, or both would write to one study. The system frees the claim of
        a process that dies.

        Raises:
            Interrupted: `stop` said so while waiting.
            StoreError: the folder cannot be written.
        """
        path = self.root / "_logs" / f"{cell}.log"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            opened = path.open("ab")
        except OSError as error:
            raise StoreError(explain(path, error)) from error
        with opened as stream:
            while not claimed(stream):
                if stop():
                    raise Interrupted
                time.sleep(0.05)
            yield

    def locked(self) -> bool:
        """Tell whether a run holds this folder now."""
        try:
            with (self.root / "_lock").open("r+") as stream:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def write(self, row: dict[str, Any]) -> Path:
        """Store one row in a file of its own and return its path.

        Raises:
            StoreError: the disk is full or the folder cannot be written.
        """
        full = {"schema_version": SCHEMA_VERSION, "grid": self.name, "created": now(), **row}
        number = row["trial"] if row.get("trial") is not None else row.get("seed")
        serial = "x" if number is None else f"{number:03d}"
        stem = f"{row['cell']}.{row['stage']}{serial}.{uuid.uuid4().hex[:8]}"
        path = self.root / f"{stem}.parquet"
        content = table(full)
        write_atomically(path, lambda stream: pq.write_table(content, stream))
        if row.get("status") not in RETRIED:  # a failure never hides a result
            self._set_older_aside(path, f"{row['cell']}.{row['stage']}{serial}.*.parquet")
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
        schema = arrow_schema()
        try:
            found = pq.read_table(path)
        except FileNotFoundError:
            return None  # set aside by a run meanwhile
        except (pa.ArrowInvalid, OSError) as error:
            if getattr(error, "errno", None):  # the system's trouble, not the file's
                raise StoreError(f"cannot read {path} ({error}): try again") from error
            log.warning("%s is damaged (%s): left out, its cell will run again", path.name, error)
            self.damaged.add(path)
            return None
        version = (found.schema.metadata or {}).get(b"harness_schema_version", b"none").decode()
        if version != str(SCHEMA_VERSION):
            raise StoreError(
                f"{path} was written with results schema {version}, this harness reads "
                f"schema {SCHEMA_VERSION}: use another --results folder or the matching version"
            )
        return found.select(schema.names).cast(schema)

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
            if _key(path, cell) in keys:
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
            StoreError: nothing was ever run in this folder.
        """
        path = self.root / "_grid.json"
        if not path.exists():
            raise StoreError(f"no results in {self.root}: start with 'harness run --grid smoke'")
        self.check_schema()
        return dict(json.loads(path.read_text()))


def _schema_note() -> bytes:
    return json.dumps({"schema_version": SCHEMA_VERSION}).encode()


def _key(path: Path, cell: str) -> Key | None:
    """Return the stage and number that a row file's name tells."""
    found = re.match(r"\.(tune|final)(\d+)\.", path.name[len(cell) :])
    return (found[1], int(found[2])) if found else None


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
