"""What the page shows, drawn and written piece by piece: here, or in several processes."""

import atexit
import math
import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

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
FEWEST = 3  # groups from which on other processes, which import Matplotlib first, save time


@dataclass(frozen=True)
class Drawings:
    """Everything drawn for a page, and the files written."""

    sections: list[Section]
    whole: Whole
    figures: list[DocumentFigure]
    files: list[Path]


@dataclass(frozen=True)
class Desk:
    """What every piece of work needs; a process gets it once."""

    groups: list[Group]
    looks: dict[str, Look]
    out: Path


# A piece of work returns what it drew and the files that it wrote.
Work = Callable[[Desk], tuple[Any, list[Path]]]
Submit = Callable[[Work], "Future[tuple[Any, list[Path]]]"]


def draw(groups: list[Group], looks: dict[str, Look], out: Path, workers: int = 1) -> Drawings:
    """Draw and write everything that the page shows of the groups.

    With `workers` above 1 and three groups or more that many processes draw; the files are the
    same.
    """
    desk = Desk(groups, looks, out)
    many = workers > 1 and len(groups) >= FEWEST
    with _elsewhere(desk, workers) if many else _here(desk) as submit:
        # The longest first, so that no process is left with one when the others are done.
        order = sorted(range(len(groups)), key=lambda index: -_need(groups[index]))
        room = rooms(groups)
        begun = {index: submit(partial(_section, index, room[index])) for index in order}
        figures = [submit(partial(_figure, index)) for index in range(len(plans()))]
        rest = submit(_whole)
        done = [begun[index].result() for index in range(len(groups))]
        shown = [future.result() for future in figures]
        every, last = rest.result()
    files = [path for _, written in (*done, *shown) for path in written]
    return Drawings(
        [each for each, _ in done],
        every,
        [each for each, _ in shown if each is not None],
        [*files, *last],
    )


@contextmanager
def _here(desk: Desk) -> Iterator[Submit]:
    def submit(work: Work) -> "Future[tuple[Any, list[Path]]]":
        done: Future[tuple[Any, list[Path]]] = Future()
        done.set_result(_do(desk, work))
        return done

    with light_font():
        yield submit


@contextmanager
def _elsewhere(desk: Desk, workers: int) -> Iterator[Submit]:
    context = multiprocessing.get_context("spawn")  # no fork: this process may have threads
    with ProcessPoolExecutor(
        workers, mp_context=context, initializer=_sit, initargs=(desk,)
    ) as pool:
        yield lambda work: pool.submit(_do_there, work)


_DESKS: list[Desk] = []  # the one of a process of `_elsewhere`


def _sit(desk: Desk) -> None:
    """Prepare a process of its own, which has its own fonts."""
    _DESKS.append(desk)
    fonts = ExitStack()
    fonts.enter_context(light_font())
    atexit.register(fonts.close)


def _do_there(work: Work) -> tuple[Any, list[Path]]:
    return _do(_DESKS[0], work)


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
