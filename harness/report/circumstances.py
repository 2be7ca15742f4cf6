"""In what two grids' cells differ before anything is measured: protocol, source, data, machine."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from harness.report.collect import Cell
from harness.report.pairing import Pair

ABSENT = "not stored"

# What stands in the rows, and how it is called.
_COLUMNS = {
    "dataset_options": "options of the dataset",
    "model_options": "options of the model",
    "loss_options": "options of the loss",
    "split": "split",
    "images": "test images",
    "generated": "generated images",
    "data_hash": "data",
    "evaluate_digest": "scoring source",
    "weights": "weights",
    "harness_version": "harness",
    "torch_version": "torch",
    "python_version": "Python",
    "device_name": "device",
    "precision": "precision used",
    "threads": "threads",
}


@dataclass(frozen=True)
class Circumstance:
    """Something that is `a` in A and `b` in B, in these cells (by A's ids)."""

    name: str
    a: str
    b: str
    cells: tuple[str, ...]


def circumstances(pairs: Iterable[Pair]) -> list[Circumstance]:
    """Return what differs within pairs, each difference once with the cells it is in.

    What a cell without rows has not stored is no difference.
    """
    found: dict[tuple[str, str, str], list[str]] = {}
    for pair in pairs:
        a, b = facts(pair.a), facts(pair.b)
        for name in dict.fromkeys([*a, *b]):
            values = a.get(name, ABSENT), b.get(name, ABSENT)
            # The range of β that a loss brings is known once its cell has run.
            resolved = name != "beta_range" or "none" not in values
            told = _both_ran(pair) or (ABSENT not in values and resolved)
            if told and values[0] != values[1]:
                found.setdefault((name, *values), []).append(pair.a.id)
    return [Circumstance(*key, tuple(cells)) for key, cells in found.items()]


def _both_ran(pair: Pair) -> bool:
    return all(len(cell.attempts) or len(cell.tunes) for cell in (pair.a, pair.b))


def facts(cell: Cell) -> dict[str, str]:
    """Return how a cell was planned and made, by name: protocol first, then what rows tell."""
    rows = cell.attempts if len(cell.attempts) else cell.tunes
    planned = {**cell.protocol, "trials": cell.trials, "seeds": cell.seeds}
    source = rows["source_digest"].dropna().str.partition("-")
    stored = {
        **{name: _each(rows[column]) for column, name in _COLUMNS.items()},
        "source": _each(source[0]) if len(source) else "",
        "source of the loss": _each(source[2]) if len(source) else "",
    }
    told = {name: _plain(value) for name, value in planned.items()}
    return told | {name: value for name, value in stored.items() if value}


def _each(values: pd.Series) -> str:
    known = values.dropna()
    return ", ".join(sorted({_plain(_whole(value)) for value in known}))


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _plain(value: Any) -> str:
    if value is None:
        return "none"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
