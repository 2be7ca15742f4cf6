"""A grid that is done already: found by what is stored alone, before torch is imported."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from harness import plan, plugins, prepared, provenance
from harness.errors import HarnessError, StoreError
from harness.grid import Cell, Grid, select
from harness.store import Store, now

if TYPE_CHECKING:
    from harness.run import Options


@dataclass(frozen=True)
class Settled:
    """Cells of which every model's row is stored, made by the present source and data."""

    store: Store
    known: list[plan.Known]
    rows: pd.DataFrame


def request(grid: Grid) -> str:
    """Return a digest of what was asked for: the grid as written, with the options that changed it.

    The source that makes cells of it counts, presets for one, so that the same request means the
    same cells as long as the source of their components, which their rows name, is the same too.
    """
    text = grid.model_dump_json() + plugins.fingerprint()
    digest = hashlib.sha256(text.encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def settled(grid: Grid, options: "Options") -> Settled | None:
    """Return the cells when the very same request has nothing left to run, else None."""
    store = Store(options.results / grid.name)
    if options.rerun == "all" or options.device not in ("auto", "cpu"):
        return None
    try:
        stored = store.grid()
    except StoreError:
        return None
    if stored.get("request") != request(grid):
        return None
    rows = store.rows()
    try:
        known = _done(select(_requested(stored), options.only), rows)
    except (HarnessError, KeyError):  # data, a plugin or a component is gone: the usual way says so
        return None
    return None if known is None else Settled(store, known, rows)


def _requested(stored: dict[str, Any]) -> list[Cell]:
    ids = set(stored["requested"])
    return [Cell.described(entry) for entry in stored["cells"] if entry["id"] in ids]


def _done(cells: list[Cell], rows: pd.DataFrame) -> list[plan.Known] | None:
    hashes: dict[str, str] = {}
    known = []
    for cell in cells:
        if cell.dataset.spec not in hashes:
            data = prepared.unchanged(cell.dataset)
            if data is None:
                return None
            hashes[cell.dataset.spec] = data.data_hash
        source, data_hash = provenance.source_digest(cell), hashes[cell.dataset.spec]
        if plan.progress(cell, rows, source, data_hash).state != "done":
            return None
        known.append(plan.Known(cell, source, data_hash))
    return known


def close(found: Settled, options: "Options") -> None:
    """Note that the grid was run again, so that it is the newest.

    Raises:
        StoreError: another command writes to the folder.
    """
    with found.store.lock():
        found.store.tidy()
        stored: dict[str, Any] = found.store.grid()
        found.store.write_grid(stored | {"command": options.command, "created": now()})
