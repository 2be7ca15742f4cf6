"""Progress of a run: bars on a terminal, one timestamped line per event otherwise."""

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self

import pandas as pd
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from harness.plan import Checked, Progress
from harness.schema import RETRIED
from harness.store import newest
from harness.terminal import wording

BAR_WIDTH = 24
ADOPTED = "trained before in another grid: its results are shared"


@dataclass
class CellView:
    """What is shown of one cell."""

    name: str
    trials: int
    seeds: int
    epochs_total: float  # over all trials and seeds
    began: float | None = None
    trials_done: int = 0
    seeds_done: int = 0
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

    def note(self, result: dict[str, Any]) -> None:
        """Keep a seed's scores, and the best of the trials."""
        objective = result["objective"]
        value = result.get(objective) if result["status"] == "ok" else None
        if value is None or value != value:
            return
        if result["stage"] == "final":
            self.finals[int(result["seed"])] = result
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
    view = CellView(name, item.trials, protocol.seeds, 0)
    if before.state != "stale" and not anew:
        view.trials_done, view.seeds_done = before.trials, before.seeds
        told = {"objective": protocol.objective, "direction": protocol.direction}
        for row in newest(rows[rows["cell"] == item.cell.id]).to_dict("records"):
            if row["stage"] == "tune" or row["seed"] < protocol.seeds:
                view.note({**row, **told})
    trials, seeds = item.trials - view.trials_done, max(0, protocol.seeds - view.seeds_done)
    view.epochs_total = trials * protocol.trial_epochs + seeds * protocol.epochs
    return view


class Lines:
    """One timestamped line per event, for pipes and CI."""

    def __init__(self, console: Console, board: Board) -> None:
        self.console, self.board = console, board

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None: ...

    def tell(self, cell: str, event: dict[str, Any]) -> None:
        """Print the events that a log should keep."""
        self.board.update(cell, event)
        view = self.board.cells[cell]
        if event["event"] == "stored":
            self._print(f"{view.name}  {_stored_line(view, event)}")
        elif event["event"] == "adopted":
            self._print(f"{view.name}  {ADOPTED}")
        elif event["event"] == "ended":
            self._print(
                f"{view.name}  {_result(view)}  {wording.duration(view.seconds)}"
                f"  ({self.board.done}/{len(self.board.cells)} cells)"
            )

    def _print(self, text: str) -> None:
        stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.console.print(f"{stamp}  {text}", highlight=False, markup=False, soft_wrap=True)


class Bars:
    """A line per finished cell, and below them a bar per running cell and one for the whole."""

    def __init__(self, console: Console, board: Board) -> None:
        self.console, self.board = console, board
        self.width = max((len(v.name) for v in board.cells.values()), default=10)
        self.live = Live(console=console, get_renderable=self._render, transient=True)

    def __enter__(self) -> Self:
        self.live.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.live.stop()

    def tell(self, cell: str, event: dict[str, Any]) -> None:
        """Take in one event; a finished cell becomes a line above the bars."""
        self.board.update(cell, event)
        view = self.board.cells[cell]
        if event["event"] == "adopted":
            self.console.print(f"{view.name:<{self.width}}  {ADOPTED}", highlight=False)
        elif event["event"] == "ended":
            style = "red" if view.failure else ""
            time_taken = wording.duration(view.seconds)
            self.console.print(
                f"{view.name:<{self.width}}  {_result(view)}  {time_taken}",
                highlight=False,
                markup=False,
                style=style,
                soft_wrap=True,
            )

    def _render(self) -> Group:
        table = Table.grid(padding=(0, 2))
        table.add_column(min_width=self.width, no_wrap=True)
        table.add_column(width=BAR_WIDTH)
        table.add_column(no_wrap=True, overflow="ellipsis")
        for view in self.board.cells.values():
            if view.began is not None and not view.ended:
                bar = ProgressBar(view.epochs_total, view.epochs_done, width=BAR_WIDTH)
                table.add_row(view.name, bar, _running(view))
        whole = ProgressBar(1.0, self.board.share, width=BAR_WIDTH)
        table.add_row("total", whole, self._total())
        return Group(table)

    def _total(self) -> str:
        left = self.board.remaining()
        text = f"{self.board.done}/{len(self.board.cells)} cells"
        return text if left is None else f"{text} · {wording.duration(left)} left"


def _running(view: CellView) -> str:
    count = view.trials if view.stage == "tune" else view.seeds
    parts = [f"{view.stage or 'starting'} {view.number + 1}/{count}" if view.stage else "starting"]
    if view.epochs and view.epoch:
        parts += [f"epoch {view.epoch}/{view.epochs}", wording.rate(view.speed)]
        parts += [f"{wording.duration(_left(view))} left"]
    return " · ".join(parts)


def _left(view: CellView) -> float:
    elapsed = time.monotonic() - (view.began or time.monotonic())
    return elapsed * (view.epochs_total - view.epochs_done) / max(view.epochs_done, 1)


def _stored_line(view: CellView, event: dict[str, Any]) -> str:
    number = event["trial"] if event["stage"] == "tune" else event["seed"]
    count = view.trials if event["stage"] == "tune" else view.seeds
    parts = [f"{event['stage']} {(number or 0) + 1}/{count}", wording.beta(event.get("beta"))]
    parts += [_scores(event) if event["status"] == "ok" else f"{event['status']}: {event['cause']}"]
    return "  ".join(part for part in parts if part)


def _result(view: CellView) -> str:
    """Return what a finished cell came to, as in the design of the terminal."""
    parts = []
    if view.trials_done:
        parts.append(f"tune {view.trials_done}/{view.trials}")
    if view.best:
        objective = view.best["objective"]
        parts += [wording.beta(view.best["beta"]), wording.metric(objective, view.best[objective])]
    if view.failure:
        parts.append(view.failure)
    elif view.finals:
        means = _means(list(view.finals.values()))
        parts += [f"→ final {view.seeds_done}/{view.seeds}"]
        parts += [] if view.best else [wording.beta(means["beta"])]
        parts += [_scores(means)]
    elif not view.ended or not parts:
        parts.append("nothing new")
    return "  ".join(part for part in parts if part)


def _means(finals: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the scores of a cell: the mean over its seeds of each that all of them have."""
    names = ("beta", "psnr", "ssim", finals[0]["objective"])
    means = {}
    for name in names:
        values = [value for row in finals if (value := row.get(name)) is not None]
        if len(values) == len(finals):
            means[name] = sum(values) / len(values)
    return {"objective": finals[0]["objective"], "beta": None, **means}


def _scores(event: dict[str, Any]) -> str:
    names = dict.fromkeys(("psnr", "ssim", event["objective"]))
    return "  ".join(filter(None, (wording.metric(name, event.get(name)) for name in names)))
