"""The groups of a report drawn one after the other, or in several processes."""

import math
import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from harness.report.album import Album
from harness.report.collect import Group
from harness.report.fonts import light_font
from harness.report.palette import Look
from harness.report.pictures import MOST_ACROSS
from harness.report.sections import ROOM, Section, section
from harness.report.whole import Whole, whole

Job = tuple[Group, int]  # and its part of the page in bytes
Drawing = tuple[Section, list[Path]]

FIGURES_NEED = 700_000  # bytes that figures of a group may take
FEWEST = 3  # groups from which on other processes, which import Matplotlib first, save time


def draw(
    groups: list[Group], looks: dict[str, Look], out: Path, workers: int = 1
) -> tuple[list[Section], Whole, list[Path]]:
    """Draw and write what belongs to each group and to all; return the page's parts and the files.

    With `workers` above 1 and three groups or more that many processes draw; the files are the
    same.
    """
    one = partial(_draw, looks=looks, out=out)
    jobs = list(zip(groups, rooms(groups), strict=True))
    if workers > 1 and len(groups) >= FEWEST:
        context = multiprocessing.get_context("spawn")  # no fork: this process may have threads
        with ProcessPoolExecutor(min(workers, len(groups)), mp_context=context) as pool:
            begun = pool.submit(_draw_whole, groups, looks, out)  # the longest piece of work
            drawn = list(pool.map(partial(_apart, one), jobs))
            every, last = begun.result()
    else:
        with light_font():
            drawn = [one(job) for job in jobs]
            every, last = _draw_whole(groups, looks, out)
    files = [path for _, files in drawn for path in files]
    return [each for each, _ in drawn], every, [*files, *last]


def _draw_whole(groups: list[Group], looks: dict[str, Look], out: Path) -> tuple[Whole, list[Path]]:
    files: list[Path] = []
    return whole(groups, looks, out, files), files


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


def _apart(one: Callable[[Job], Drawing], job: Job) -> Drawing:
    """In a process of its own, which has its own fonts."""
    with light_font():
        return one(job)


def _draw(job: Job, *, looks: dict[str, Look], out: Path) -> Drawing:
    group, room = job
    files: list[Path] = []
    drawn = section(group, looks, out, files, room)
    for cell in group.cells:
        if isinstance(cell.pictures, Album):
            cell.pictures.forget()
    return drawn, files
