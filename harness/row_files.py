"""A result row as a Parquet file, named by its place and its digest: damage shows when it is read.

`<cell>.tune003.<digest>.parquet` is trial 3, `<cell>.final000.<digest>.parquet` seed 0 and
`<cell>.curve000.<digest>.parquet` the first point of a curve; the digest is the first 16 digits of
the file's own sha256.
"""

import hashlib
import io
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from harness.errors import StoreError
from harness.schema import SCHEMA_VERSION, arrow_schema, table

# Stage and number of a row: ("tune", trial), ("final", seed) or ("curve", point).
Key = tuple[str, int]
_DIGITS = 16


class Damaged(Exception):
    """The file is not what was written."""


def place(row: dict[str, Any]) -> str:
    """Return the part of the file name that says which model of which cell it is of."""
    number = row["trial"] if row.get("trial") is not None else row.get("seed")
    serial = "x" if number is None else f"{number:03d}"
    return f"{row['cell']}.{row['stage']}{serial}"


def key(path: Path, cell: str) -> Key | None:
    """Return the stage and number that a row file's name tells."""
    found = re.match(r"\.(tune|final|curve)(\d+)\.", path.name[len(cell) :])
    return (found[1], int(found[2])) if found else None


def encode(row: dict[str, Any]) -> tuple[str, bytes]:
    """Return the name and the content of the row's file.

    Raises:
        KeyError: a key is no column.
    """
    stream = io.BytesIO()
    pq.write_table(table(row), stream)
    content = stream.getvalue()
    return f"{place(row)}.{_digest(content)}.parquet", content


def read(path: Path) -> pa.Table:
    """Return the row of a file with every column of the schema.

    A column that is younger than the file is null.

    Raises:
        Damaged: the file was cut short or changed.
        StoreError: another schema version wrote it, or the system does not let it be read.
        FileNotFoundError: it is gone.
    """
    try:
        content = path.read_bytes()
        _check(path, content)
        # One row: neither a search for partitions nor threads, which cost more than the reading.
        found = pq.ParquetFile(pa.BufferReader(content)).read(use_threads=False)
    except FileNotFoundError:
        raise
    except (pa.ArrowInvalid, OSError) as error:
        if getattr(error, "errno", None):  # the system's trouble, not the file's
            raise StoreError(f"cannot read {path} ({error}): try again") from error
        raise Damaged(str(error)) from error
    version = (found.schema.metadata or {}).get(b"harness_schema_version", b"none").decode()
    if version != str(SCHEMA_VERSION):
        raise StoreError(
            f"{path} was written with results schema {version}, this harness reads "
            f"schema {SCHEMA_VERSION}: use another --results folder or the matching version"
        )
    return _whole(found)


def _check(path: Path, content: bytes) -> None:
    expected = path.name.split(".")[-2]
    if re.fullmatch(rf"[0-9a-f]{{{_DIGITS}}}", expected) and _digest(content) != expected:
        raise Damaged("its content is not that which its name was made of")


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:_DIGITS]


def _whole(found: pa.Table) -> pa.Table:
    schema = arrow_schema()
    if found.schema.equals(schema):
        return found
    known = set(found.schema.names)
    for field in schema:
        if field.name not in known:
            found = found.append_column(field, pa.nulls(len(found), field.type))
    return found.select(schema.names).cast(schema)
