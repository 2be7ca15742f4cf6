"""What a run would do: every cell checked against data, model and loss before any starts."""

import json
import math
from dataclasses import dataclass

import pandas as pd

from harness import components, prepared, provenance, weights
from harness.built import Built, Losses
from harness.errors import HarnessError
from harness.grid import Cell
from harness.schema import RETRIED
from harness.store import newest

# SSIM's window needs this many pixels a side.
SMALLEST_SIDE = 11
RERUN = ("missing", "failed", "stale", "all")
# Keys of the protocol that decide the βs of a curve; where no range is given it is the loss's own.
_CURVE = ("curve_points", "beta_range")


@dataclass(frozen=True)
class Known:
    """A cell with the digests that its rows must have to count."""

    cell: Cell
    source_digest: str
    data_hash: str | None


@dataclass(frozen=True)
class Checked:
    """A cell that can run, and what is known of it beforehand."""

    cell: Cell
    image_shape: tuple[int, int, int]
    images: tuple[int, int, int]  # in train, validation and test, after `limit`
    data_hash: str | None  # None: a large dataset that is not prepared yet
    source_digest: str
    beta_range: tuple[float, float] | None  # None: weights are missing, or β is fixed
    parameters: int
    missing: str | None  # why the cell is unavailable

    @property
    def known(self) -> Known:
        """The cell with its digests."""
        return Known(self.cell, self.source_digest, self.data_hash)

    @property
    def trials(self) -> int:
        """Tuning trials of the cell."""
        return self.cell.protocol.trials if self.cell.protocol.tuned else 0

    @property
    def points(self) -> int:
        """Points of the cell's rate-quality curve."""
        return self.cell.protocol.curve_points or 0


@dataclass(frozen=True)
class Progress:
    """How far a cell has come, by its stored rows."""

    trials: int  # results stored
    seeds: int
    all_trials: int
    all_seeds: int
    failed: str | None  # the newest failure that stands
    stale: str | None  # what changed since the rows were made
    points: int = 0  # of the rate-quality curve
    all_points: int = 0

    @property
    def state(self) -> str:
        """done | stale | failed | partial | missing"""
        if self.stale:
            return "stale"
        counts = (self.trials, self.seeds, self.points)
        planned = (self.all_trials, self.all_seeds, self.all_points)
        if all(count >= of for count, of in zip(counts, planned, strict=True)):
            return "done"
        if self.failed:
            return "failed"
        return "partial" if any(counts) else "missing"


def check(cells: list[Cell], found: dict[str, prepared.Outline]) -> list[Checked]:
    """Look the datasets up into `found`, by spec, and check every cell; nothing is written.

    Raises:
        HarnessError: the first cell that cannot run, with what to change.
    """
    checked = []
    losses = Losses()
    for cell in cells:
        if cell.dataset.spec not in found:
            found[cell.dataset.spec] = prepared.outline(cell.dataset)
        checked.append(_check(cell, found[cell.dataset.spec], losses))
    return checked


def _check(cell: Cell, data: prepared.Outline, losses: Losses) -> Checked:
    from harness.schedule import check_optimizer, make_schedule

    train, validation, test = (min(n, cell.protocol.limit or n) for n in data.counts)
    images = (train, validation, test)
    _check_sizes(cell, data.image_shape, images)
    make_schedule(cell.protocol.schedule, cell.protocol.epochs)
    check_optimizer(cell.protocol.optimizer)
    parameters = _check_model(cell, data.image_shape)
    known = losses.built(cell.loss, data.image_shape, cell.protocol.latent)
    beta_range, missing = _check_loss(cell, known)
    return Checked(
        cell,
        data.image_shape,
        images,
        data.data_hash,
        provenance.source_digest(cell),
        beta_range,
        parameters,
        missing,
    )


def _check_sizes(cell: Cell, shape: tuple[int, ...], images: tuple[int, int, int]) -> None:
    if cell.protocol.batch > images[0]:
        raise HarnessError(
            f"{cell.dataset.spec}: batch = {cell.protocol.batch} is larger than the training "
            f"split of {images[0]} images: lower batch or raise limit"
        )
    if min(images[1:]) < 2:
        raise HarnessError(
            f"{cell.dataset.spec}: the splits have {images[1]} validation and {images[2]} test "
            "images, at least 2 of each are needed"
        )
    if cell.protocol.generated == 1:
        raise HarnessError(
            "generated = 1 is too few for a Fréchet distance: generate at least 2 images"
        )
    if min(shape[1:]) < SMALLEST_SIDE:
        raise HarnessError(
            f"{cell.dataset.spec}: images of {shape[1]}×{shape[2]} are too small for SSIM's "
            f"window: use a size of at least {SMALLEST_SIDE}"
        )


def _check_model(cell: Cell, shape: tuple[int, int, int]) -> int:
    """Build the model without memory for its parameters and count them."""
    import torch

    with torch.device("meta"):
        model = components.build_model(cell.model, shape, cell.protocol.latent)
    return sum(parameter.numel() for parameter in model.parameters())


def _check_loss(cell: Cell, loss: Built) -> tuple[tuple[float, float] | None, str | None]:
    if loss.beta_range is None:
        return None, loss.missing
    if loss.starts_at >= cell.protocol.epochs:
        raise HarnessError(
            f"{cell.loss_spec}: its schedule never starts: the last part begins at epoch "
            f"{loss.starts_at:g}, the budget has {cell.protocol.epochs}: raise epochs, or let it "
            "begin earlier (the option warmup or start)"
        )
    features = cell.protocol.features
    if features in weights.FILES and (lacking := weights.missing([features])):
        return None, lacking
    low, high = cell.protocol.beta_range or loss.beta_range
    return (None if cell.protocol.beta else (float(low), float(high))), None


def progress(
    cell: Cell, rows: pd.DataFrame, source_digest: str | None = None, data_hash: str | None = None
) -> Progress:
    """Judge a cell by all stored rows; without digests nothing is called stale."""
    every = rows[rows["cell"] == cell.id].sort_values("created", kind="stable")
    own = newest(every)
    trials = cell.protocol.trials if cell.protocol.tuned else 0
    all_points = cell.protocol.curve_points or 0
    if own.empty:
        return Progress(0, 0, trials, cell.protocol.seeds, None, None, 0, all_points)
    results = own[~own["status"].isin(RETRIED)]
    tuned = int(((results["stage"] == "tune") & (results["trial"] < trials)).sum())
    seeds = int(((results["stage"] == "final") & (results["seed"] < cell.protocol.seeds)).sum())
    failed = _failure(own, every.iloc[-1])
    stale = _stale(own, source_digest, data_hash)
    points = len(curve(cell, own))
    return Progress(tuned, seeds, trials, cell.protocol.seeds, failed, stale, points, all_points)


def curve(cell: Cell, own: pd.DataFrame) -> pd.DataFrame:
    """Return those of a cell's newest rows that are results of its rate-quality curve.

    Points of a curve with another number or range of βs are none of it, nor are those that another
    source scored: their models are not kept, so that only training gives their numbers anew.
    """
    rows = own[(own["stage"] == "curve") & ~own["status"].isin(RETRIED)]
    if rows.empty:
        return rows
    asked = cell.protocol.model_dump(mode="json", include=set(_CURVE))
    written = [json.loads(text) if isinstance(text, str) else {} for text in rows["protocol"]]
    same = [all(keys.get(name) == asked[name] for name in _CURVE) for keys in written]
    return rows[pd.Series(same, rows.index) & ~_scored_by_another(rows)]


def _failure(own: pd.DataFrame, last: pd.Series) -> str | None:
    """Return the newest failure; the last row counts even where a result has its number."""
    if last["status"] in RETRIED:
        return _sentence(last)
    failures = own[own["status"].isin(RETRIED)]
    return None if failures.empty else _sentence(failures.iloc[-1])


def _sentence(row: pd.Series) -> str:
    number = row["seed"] if row["stage"] == "final" else row["trial"]
    which = "" if number is None or math.isnan(number) else f" {int(number)}"
    return f"{row['status']} in {row['stage']}{which}: {row['cause']}"


def _stale(own: pd.DataFrame, source_digest: str | None, data_hash: str | None) -> str | None:
    row = own.iloc[-1]
    changed = []
    if source_digest is not None and row["source_digest"] != source_digest:
        changed.append("the source that trains it")
    if data_hash is not None and row["data_hash"] != data_hash:
        changed.append("its data")
    if changed or source_digest is None:
        return f"{' and '.join(changed)} changed since" if changed else None
    return _scored_otherwise(own)


def _scored_otherwise(own: pd.DataFrame) -> str | None:
    """Tell whether another source scored any final model, or the trials where there is none."""
    own = own[own["stage"] != "curve"]  # see `curve`
    final = (own["stage"] == "final") & (own["status"] == "ok")
    if not _scored_by_another(own[final] if final.any() else own.tail(1)).any():
        return None
    changed = "the source that scores it changed since"
    return f"{changed}: harness evaluate scores it again" if final.any() else changed


def _scored_by_another(rows: pd.DataFrame) -> pd.Series:
    """Tell which rows name another source that scored them than the present one."""
    if "evaluate_digest" not in rows:
        return pd.Series(False, rows.index)
    digests = rows["evaluate_digest"]
    return digests.notna() & (digests != provenance.evaluate_digest())


def wanted(state: str, rerun: str) -> bool:
    """Tell whether a cell in this state runs under `--rerun`.

    `missing` finishes what was not finished; `failed` and `stale` do that too and also try those
    cells again; `all` starts every cell anew.
    """
    if rerun == "all" or state in ("missing", "partial"):
        return True
    return state == rerun
