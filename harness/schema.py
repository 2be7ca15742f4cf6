"""The columns of a result row: one fixed wide schema, nulls where a value is absent."""

import functools
import math
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from harness.metrics import METRICS

SCHEMA_VERSION = 1

# Statuses that a new attempt may change; `ok`, `pruned` and `diverged` are results.
RETRIED = ("failed", "out_of_memory", "timeout", "unavailable")

_TEXT, _WHOLE, _REAL = pa.string(), pa.int64(), pa.float64()

_IDENTITY: dict[str, pa.DataType] = {
    "schema_version": _WHOLE,
    "grid": _TEXT,
    "cell": _TEXT,  # photos32-conv4-l2-1f3a9c02
    "dataset": _TEXT,  # spec with its options: photos[size=32]
    "image_shape": _TEXT,  # C×H×W: 3x64x64
    "model": _TEXT,
    "loss": _TEXT,
    "dataset_options": _TEXT,  # JSON, defaults filled in
    "model_options": _TEXT,
    "loss_options": _TEXT,  # JSON: a list of {weight, name, options}, one per term
    "protocol": _TEXT,  # JSON; with curve_points in curve rows alone
    "stage": _TEXT,  # tune: one row per trial; final: one per seed; curve: one per point
    "trial": _WHOLE,  # of a curve the point, from 0 at the smallest beta; null in final rows
    "seed": _WHOLE,  # of a curve 0; null in tune rows
    "split": _TEXT,  # the split the metrics were computed on
    "beta": _REAL,
    "beta_source": _REAL,  # beta / native_scale: the weight in the source's own convention
    "beta_flag": _TEXT,  # "low" or "high": the tuned beta lies within 5 % (log) of a bound
    "status": _TEXT,  # ok, pruned, diverged, failed, out_of_memory, timeout or unavailable
    "cause": _TEXT,  # one sentence, for every status but ok
    "diverged_step": _WHOLE,
}

_EFFORT: dict[str, pa.DataType] = {
    "epochs": _REAL,  # epochs really trained
    "images_seen": _WHOLE,
    "seconds": _REAL,  # training
    "seconds_evaluate": _REAL,
    "images_per_second": _REAL,  # of the median epoch
    "peak_memory_mib": _REAL,  # of the device; on CPU the process's resident memory
    "parameters": _WHOLE,  # of the model
    "parameters_loss": _WHOLE,  # of the loss and its companion
    "latent": _WHOLE,
    "images": _WHOLE,  # in the evaluated split
    "generated": _WHOLE,
}

_CURVES: dict[str, pa.DataType] = {
    "curve_epoch": pa.list_(_REAL),
    "curve_energy": pa.list_(_REAL),  # mean reconstruction energy of each epoch
    "curve_kl": pa.list_(_REAL),  # mean KL of each epoch, nats per image
}

_PROVENANCE: dict[str, pa.DataType] = {
    "density": pa.bool_(),
    "batch_coupled": pa.bool_(),
    "objective": _TEXT,
    "device": _TEXT,
    "device_name": _TEXT,
    "precision": _TEXT,
    "threads": _WHOLE,
    "data_hash": _TEXT,
    "source_digest": _TEXT,  # shared source "-" this loss's source, 8 hex digits each
    "evaluate_digest": _TEXT,  # of the source that scores a trained model
    "weights": _TEXT,  # JSON: name -> sha256
    "harness_version": _TEXT,
    "torch_version": _TEXT,
    "python_version": _TEXT,
    "created": _TEXT,  # UTC, ISO 8601 with microseconds
}


def metric_columns() -> dict[str, pa.DataType]:
    """Return the columns of the metrics with their spreads and signatures."""
    columns: dict[str, pa.DataType] = {}
    for name, metric in METRICS.items():
        columns[name] = _REAL
        if metric.spread:
            columns[f"{name}_std"] = _REAL
        columns[f"{name}_signature"] = _TEXT
    return columns


def columns() -> dict[str, pa.DataType]:
    """Return every column with its Arrow type, in storage order."""
    return {**_IDENTITY, **_EFFORT, **metric_columns(), **_CURVES, **_PROVENANCE}


@functools.cache
def arrow_schema() -> pa.Schema:
    """Return the schema of a row file; the version also stands in the file's metadata."""
    return pa.schema(
        list(columns().items()), metadata={"harness_schema_version": str(SCHEMA_VERSION)}
    )


def table(row: dict[str, Any]) -> pa.Table:
    """Return `row` as a one-row table; absent columns are null.

    Raises:
        KeyError: a key is no column: a programming error, never stored silently.
    """
    schema = arrow_schema()
    unknown = sorted(set(row) - set(schema.names))
    if unknown:
        raise KeyError(f"no such result columns: {', '.join(unknown)}")
    return pa.Table.from_pylist([{name: row.get(name) for name in schema.names}], schema=schema)


def plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row as read from a data frame in the types of the schema, absent values left out.

    pandas turns whole numbers with gaps into floats and nulls into NaN.
    """
    known = {name: row[name] for name in columns() if name in row and not _absent(row[name])}
    whole = {name for name, kind in columns().items() if kind == _WHOLE}
    return {name: int(value) if name in whole else value for name, value in known.items()}


def _absent(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))
