"""What the page shows, drawn and written piece by piece: here, or in several processes."""

import atexit
import functools
import math
import multiprocessing
import pickle
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

from harness.report import ledger
from harness.report.album import Album
from harness.report.collect import Group
from harness.report.figure_plans import plans
from harness.report.fonts import light_font
from harness.report.palette import Look
from harness.report.paper_figures import paper_figure
from harness.report.paper_tables import by_key
from harness.report.pictures import MOST_ACROSS
from harness.report.sections import ROOM, Section, section
from harness.report.whole import DocumentFigure, Whole, document_figure, whole

FIGURES_NEED = 700_000  # bytes that figures of a group may take


@dataclass(frozen=True)
class Drawings:
    """Everything drawn for a page, and the files written."""

    sections: list[Section]
    whole: Whole
    figures: list[DocumentFigure]
    judged: list[ledger.Judged]
    files: list[Path]


@dataclass(frozen=True)
class Desk:
    """What every piece of work needs."""

    groups: list[Group]
    looks: dict[str, Look]
    out: Path


# A piece of work returns what it made and the files that it wrote.
Work = Callable[[Desk], tuple[Any, list[Path]]]
Done = Future[tuple[Any, list[Path]]]
Hands = Callable[[Desk, Work], Done]


def draw(desk: Desk, hands: Hands) -> Drawings:
    """Draw and write everything that the page shows of the groups, and judge the claims."""
    groups = desk.groups
    # The longest first, so that no process is left with one when the others are done.
    order = sorted(range(len(groups)), key=lambda index: -_need(groups[index]))
    room = rooms(groups)
    begun = {index: hands(desk, partial(_section, index, room[index])) for index in order}
    figures = [hands(desk, partial(_figure, index)) for index in range(len(plans()))]
    rest, judged = hands(desk, _whole), hands(desk, _judged)
    done = [begun[index].result() for index in range(len(groups))]
    shown = [future.result() for future in figures]
    every, last = rest.result()
    files = [path for _, written in (*done, *shown) for path in written]
    return Drawings(
        [each for each, _ in done],
        every,
        [each for each, _ in shown if each is not None],
        judged.result()[0],
        [*files, *last],
    )


@contextmanager
def hired(workers: int) -> Iterator[Hands]:
    """Yield what does the work: this process, or with `workers` above 1 as many others.

    Those begin at once to import Matplotlib, while their first work is still being prepared. The
    files are the same.
    """
    if workers < 2:
        with light_font():
            yield _here
        return
    context = multiprocessing.get_context("spawn")  # no fork: this process may have threads
    with (
        tempfile.TemporaryDirectory(prefix="harness-report-") as folder,
        ProcessPoolExecutor(workers, mp_context=context, initializer=_settle) as pool,
    ):
        for _ in range(workers):
            pool.submit(_settled)
        yield partial(_elsewhere, pool, Path(folder) / "desk")


def _here(desk: Desk, work: Work) -> Done:
    done: Done = Future()
    done.set_result(_do(desk, work))
    return done


def _elsewhere(pool: ProcessPoolExecutor, path: Path, desk: Desk, work: Work) -> Done:
    """Hand on the work alone: what it is done on lies in a file, which a process reads once."""
    if not path.exists():
        path.write_bytes(pickle.dumps(desk))
    return pool.submit(_do_there, path, work)


def _settle() -> None:
    """Prepare a process of its own, which has its own fonts."""
    fonts = ExitStack()
    fonts.enter_context(light_font())
    atexit.register(fonts.close)


def _settled() -> None:
    """Nothing: a process that has this to do is started."""


@functools.cache
def _desk(path: Path) -> Desk:
    # Not from outside: written a moment ago into a folder that no other user can write to.
    return cast("Desk", pickle.loads(path.read_bytes()))


def _do_there(path: Path, work: Work) -> tuple[Any, list[Path]]:
    return _do(_desk(path), work)


def _do(desk: Desk, work: Work) -> tuple[Any, list[Path]]:
    try:
        return work(desk)
    finally:
        for group in desk.groups:
            for cell in group.cells:
                if isinstance(cell.pictures, Album):
                    cell.pictures.forget()


def _section(index: int, room: int, desk: Desk) -> tuple[Section, list[Path]]:
    files: list[Path] = []
    return section(desk.groups[index], desk.looks, desk.out, files, room), files


def _figure(index: int, desk: Desk) -> tuple[DocumentFigure | None, list[Path]]:
    files: list[Path] = []
    found = paper_figure(plans()[index], by_key(desk.groups), desk.looks)
    return None if found is None else document_figure(found, desk.out, files), files


def _judged(desk: Desk) -> tuple[list[ledger.Judged], list[Path]]:
    return ledger.judge(desk.groups), []


def _whole(desk: Desk) -> tuple[Whole, list[Path]]:
    files: list[Path] = []
    return whole(desk.groups, desk.looks, desk.out, files), files


def rooms(groups: list[Group]) -> list[int]:
    """Share the page's bytes: no group gets more than it needs, the others get equal parts."""
    needs = [_need(group) for group in groups]
    found, left = [0] * len(groups), ROOM
    for done, index in enumerate(sorted(range(len(groups)), key=lambda each: needs[each])):
        found[index] = min(needs[index], left // (len(groups) - done))
        left -= found[index]
    return found


def _need(group: Group) -> int:
    """Bytes for the figures and for as many pictures of every loss as a page ever shows."""
    shapes = [str(shape) for cell in group.measured for shape in cell.finals["image_shape"][:1]]
    sizes = [math.prod(map(int, shape.split("x"))) for shape in shapes if "x" in shape]
    return FIGURES_NEED + len(group.measured) * (2 * MOST_ACROSS + 4) * max(sizes, default=0)
