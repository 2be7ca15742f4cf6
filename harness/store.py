"""The Parquet result store: `results/<grid>/` holds one small immutable file per row.

Everything that is not a row lies in folders or files that start with `_`, which Parquet readers
skip, so `pandas.read_parquet("results/<grid>")` reads all rows.
"""

import contextlib
import errno
import fcntl
import json
import logging
import os
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from harness.errors import StoreError
from harness.schema import RETRIED, SCHEMA_VERSION, arrow_schema, table

log = logging.getLogger(__name__)

FOLDERS = ("_scores", "_images", "_models", "_journal", "_logs", "_checkpoints", "_superseded")
KEY = ["cell", "stage", "trial", "seed"]
SOURCE = ["source_digest", "data_hash"]


def now() -> str:
    """Return the present time as the store writes it: UTC, ISO 8601, microseconds."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def write_atomically(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write `path` under a temporary name, flush it to the disk, then rename it.

    A reader sees the whole file or none. On failure the temporary file is removed.

    Raises:
        StoreError: the disk is full or the folder cannot be written.
    """
    temporary = path.with_name(f"_tmp-{uuid.uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as stream:
            write(stream)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise StoreError(_explain(path, error)) from error


def _explain(path: Path, error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return (
            f"the disk is full: {path.name} could not be written to {path.parent}; what was "
            "stored before is whole: free some space and run the same command again"
        )
    return (
        f"cannot write to {path.parent} ({error.strerror}): "
        "choose another folder with --results or change its permissions"
    )


class Store:
    """Rows and artefacts of one grid."""

    def __init__(self, root: Path) -> None:
        self.root = root

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
                raise StoreError(_explain(self.root / folder, error)) from error
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
        """Hold this folder for one run.

        Raises:
            StoreError: another run holds it.
        """
        with (self.root / "_lock").open("a+") as stream:
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

        A file cut short by a crash is set aside in `_superseded` with a warning.
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
            return None  # set aside by another reader meanwhile
        except (pa.ArrowInvalid, OSError) as error:
            if getattr(error, "errno", None):  # the system's trouble, not the file's
                raise StoreError(f"cannot read {path} ({error}): try again") from error
            self._set_aside(path, error)
            return None
        version = (found.schema.metadata or {}).get(b"harness_schema_version", b"none").decode()
        if version != str(SCHEMA_VERSION):
            raise StoreError(
                f"{path} was written with results schema {version}, this harness reads "
                f"schema {SCHEMA_VERSION}: use another --results folder or the matching version"
            )
        return found.select(schema.names).cast(schema)

    def _set_aside(self, path: Path, error: Exception) -> None:
        log.warning("%s is damaged (%s): set aside, its cell will run again", path.name, error)
        target = self.root / "_superseded" / path.name
        with contextlib.suppress(OSError):
            target.parent.mkdir(exist_ok=True)
            path.replace(target)

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

    def adopt(self, cell: str, other: "Store") -> None:
        """Link the cell's rows and artefacts from another grid, which trained it already."""
        for path in [*other.files(cell), *other.root.glob(f"_*/{cell}.*")]:
            relative = path.relative_to(other.root)
            if relative.parts[0] in ("_logs", "_superseded"):
                continue
            _link(path, self.root / relative)

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


def _link(source: Path, target: Path) -> None:
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    # A study goes on growing: a link would let one grid's run write into the other's journal.
    if source.parent.name == "_journal":
        content = source.read_bytes()
        write_atomically(target, lambda stream: stream.write(content))
        return
    try:
        os.link(source, target)
    except OSError:
        content = source.read_bytes()
        write_atomically(target, lambda stream: stream.write(content))


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
