"""The state of a run's cells as a terminal shows it, brought up to date by events."""

import time
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from harness.plan import Checked, Progress
from harness.schema import RETRIED
from harness.store import newest
from harness.terminal import wording


@dataclass
class CellView:
    """What is shown of one cell."""

    name: str
    trials: int
    seeds: int
    epochs_total: float  # over all models
    points: int = 0  # of the curve
    began: float | None = None
    trials_done: int = 0
    seeds_done: int = 0
    points_done: int = 0
    epochs_done: float = 0.0
    stage: str = ""
    number: int = 0
    epoch: int = 0
    epochs: int = 0
    speed: float = 0.0
    best: dict[str, Any] | None = None
    finals: dict[int, dict[str, Any]] = field(default_factory=dict)  # by seed, those that are ok
    failure: str | None = None
    seconds: float = 0.0
    ended: bool = False

    @property
    def planned(self) -> dict[str, int]:
        """How many models the cell has, by stage."""
        return {"tune": self.trials, "final": self.seeds, "curve": self.points}

    def note(self, result: dict[str, Any]) -> None:
        """Keep a seed's scores, and the best of the trials."""
        objective = result["objective"]
        value = result.get(objective) if result["status"] == "ok" else None
        if value is None or value != value:
            return
        if result["stage"] == "final":
            self.finals[int(result["seed"])] = result
        if result["stage"] != "tune":
            return
        sign = -1 if result["direction"] == "maximize" else 1
        if self.best is None or sign * value < sign * self.best[objective]:
            self.best = result


@dataclass
class Board:
    """The state of all cells, brought up to date by events."""

    cells: dict[str, CellView]
    started: float = field(default_factory=time.monotonic)

    def update(self, cell: str, event: dict[str, Any]) -> None:
        """Take in one event of a cell."""
        view, kind = self.cells[cell], event["event"]
        if kind == "began":
            view.began = time.monotonic()
        elif kind == "start":
            view.stage, view.number, view.epoch = event["stage"], event["number"], 0
        elif kind == "epoch":
            view.epochs_done += 1
            view.epoch, view.epochs = event["epoch"], event["epochs"]
            view.speed = event["images_per_second"]
        elif kind == "stored":
            self._stored(view, event)
        elif kind in ("ended", "adopted"):
            view.ended, view.seconds = True, event.get("seconds", 0.0)
            view.epochs_done = view.epochs_total

    def _stored(self, view: CellView, event: dict[str, Any]) -> None:
        if event["status"] in RETRIED:
            view.failure = f"{event['status'].replace('_', ' ')}: {event['cause']}"
            return
        if event["stage"] == "final":
            view.seeds_done += 1
            if event["status"] != "ok":
                view.failure = f"{event['status']}: {event['cause']}"
        elif event["stage"] == "curve":
            view.points_done += 1
        else:
            view.trials_done += 1
        view.note(event)

    @property
    def done(self) -> int:
        """Cells that ended."""
        return sum(view.ended for view in self.cells.values())

    @property
    def share(self) -> float:
        """Share of all epochs that is behind."""
        total = sum(view.epochs_total for view in self.cells.values())
        return sum(min(v.epochs_done, v.epochs_total) for v in self.cells.values()) / max(total, 1)

    def remaining(self) -> float | None:
        """Seconds left, from the share behind; None before there is anything to go by."""
        elapsed = time.monotonic() - self.started
        return elapsed * (1 - self.share) / self.share if self.share > 0.02 else None


def make_board(
    cells: list[Checked], progress: dict[str, Progress], rows: pd.DataFrame, anew: bool = False
) -> Board:
    """Return a board of cells about to run, with what was done before unless all starts anew."""
    names = wording.short_names([item.cell.id for item in cells])
    return Board(
        {
            item.cell.id: _view(item, progress[item.cell.id], rows, names[item.cell.id], anew)
            for item in cells
        }
    )


def _view(item: Checked, before: Progress, rows: pd.DataFrame, name: str, anew: bool) -> CellView:
    protocol = item.cell.protocol
    view = CellView(name, item.trials, protocol.seeds, 0, item.points)
    if before.state != "stale" and not anew:
        view.trials_done, view.seeds_done = before.trials, before.seeds
        view.points_done = before.points
        told = {"objective": protocol.objective, "direction": protocol.direction}
        for row in newest(rows[rows["cell"] == item.cell.id]).to_dict("records"):
            if row["stage"] != "final" or row["seed"] < protocol.seeds:
                view.note({**row, **told})
    trials, seeds = item.trials - view.trials_done, max(0, protocol.seeds - view.seeds_done)
    full = seeds + item.points - view.points_done
    view.epochs_total = trials * protocol.trial_epochs + full * protocol.epochs
    return view
