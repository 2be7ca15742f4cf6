"""Scores stored final models again: new metrics or new weights, without training."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from harness import __version__, artefacts, evaluate, prepared, provenance, weights
from harness import device as devices
from harness.errors import HarnessError
from harness.grid import Cell, make_protocol
from harness.protocol import Protocol
from harness.schema import plain
from harness.store import Store, newest


def rescore(
    store: Store,
    *,
    device: str,
    features: str | None = None,
    only: str = "",
    tell: Callable[[str, dict[str, Any]], None] = lambda cell, row: None,
) -> int:
    """Evaluate every stored model of the grid on its test split and store new rows.

    The new row keeps the old one's training columns and source digest, and the metrics that are
    not computed now, such as those of another feature space. Returns the number of rows.

    Raises:
        HarnessError: no stored model matches, the data changed since, or weights are missing.
    """
    rows = newest(store.rows())
    finals = rows[(rows["stage"] == "final") & (rows["status"] == "ok")]
    chosen = [row for row in finals.to_dict("records") if only in row["cell"]]
    models = [(row, _model_path(store, row)) for row in chosen]
    kept = [(row, path) for row, path in models if path.exists() and _trained(row, path)]
    if not kept:
        raise HarnessError(
            f"no stored model in {store.root} matches {only!r}: run with --keep-models all"
        )
    if features in weights.FILES and weights.find(features) is None:
        raise HarnessError(
            f"the weights of features {features!r} are not on this machine: put "
            f"{weights.FILES[features][0]} into the folder named by HARNESS_WEIGHTS"
        )
    for row, path in kept:
        new = _score(store, row, path, device, features)
        store.write(new)
        tell(row["cell"], new)
    return len(kept)


def _model_path(store: Store, row: dict[str, Any]) -> Path:
    return store.artefact("models", row["cell"], int(row["seed"]), "safetensors")


def _trained(row: dict[str, Any], path: Path) -> bool:
    """Tell a row's own model from one that an earlier run, since superseded, left behind."""
    known = artefacts.describe_model(path)
    state = f"{row['source_digest']} {row['data_hash']}"
    return bool(known["fingerprint"] == state and known["beta"] == row["beta"])


def _score(
    store: Store, row: dict[str, Any], path: Path, device_name: str, features: str | None
) -> dict[str, Any]:
    model = artefacts.load_model(path, device_name)
    cell = Cell.model_validate(artefacts.describe_model(path)["cell"])
    protocol = _protocol(cell, features)
    device = torch.device(device_name)
    devices.configure(device, protocol.precision)
    whole = prepared.load(cell.dataset, store.root.parent / "_data")
    if whole.data_hash != row["data_hash"]:
        raise HarnessError(
            f"{cell.dataset.spec} changed since {cell.id} was trained: its models cannot be "
            "compared on other data; train again with harness run --rerun stale"
        )
    splits = whole.limited(protocol.limit)
    axes = (cell.dataset.spec, cell.model.spec, int(row["seed"]))
    known = evaluate.reference(splits.test, splits.train, protocol, device, weights.available())
    sigma = evaluate.fit_sigma(model, splits.validation, protocol, axes, device)
    measured = evaluate.evaluate(
        model, splits.test, known, protocol, axes=axes, device=device, sigma=sigma
    )
    artefacts.save_measured(store, cell.id, int(row["seed"]), measured)
    return _merged(row, measured.metrics)


def _protocol(cell: Cell, features: str | None) -> Protocol:
    if features is None or features == cell.protocol.features:
        return cell.protocol
    keys = cell.protocol.model_dump() | {"features": features, "objective": None}
    return make_protocol(keys)


def _merged(row: dict[str, Any], metrics: dict[str, Any]) -> dict[str, Any]:
    """Return the old row with the new metrics and without its time stamp."""
    old = plain(row)
    del old["created"]
    scored_by = {
        "harness_version": __version__,
        "evaluate_digest": provenance.evaluate_digest(),
    }
    return old | metrics | scored_by
