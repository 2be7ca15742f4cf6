"""Progress of a run: bars on a terminal, one timestamped line per event otherwise."""

import time
from datetime import UTC, datetime
from typing import Any, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from harness.terminal import wording
from harness.terminal.board import Board, CellView

BAR_WIDTH = 24
ADOPTED = "trained before in another grid: its results are shared"


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
    parts = ["starting"]
    if view.stage:
        parts = [f"{view.stage} {view.number + 1}/{view.planned[view.stage]}"]
    if view.epochs and view.epoch:
        parts += [f"epoch {view.epoch}/{view.epochs}", wording.rate(view.speed)]
        parts += [f"{wording.duration(_left(view))} left"]
    return " · ".join(parts)


def _left(view: CellView) -> float:
    elapsed = time.monotonic() - (view.began or time.monotonic())
    return elapsed * (view.epochs_total - view.epochs_done) / max(view.epochs_done, 1)


def _stored_line(view: CellView, event: dict[str, Any]) -> str:
    stage = event["stage"]
    number = event["seed"] if stage == "final" else event["trial"]
    parts = [f"{stage} {(number or 0) + 1}/{view.planned[stage]}", wording.beta(event.get("beta"))]
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
        parts += [f"curve {view.points_done}/{view.points}"] if view.points else []
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
