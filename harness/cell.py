"""Runs one cell: tune β, train final models and a curve, store every row. Knows no engine."""

import logging
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from harness import columns, plan, prepared, provenance, tune
from harness import device as devices
from harness.attempt import Attempt, Context, Tell
from harness.errors import Interrupted, StoreError
from harness.grid import Cell
from harness.schema import RETRIED
from harness.store import Store, newest

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Assignment:
    """Everything a process needs to run a cell: plain data."""

    cell: Cell
    results: Path  # the grid's folder
    data: Path  # where prepared datasets lie
    device: str = "cpu"
    threads: int | None = None  # CPU threads; None is torch's own choice
    weights: dict[str, Path] = field(default_factory=dict)
    keep_models: str = "all"  # all | first-seed | none


class CellFailed(Exception):
    """The cell cannot go on; the row that says why is stored."""


def run_cell(
    assignment: Assignment,
    tell: Tell = lambda event: None,
    stop: Callable[[], bool] = lambda: False,
) -> None:
    """Run what is missing of a cell and store a row for everything tried.

    Args:
        assignment: the cell and where it runs.
        tell: told about progress, one small dictionary per event.
        stop: asked at every step; True saves the state and raises.

    Raises:
        Interrupted: `stop` said so; the same call goes on from there.
        CellFailed: a row with the cause is stored.
        StoreError: a row cannot be stored.
    """
    with Store(assignment.results).claim(assignment.cell.id, stop):
        CellRun(assignment, tell, stop).run()


class CellRun:
    """One cell on one device."""

    def __init__(self, assignment: Assignment, tell: Tell, stop: Callable[[], bool]) -> None:
        self.assignment, self.tell = assignment, tell
        self.cell, self.protocol = assignment.cell, assignment.cell.protocol
        device = torch.device(assignment.device)
        if assignment.threads:
            torch.set_num_threads(assignment.threads)
        devices.configure(device, self.protocol.precision)
        splits = prepared.load(self.cell.dataset, assignment.data)
        self.state = (provenance.source_digest(self.cell), splits.data_hash)
        self.store = Store(assignment.results)
        self.context = Context(
            self.cell,
            self.store,
            splits.limited(self.protocol.limit),
            device,
            assignment.weights,
            assignment.keep_models,
            " ".join(self.state),
            tell,
            stop,
        )

    def run(self) -> None:
        """Tune, then train the final models and the points of the curve that are missing."""
        if self.protocol.beta is not None:
            self._finals(self.protocol.beta, None)
            if self.protocol.curve_points:
                self._curve(self._bounds("curve"), self.protocol.curve_points)
            return
        bounds = self._bounds("tune")
        tuned = self._tune(bounds)
        if tuned is None:
            self._store_untuned()
        else:
            self._finals(tuned["beta"], tune.edge_flag(tuned["beta"], bounds))
        if self.protocol.curve_points:
            self._curve(bounds, self.protocol.curve_points)

    def _bounds(self, stage: str) -> tuple[float, float]:
        """Return the range of β; a loss that cannot be built leaves a row under number 0."""

        def find() -> dict[str, Any]:
            low, high = self.protocol.beta_range or self.context.build_loss("tune")[0].beta_range
            return {"bounds": (float(low), float(high))}

        bounds: tuple[float, float] = self._guarded(stage, 0, find)["bounds"]
        return bounds

    def _finals(self, beta: float, flag: str | None) -> None:
        done = self._stored("final", "seed")
        for seed in range(self.protocol.seeds):
            if seed not in done:
                self._attempt("final", seed, beta, {"seed": seed, "beta_flag": flag})

    def _curve(self, bounds: tuple[float, float], points: int) -> None:
        """Train the full budget at βs over the whole range, with the random numbers of seed 0."""
        done = set(plan.curve(self.cell, self._current())["trial"])
        # The rows say which curve they are of; see `plan.curve`.
        known = {"seed": 0, "protocol": self.protocol.model_dump_json(exclude={"seeds"})}
        for point, beta in enumerate(tune.log_spaced(bounds, points)):
            if point not in done:
                self._attempt("curve", point, beta, {"trial": point, **known})

    def _tune(self, bounds: tuple[float, float]) -> dict[str, Any] | None:
        stored = self._stored("tune", "trial")
        journal = self.store.root / "_journal" / f"{self.cell.id}.log"

        def attempt(number: int, beta: float, report: Callable[[float, int], bool]) -> tune.Outcome:
            # A kill between storing the row and telling the study leaves the row: take it.
            if number not in stored:
                stored[number] = self._attempt("tune", number, beta, {"trial": number}, report)
            return tune.Outcome(stored[number]["status"], self._value(stored[number]))

        tune.Study(self.cell.id, self.protocol, bounds, journal, " ".join(self.state)).run(attempt)
        trials = [
            {"number": number, "beta": row["beta"], "value": self._value(row)}
            for number, row in sorted(stored.items())
        ]
        return tune.best(trials, str(self.protocol.direction))

    def _value(self, row: dict[str, Any]) -> float | None:
        return float(row[str(self.protocol.objective)]) if row["status"] == "ok" else None

    def _stored(self, stage: str, key: str) -> dict[int, dict[str, Any]]:
        """Return results of this cell that the present source and data made, by trial or seed."""
        rows = self._current()
        return {
            int(row[key]): row
            for row in rows[rows["stage"] == stage].to_dict("records")
            if row["status"] not in RETRIED and not pd.isna(row[key])
        }

    def _current(self) -> pd.DataFrame:
        """Return the rows of this cell that the present source and data made."""
        rows = newest(self.store.rows(self.cell.id))
        source, data = self.state
        return rows[(rows["source_digest"] == source) & (rows["data_hash"] == data)]

    def _store_untuned(self) -> None:
        """Store why there are no final models: no trial gave a finite objective."""
        cause = (
            f"none of the {self.protocol.trials} tuning trials gave a finite "
            f"{self.protocol.objective}"
        )
        done = self._stored("final", "seed")
        for seed in set(range(self.protocol.seeds)) - set(done):
            self._write(
                {"stage": "final", "seed": seed, "split": "test"}
                | {"status": "diverged", "cause": cause}
            )

    def _attempt(
        self,
        stage: str,
        number: int,
        beta: float,
        extra: dict[str, Any],
        report: Callable[[float, int], bool] | None = None,
    ) -> dict[str, Any]:
        """Train and evaluate once; whatever happens becomes a row."""
        self.tell({"event": "start", "stage": stage, "number": number, "beta": beta})
        attempt = Attempt(self.context, stage, number, beta, report)
        row = {"stage": stage, "beta": beta, "split": attempt.split, **extra}
        row |= self._guarded(stage, number, attempt.run, row)
        scale = row.pop("native_scale")
        self._write(row | {"beta_source": beta / scale})
        attempt.checkpoint.delete()
        return row

    def _guarded(
        self,
        stage: str,
        number: int,
        action: Callable[[], dict[str, Any]],
        row: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Run `action`; store a row with the cause and end the cell when it fails.

        Raises:
            CellFailed: the row that says why is stored.
        """
        try:
            return action()
        except (Interrupted, StoreError):
            raise
        except Exception as error:
            log.error("%s %d failed:\n%s", stage, number, traceback.format_exc())
            axis = "seed" if stage == "final" else "trial"
            found = columns.failure(error)
            self._write((row or {"stage": stage, axis: number}) | found)
            raise CellFailed(found["cause"]) from error

    def _write(self, row: dict[str, Any]) -> None:
        full = columns.describe(self.cell) | self._facts | row
        self.store.write(full)
        names = ("stage", "trial", "seed", "beta", "beta_flag", "status", "cause", "psnr", "ssim")
        shown = {name: full.get(name) for name in (*names, str(self.protocol.objective))}
        told = {"objective": self.protocol.objective, "direction": self.protocol.direction}
        self.tell({"event": "stored", **told, **shown})

    @cached_property
    def _facts(self) -> dict[str, Any]:
        channels = self.context.splits.image_shape[0]
        given = self.assignment.weights
        return {
            "device": self.assignment.device,
            "source_digest": self.state[0],
            "data_hash": self.state[1],
            "image_shape": "x".join(map(str, self.context.splits.image_shape)),
            **columns.surroundings(self.cell, channels, self.context.device, given),
        }
