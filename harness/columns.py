"""The columns of a row beside its measurements: which cell, where it ran, why it failed."""

import json
from pathlib import Path
from typing import Any

import torch

from harness import components, provenance, scores, weights
from harness import device as devices
from harness.errors import HarnessError
from harness.grid import Cell
from harness.protocol import COUNTS

# Errors of components that miss a file: the cell is `unavailable`, not `failed`.
_MISSING = ("MissingWeights", "MissingFeatureWeights")
# Where a CPU has no more memory, torch raises a plain RuntimeError: its text must do.
_NO_MEMORY = ("out of memory", "can't allocate memory")


def describe(cell: Cell) -> dict[str, Any]:
    """Return the columns that say which cell a row belongs to."""
    return {
        "cell": cell.id,
        "dataset": cell.dataset.spec,
        "model": cell.model.spec,
        "loss": cell.loss_spec,
        "dataset_options": json.dumps(cell.dataset.options),
        "model_options": json.dumps(cell.model.options),
        "loss_options": json.dumps([term.record() for term in cell.loss]),
        "protocol": cell.protocol.model_dump_json(exclude=COUNTS),
        "objective": cell.protocol.objective,
        "latent": cell.protocol.latent,
        "precision": cell.protocol.precision,
    }


def surroundings(
    cell: Cell, channels: int, device: torch.device, files: dict[str, Path]
) -> dict[str, Any]:
    """Return the columns that say on what the cell runs; `files` are the weights it was given."""
    try:
        required = components.required_weights(cell.loss, channels)
    except HarnessError:  # a plugin is gone or changed: the row says so
        required = ()
    return {
        "device_name": devices.label(device),
        "threads": torch.get_num_threads(),
        "evaluate_digest": provenance.evaluate_digest(),
        "weights": json.dumps(
            measuring(cell.protocol.features, files) | _digests(set(required), files)
        ),
        **provenance.versions(),
    }


def measuring(features: str, files: dict[str, Path]) -> dict[str, str]:
    """Return name -> sha256 of those of `files` that metrics use, one feature space and LPIPS."""
    return _digests({features, *scores.lpips_weights(files)}, files)


def _digests(needed: set[str], files: dict[str, Path]) -> dict[str, str]:
    return {name: weights.sha256(path) for name, path in files.items() if name in needed}


def failure(error: Exception) -> dict[str, str]:
    """Return the columns that say that and why an attempt came to nothing."""
    if type(error).__name__ in _MISSING:
        return {"status": "unavailable", "cause": str(error)[:1000]}
    cause = f"{type(error).__name__}: {error}"[:1000]
    no_memory = isinstance(error, (MemoryError, torch.OutOfMemoryError)) or any(
        text in str(error) for text in _NO_MEMORY
    )
    return {"status": "out_of_memory" if no_memory else "failed", "cause": cause}
