"""Progress of preparing datasets: a bar on a terminal, now and then a plain line otherwise."""

import time
from contextlib import ExitStack
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.progress import TimeRemainingColumn as Remaining

# Seconds between plain lines.
PAUSE = 10.0


class Decoded:
    """Shows how many images of which dataset are decoded; shows nothing where nothing is."""

    def __init__(self, console: Console, bars: bool) -> None:
        self.console, self.bars = console, bars
        self._open = ExitStack()
        self._progress: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._said: dict[str, float] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    def tell(self, name: str, done: int, total: int) -> None:
        """Take in that `done` of `total` images of a dataset are decoded."""
        if self.bars:
            self._bar(name, done, total)
        else:
            self._line(name, done, total)

    def _bar(self, name: str, done: int, total: int) -> None:
        if self._progress is None:
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
            self._progress = Progress(*columns, Remaining(), console=self.console, transient=True)
            self._open.enter_context(self._progress)
        if name not in self._tasks:
            self._tasks[name] = self._progress.add_task(f"preparing {name}", total=total)
        self._progress.update(self._tasks[name], completed=done)

    def _line(self, name: str, done: int, total: int) -> None:
        now = time.monotonic()
        if done < total and now - self._said.get(name, -PAUSE) < PAUSE:
            return
        if self._said.get(name) == float("inf"):  # its last line is there
            return
        self._said[name] = now if done < total else float("inf")
        text = f"preparing {name}: {done:,} of {total:,} images"
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)
