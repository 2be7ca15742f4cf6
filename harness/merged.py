"""The rows of a store merged into one file beside them, so that a thousand are read at once."""

import contextlib
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from harness.errors import StoreError
from harness.files import write_atomically
from harness.processors import cores
from harness.schema import arrow_schema
from harness.store import Store

MERGED = Path("_report") / "rows.parquet"
_FILE = "row_file"


class MergedStore(Store):
    """A store that keeps what it read of rows in `_report/rows.parquet`.

    Opening a row file takes milliseconds, a thousand of them seconds. A merged row stands for its
    file as long as the file's name, which holds a digest of its content, its size and its time of
    change are the same; other files are read and merged. With `cells`, `rows()` has the rows of
    these cells alone and opens no other file. Where the folder cannot be written nothing is kept.
    Texts are Python's strings and None, whatever type pandas has for them.
    """

    def __init__(self, root: Path, cells: Collection[str] | None = None) -> None:
        super().__init__(root)
        self.cells = None if cells is None else set(cells)

    def rows(self, cell: str | None = None) -> pd.DataFrame:
        """Return the rows as `Store.rows` does, of the chosen cells or of one."""
        self.check_schema()
        chosen = self.cells if cell is None else {cell}
        files = self._stamps() if chosen is None or chosen else {}
        wanted = [stamp for stamp, path in files.items() if chosen is None or _cell(path) in chosen]
        merged = self._merge(files, wanted) if wanted else _nothing()
        place = {stamp: index for index, stamp in enumerate(merged[_FILE].to_pylist())}
        order = [place[stamp] for stamp in wanted if stamp in place]
        found = merged.take(pa.array(order, pa.int64()))
        return _plain(found.drop_columns([_FILE]).to_pandas())

    def _stamps(self) -> dict[str, Path]:
        """Every row file by what tells its content, in the order of their names."""
        found = {}
        for path in self.files():
            with contextlib.suppress(FileNotFoundError):  # set aside by a run meanwhile
                state = path.stat()
                found[f"{path.name} {state.st_size} {state.st_mtime_ns}"] = path
        return found

    def _merge(self, files: dict[str, Path], wanted: list[str]) -> pa.Table:
        """Return the merged rows with those of `wanted` that were not among them."""
        kept = _load(self.root / MERGED)
        known = set(kept[_FILE].to_pylist())
        missing = [stamp for stamp in wanted if stamp not in known]
        fresh = self._fresh({stamp: files[stamp] for stamp in missing})
        if not fresh:
            return kept
        present = [stamp in files for stamp in kept[_FILE].to_pylist()]
        kept = kept.filter(pa.array(present, pa.bool_()))
        rows = pa.Table.from_pylist(fresh, schema=kept.schema)
        merged = pa.concat_tables([kept, rows]).combine_chunks()
        with contextlib.suppress(StoreError):
            write_atomically(self.root / MERGED, lambda stream: pq.write_table(merged, stream))
        return merged

    def _fresh(self, files: dict[str, Path]) -> list[dict[str, Any]]:
        """Read row files with all cores, as Python's values.

        A table of one row takes 300 kB in memory, for its two hundred columns.
        """

        def read(file: tuple[str, Path]) -> list[dict[str, Any]]:
            stamp, path = file
            found = self._read(path)
            return [] if found is None else [{**row, _FILE: stamp} for row in found.to_pylist()]

        with ThreadPoolExecutor(cores()) as pool:
            return [row for rows in pool.map(read, files.items()) for row in rows]


def _plain(rows: pd.DataFrame) -> pd.DataFrame:
    """Texts as Python's own: pandas' string columns are a hundred blocks to take every row from."""
    texts = {
        name: column.astype(object).where(column.notna(), None)
        for name, column in rows.items()
        if pd.api.types.is_string_dtype(column)
    }
    return rows.assign(**texts).copy() if texts else rows


def _cell(path: Path) -> str:
    return path.name.rsplit(".", 3)[0]


def _nothing() -> pa.Table:
    return arrow_schema().append(pa.field(_FILE, pa.string())).empty_table()


def _load(path: Path) -> pa.Table:
    """The merged file, or nothing where there is none, a damaged one or one of other columns."""
    nothing = _nothing()
    try:
        found = pq.read_table(path, partitioning=None)
    except (OSError, pa.ArrowException):
        return nothing
    same = found.schema.equals(nothing.schema) and found.schema.metadata == nothing.schema.metadata
    return found if same else nothing
