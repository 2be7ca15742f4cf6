"""The Parquet file of a probe: one row per loss, perturbation and level."""

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from harness.files import write_atomically

SCHEMA_VERSION = 1

COLUMNS: dict[str, pa.DataType] = {
    "loss": pa.string(),  # canonical spec
    "status": pa.string(),  # ok, left out (few images reach it), unavailable, refused, failed
    "cause": pa.string(),  # one sentence, for every status but ok
    "note": pa.string(),  # what of the loss is untrained
    "perturbation": pa.string(),  # null where the loss could not be asked
    "level": pa.float64(),  # MSE of [0, 1] values aimed at
    "mse": pa.float64(),  # MSE reached, mean over the images
    "strength": pa.float64(),  # mean over the images
    "unit": pa.string(),  # of the strength
    "images": pa.int64(),  # that reach the level; means are over these
    "energy": pa.float64(),  # per image
    "excess": pa.float64(),  # energy above that of a perfect reconstruction
    "ratio": pa.float64(),  # excess over that of white noise, same MSE and images
    "gradient_norm": pa.float64(),  # of the energy by the reconstruction, L2 per image
    "gradient_ratio": pa.float64(),  # over that of white noise
    "frequency": pa.list_(pa.float64()),  # cycles per pixel
    "gradient_power": pa.list_(pa.float64()),  # at these; 1 is the mean of all frequencies
    "dataset": pa.string(),
    "data_hash": pa.string(),
    "split": pa.string(),
    "image_shape": pa.string(),  # CxHxW
    "latent": pa.string(),  # what losses were given as latent
    "native_scale": pa.float64(),  # energies are this times the source's value
    "harness_version": pa.string(),
    "torch_version": pa.string(),
    "python_version": pa.string(),
}


def frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Return rows, absent columns null.

    Raises:
        KeyError: a key is no column: a programming error, never stored silently.
    """
    unknown = sorted({key for row in rows for key in row} - set(COLUMNS))
    if unknown:
        raise KeyError(f"no such columns of a probe: {', '.join(unknown)}")
    return _table(rows).to_pandas()


def write(rows: list[dict[str, Any]], path: Path) -> None:
    """Write rows as one Parquet file, whole or not at all.

    Raises:
        StoreError: the disk is full or the folder cannot be written.
    """
    content = _table(rows)
    write_atomically(path, lambda stream: pq.write_table(content, stream))


def _table(rows: list[dict[str, Any]]) -> pa.Table:
    schema = pa.schema(
        list(COLUMNS.items()), metadata={"harness_probe_schema_version": str(SCHEMA_VERSION)}
    )
    return pa.Table.from_pylist([{name: row.get(name) for name in COLUMNS} for row in rows], schema)
