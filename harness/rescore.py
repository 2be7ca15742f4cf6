"""Scores stored final models again: new metrics or new weights, without training."""

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from harness import (
    __version__,
    artefacts,
    columns,
    components,
    evaluate,
    prepared,
    provenance,
    reference,
    seeds,
    weights,
)
from harness import device as devices
from harness.errors import HarnessError
from harness.grid import Cell, make_protocol, matching
from harness.metrics import IN_ANY_SPACE, METRICS
from harness.protocol import Protocol
from harness.schema import metric_columns, plain
from harness.store import Store, newest

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Rescored:
    """What scoring again came to."""

    rows: int
    skipped: dict[str, str]  # cell -> why
    scored: list[dict[str, Any]]  # cell, seed and metrics of each new row


def rescore(
    store: Store,
    *,
    device: str,
    features: str | None = None,
    only: str | None = None,
    tell: Callable[[str, dict[str, Any]], None] = lambda cell, row: None,
) -> Rescored:
    """Evaluate every stored model of the grid on its test split and store new rows.

    `only` is a glob of cells' ids, or a part of them, as `harness run --only` takes it.

    Points of a rate-quality curve are left as they are, for their models are not kept: the next run
    trains those again that another source scored.

    The new row keeps the old one's training columns and source digest, and the metrics that are
    not computed now, such as those of another feature space, where this very source of the metrics
    computed them too; what another version did is left out, and a warning names it. A cell whose
    data changed since or cannot be read is skipped; the others are scored.

    Raises:
        HarnessError: no cell matches, no stored model, unknown features, or weights are missing.
        StoreError: a run holds the folder, or a row cannot be stored.
    """
    _check_features(features)
    found = Rescored(0, {}, [])
    with store.lock():
        for row, path in _models(store, only):
            try:
                known = _known(row, path, store)
            except HarnessError as error:
                found.skipped[row["cell"]] = str(error)
                continue
            new = _score(store, row, known, device, features)
            store.write(new)
            tell(row["cell"], new)
            found.scored.append({"cell": row["cell"], "seed": new["seed"], **_metrics(new)})
    return replace(found, rows=len(found.scored))


def _check_features(features: str | None) -> None:
    if features is not None:
        make_protocol({"features": features})
    if features in weights.FILES and (lacking := weights.missing([features])):
        raise HarnessError(lacking)


def _models(store: Store, only: str | None) -> list[tuple[dict[str, Any], Path]]:
    rows = newest(store.rows())
    store.tidy()
    finals = rows[(rows["stage"] == "final") & (rows["status"] == "ok")]
    cells = sorted(set(rows["cell"]))
    wanted = matching(cells, only) if only and cells else set(cells)
    chosen = [row for row in finals.to_dict("records") if row["cell"] in wanted]
    models = [(row, _model_path(store, row)) for row in chosen]
    kept = [(row, path) for row, path in models if path.exists() and _trained(row, path)]
    if not kept:
        of = f" of a cell that matches --only {only!r}" if only else ""
        raise HarnessError(f"no stored model in {store.root}{of}: run with --keep-models all")
    return kept


def _metrics(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in METRICS if name in row}


def _model_path(store: Store, row: dict[str, Any]) -> Path:
    return store.artefact("models", row["cell"], int(row["seed"]), "safetensors")


def _trained(row: dict[str, Any], path: Path) -> bool:
    """Tell a row's own model from one that an earlier run, since superseded, left behind."""
    try:
        known = artefacts.describe_model(path)
    except HarnessError:  # damaged: said when its turn comes
        return True
    state = f"{row['source_digest']} {row['data_hash']}"
    return bool(known["fingerprint"] == state and known["beta"] == row["beta"])


@dataclass(frozen=True)
class _Known:
    """A stored model with its cell and data."""

    model: Any
    cell: Cell
    splits: prepared.Splits


def _known(row: dict[str, Any], path: Path, store: Store) -> _Known:
    """Load a model and its data, or say why they cannot be used."""
    model = artefacts.load_model(path)
    cell = Cell.model_validate(artefacts.describe_model(path)["cell"])
    whole = prepared.load(cell.dataset)
    if whole.data_hash != row["data_hash"]:
        raise HarnessError(
            f"{cell.dataset.spec} changed since {cell.id} was trained: its models cannot be "
            "compared on other data; train again with harness run --rerun stale"
        )
    return _Known(model, cell, whole)


def _score(
    store: Store, row: dict[str, Any], known: _Known, device_name: str, features: str | None
) -> dict[str, Any]:
    cell, protocol = known.cell, _protocol(known.cell, features)
    device = torch.device(device_name)
    devices.configure(device, protocol.precision)
    model, splits = known.model.to(device), known.splits.limited(protocol.limit)
    axes = (cell.dataset.spec, cell.model.spec, int(row["seed"]))
    files = weights.available()
    real = reference.reference(
        splits.test,
        splits.train,
        protocol,
        device,
        files,
        kept=reference.place(cell, splits.data_hash, "test"),
    )
    sigma = evaluate.fit_sigma(model, splits.validation, protocol, axes, device)
    loss = _loss(store, row, cell, splits, axes, files)
    measured = evaluate.evaluate(
        model,
        splits.test,
        real,
        protocol,
        axes=axes,
        device=device,
        sigma=sigma,
        loss=None if loss is None else loss.to(device),
    )
    artefacts.save_measured(store, cell.id, int(row["seed"]), measured)
    metrics, old = measured.metrics, _still_true(row, measured.metrics)
    if protocol.features != cell.protocol.features:
        # Columns that any space may fill keep what the protocol's own put there.
        metrics = {
            k: v for k, v in metrics.items() if not (k.startswith(IN_ANY_SPACE) and k in old)
        }
    return _merged(old, metrics, columns.measuring(protocol.features, files))


def _loss(
    store: Store,
    row: dict[str, Any],
    cell: Cell,
    splits: prepared.Splits,
    axes: tuple[Any, ...],
    files: dict[str, Path],
) -> Any:
    """Return the loss as it was trained with this model; None where that cannot be had."""
    try:
        loss = components.build_loss(
            cell.loss,
            splits.image_shape,
            cell.protocol.latent,
            generator=seeds.generator("loss", *axes),
            weights=files,
        )
        return loss if artefacts.load_loss_state(_model_path(store, row), loss) else None
    except (HarnessError, ValueError) as error:  # its weights, its plugin or its state are gone
        log.warning("%s: nll_paper is not computed: %s", cell.id, error)
        return None


def _protocol(cell: Cell, features: str | None) -> Protocol:
    if features is None or features == cell.protocol.features:
        return cell.protocol
    keys = cell.protocol.model_dump() | {"features": features, "objective": None}
    return make_protocol(keys)


def _still_true(row: dict[str, Any], measured: dict[str, Any]) -> dict[str, Any]:
    """Return the old row without its time stamp, and without metrics of another source."""
    old = plain(row)
    del old["created"]
    if old.get("evaluate_digest") == provenance.evaluate_digest():
        return old
    outdated = metric_columns().keys() & old.keys()
    if lost := sorted(outdated & METRICS.keys() - measured.keys()):
        log.warning(
            "%s: %s came of another version of the metrics and are left out: "
            "evaluate with the --features they need",
            old["cell"],
            ", ".join(lost),
        )
    return {name: value for name, value in old.items() if name not in outdated}


def _merged(old: dict[str, Any], metrics: dict[str, Any], used: dict[str, str]) -> dict[str, Any]:
    """Return the old row with the new metrics, and with the weights `used` too."""
    scored_by = {
        "weights": json.dumps(json.loads(old.get("weights") or "{}") | used),
        "harness_version": __version__,
        "evaluate_digest": provenance.evaluate_digest(),
    }
    return old | metrics | scored_by
