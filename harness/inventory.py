"""What there is: components, grids, metrics, stored cells and their state, this machine."""

import json
import math
import platform
import shutil
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pandas as pd

from harness import __version__, components, grid, plan, prepared, provenance, weights
from harness.errors import HarnessError, suggestion
from harness.grid import Cell
from harness.metrics import METRICS
from harness.schema import plain
from harness.settings import settings
from harness.store import Store, newest

KINDS = ("losses", "models", "datasets", "grids", "metrics")

_PACKAGES = (
    "torch",
    "torchvision",
    "numpy",
    "pandas",
    "pyarrow",
    "optuna",
    "scikit-image",
    "scikit-learn",
    "matplotlib",
    "safetensors",
)


def listing(kind: str) -> list[dict[str, Any]]:
    """Return one record per component, grid or metric; imports no torch.

    Raises:
        HarnessError: unknown kind.
    """
    if kind not in KINDS:
        raise HarnessError(
            f"unknown kind {kind!r}{suggestion(kind, KINDS)}; valid: {', '.join(KINDS)}"
        )
    if kind == "losses":
        return [_loss(entry) for entry in components.registry("loss").values()]
    if kind == "models":
        entries = components.registry("model").values()
        return [{"name": e.name, "source": e.source, "summary": e.summary} for e in entries]
    if kind == "datasets":
        entries = components.registry("dataset").values()
        return [{"name": e.name, "needs": e.needs, "summary": e.summary} for e in entries]
    if kind == "grids":
        return [{"name": name, "title": grid.load(name).title} for name in grid.names()]
    return [
        {"name": m.name, "unit": m.unit, "better": _ARROWS[m.direction], "summary": m.summary}
        for m in METRICS.values()
    ]


_ARROWS = {"maximize": "higher", "minimize": "lower", "none": ""}


def _loss(entry: Any) -> dict[str, Any]:
    return {
        "name": entry.name,
        "family": entry.family,
        "source": entry.source,
        "needs": entry.needs,
        "density": entry.density,
    }


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
    cell = Cell.model_validate(entry["resolved"])
    progress = plan.progress(cell, rows, *digests(cell, store))
    own = newest(rows[rows["cell"] == cell.id])
    finals = own[(own["stage"] == "final") & (own["status"] == "ok")]
    objective = str(cell.protocol.objective)
    return {
        "cell": cell.id,
        "state": progress.state,
        "why": progress.stale or progress.failed or "",
        "trials": f"{progress.trials}/{progress.all_trials}",
        "seeds": f"{progress.seeds}/{progress.all_seeds}",
        "beta": None if finals.empty else float(finals["beta"].iloc[0]),
        "objective": objective,
        "value": None if finals.empty else float(finals[objective].mean()),
        "diverged": int((own["status"] == "diverged").sum()),
    }


def digests(cell: Cell, store: Store) -> tuple[str | None, str | None]:
    """Return the digests of the present source and of the data as last prepared."""
    try:
        source = provenance.source_digest(cell)
    except KeyError:  # a component of a plugin that is not installed now
        source = None
    return source, prepared_hash(cell, store.root.parent / "_data")


def prepared_hash(cell: Cell, folder: Path) -> str | None:
    """Return the content hash of the cell's dataset as it was last prepared."""
    return prepared.stored_hash(prepared.target(cell.dataset, folder))


def find_cell(results: Path, text: str) -> tuple[Store, dict[str, Any]]:
    """Return the one stored cell whose id contains `text`.

    Raises:
        HarnessError: none or several match.
    """
    stores = [Store(results / name) for name in grids_stored(results)]
    every = [(s, entry) for s in stores for entry in s.grid()["cells"]]
    exact = [(s, entry) for s, entry in every if entry["id"] == text]
    found = exact or [(s, entry) for s, entry in every if text in entry["id"]]
    ids = sorted({entry["id"] for _, entry in found})
    if not ids:
        known = [entry["id"] for _, entry in every]
        raise HarnessError(f"no stored cell matches {text!r}{suggestion(text, known)}")
    if len(ids) > 1:
        raise HarnessError(f"{text!r} matches {len(ids)} cells: {', '.join(ids[:5])}; say which")
    return found[0]


def doctor(results: Path) -> dict[str, Any]:
    """Return what a bug report needs: device, versions, folders, datasets, weights."""
    import torch

    from harness import device

    found = settings()
    cuda = [torch.cuda.get_device_name(k) for k in range(torch.cuda.device_count())]
    return {
        "harness": __version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "cpu": f"{device.label(torch.device('cpu'))}, {device.cores()} cores",
        "memory free": f"{device.free_memory_mib() / 1024:.1f} GiB",
        "cuda devices": ", ".join(cuda) or "none",
        "packages": {name: _version(name) for name in _PACKAGES},
        "folders": {
            "results": _folder(results),
            "cache": _folder(found.cache),
            "HARNESS_DATA": _folder(found.data) if found.data else "not set",
            "HARNESS_WEIGHTS": _folder(found.weights) if found.weights else "not set",
        },
        "datasets": {
            entry.name: "ready" if entry.needs == "nothing" else f"needs {entry.needs}"
            for entry in components.registry("dataset").values()
        },
        "weights": {name: _weights(name) for name in weights.FILES},
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"


def _folder(path: Path) -> str:
    if not path.exists():
        return f"{path} (does not exist yet)"
    free = shutil.disk_usage(path).free / 2**30
    return f"{path} ({free:.0f} GiB free)"


def _weights(name: str) -> str:
    path = weights.find(name)
    if path is None:
        return f"missing: put {weights.FILES[name][0]} into the folder named by HARNESS_WEIGHTS"
    return f"{path} (sha256 {weights.sha256(path)[:8]})"


def cell_record(store: Store, entry: dict[str, Any]) -> dict[str, Any]:
    """Return everything known of a stored cell, as plain data."""
    cell = Cell.model_validate(entry["resolved"])
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
        "loss": {cell.loss_spec: json.dumps([dict(term) for term in cell.loss])},
        "protocol": entry["protocol"],
        "provenance": {key: last[key] for key in _PROVENANCE if key in last},
        "tune": _stage(own, "tune", "trial", str(cell.protocol.objective)),
        "final": _stage(own, "final", "seed", str(cell.protocol.objective)),
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


def as_json(records: Any) -> str:
    """Return plain data as JSON text; NaN becomes null."""
    return json.dumps(_without_nan(records), indent=1, ensure_ascii=False)


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
