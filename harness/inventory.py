"""What is stored: grids, cells and their state."""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from harness import manifest, plan, provenance
from harness.errors import HarnessError, suggestion
from harness.grid import Cell
from harness.schema import plain
from harness.store import Store, newest
from harness.terminal.wording import show_command


def grids_stored(results: Path) -> list[str]:
    """Return the grids with results, the newest first."""
    found = sorted(results.glob("*/_grid.json"), key=lambda p: p.stat().st_mtime, reverse=True)
    return [path.parent.name for path in found]


def store_of(results: Path, name: str | None) -> Store:
    """Return the store of the named grid, or of the one that ran last.

    Raises:
        HarnessError: there is none.
    """
    stored = grids_stored(results)
    if name is None and stored:
        return Store(results / stored[0])
    if name in stored:
        return Store(results / name)
    if not stored:
        raise HarnessError(f"no results in {results}: start with 'harness run --grid smoke'")
    raise HarnessError(
        f"no results of a grid {name!r} in {results}{suggestion(str(name), stored)}; "
        f"stored: {', '.join(stored)}"
    )


def status(store: Store) -> list[dict[str, Any]]:
    """Return one record per cell of the stored grid: its state and what it came to."""
    rows = store.rows()
    return [_cell_status(entry, rows, store) for entry in store.grid()["cells"]]


def _cell_status(entry: dict[str, Any], rows: pd.DataFrame, store: Store) -> dict[str, Any]:
    cell = Cell.described(entry)
    progress = plan.progress(cell, rows, *digests(cell))
    own = newest(rows[rows["cell"] == cell.id])
    finals = own[(own["stage"] == "final") & (own["status"] == "ok")]
    objective = str(cell.protocol.objective)
    return {
        "cell": cell.id,
        "state": progress.state,
        "why": progress.stale or progress.failed or "",
        "trials": {"done": progress.trials, "of": progress.all_trials},
        "seeds": {"done": progress.seeds, "of": progress.all_seeds},
        "points": {"done": progress.points, "of": progress.all_points},
        "beta": None if finals.empty else float(finals["beta"].iloc[0]),
        "objective": objective,
        "value": None if finals.empty else float(finals[objective].mean()),
        "diverged": int((own["status"] == "diverged").sum()),
    }


def digests(cell: Cell) -> tuple[str | None, str | None]:
    """Return the digests of the present source and of the data as last prepared."""
    try:
        source = provenance.source_digest(cell)
    except (KeyError, HarnessError):  # a component or plugin that is not installed now
        source = None
    return source, prepared_hash(cell)


def prepared_hash(cell: Cell) -> str | None:
    """Return the content hash of the cell's dataset as it was last prepared."""
    return manifest.stored_hash(manifest.target(cell.dataset))


def find_cell(results: Path, text: str) -> tuple[Store, dict[str, Any]]:
    """Return the one stored cell whose id contains `text`.

    Raises:
        HarnessError: none or several match.
    """
    if not text.strip():
        raise HarnessError("no cell was named: give its id or a part of it; see: harness status")
    stores = [Store(results / name) for name in grids_stored(results)]
    every = [(s, entry) for s in stores for entry in s.grid()["cells"]]
    exact = [(s, entry) for s, entry in every if entry["id"] == text]
    found = exact or [(s, entry) for s, entry in every if text in entry["id"]]
    ids = sorted({entry["id"] for _, entry in found})
    if not ids:
        known = [entry["id"] for _, entry in every]
        raise HarnessError(f"no stored cell matches {text!r}{suggestion(text, known)}")
    if len(ids) > 1:
        raise HarnessError(
            f"{text!r} matches {len(ids)} cells: {', '.join(ids[:5])}; say which, "
            f"as in: {show_command(ids[0], results)}"
        )
    return found[0]


def cell_record(store: Store, entry: dict[str, Any]) -> dict[str, Any]:
    """Return everything known of a stored cell, as plain data."""
    cell = Cell.described(entry)
    rows = store.rows(cell.id)
    own = newest(rows)
    found = _cell_status(entry, rows, store)
    last = {} if own.empty else plain(own.iloc[-1].to_dict())
    return {
        "cell": cell.id,
        "grid": store.name,
        "state": found["state"],
        "why": found["why"] or _REASONS[found["state"]],
        "dataset": {"name": cell.dataset.name, **cell.dataset.options},
        "model": {"name": cell.model.name, **cell.model.options},
        "loss": {cell.loss_spec: json.dumps([term.record() for term in cell.loss])},
        "protocol": entry["protocol"],
        "provenance": {key: last[key] for key in _PROVENANCE if key in last},
        "tune": _stage(own, "tune", "trial", str(cell.protocol.objective)),
        "final": _stage(own, "final", "seed", str(cell.protocol.objective)),
        "curve": _stage(own, "curve", "trial", str(cell.protocol.objective)),
        "files": [str(path) for path in sorted(store.root.glob(f"_*/{cell.id}.*"))],
        "log": last_log(store, cell.id),
    }


_REASONS = {
    "done": "every trial and seed is stored: a run skips it",
    "partial": "interrupted: the next run goes on with it",
    "missing": "not run yet: the next run starts it",
    "failed": "",
    "stale": "",
}
_PROVENANCE = (
    "device",
    "device_name",
    "threads",
    "precision",
    "parameters",
    "parameters_loss",
    "peak_memory_mib",
    "data_hash",
    "source_digest",
    "harness_version",
    "torch_version",
    "python_version",
    "created",
)


def _stage(own: pd.DataFrame, stage: str, axis: str, objective: str) -> list[dict[str, Any]]:
    names = [axis, "beta", "beta_source", "status", "psnr", "ssim", "kl", objective]
    names += ["epochs", "seconds", "images_per_second", "cause"]
    rows = own[own["stage"] == stage].sort_values(axis)
    found: list[dict[str, Any]] = rows[list(dict.fromkeys(names))].to_dict("records")
    return [{**row, axis: int(row[axis]), "cause": row["cause"] or ""} for row in found]


def last_log(store: Store, cell: str, lines: int = 12) -> list[str]:
    """Return the end of the cell's log file."""
    path = store.root / "_logs" / f"{cell}.log"
    return path.read_text(errors="replace").splitlines()[-lines:] if path.exists() else []
