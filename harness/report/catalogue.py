"""The tables that a grid's report has, by name, each made only when it is asked for."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import cast

from harness.errors import HarnessError, suggestion
from harness.report import published
from harness.report.collect import Group
from harness.report.paper_intervals import ENDING, interval_tables
from harness.report.paper_tables import by_key, paper_tables
from harness.report.stand_ins import stood_in
from harness.report.table import Table

Place = tuple[str, str]  # dataset, model


@dataclass(frozen=True)
class Offer:
    """A table by its file's stem; `places` are the groups whose rows it needs."""

    name: str
    places: frozenset[Place]
    make: Callable[[list[Group]], Table | None]


def offers(groups: list[Group]) -> list[Offer]:
    """Return the tables of these groups in the page's order; they need not have rows yet.

    A table may turn out to be None: nothing of it was measured.
    """
    every = frozenset((group.dataset, group.model) for group in groups)
    found = [offer for group in groups for offer in _of_group(group)]
    return [*found, *_of_report(every), *_of_papers(groups)] if groups else []


# A group's tables by the ending of their names: module, function and what it takes beside the
# group. Some bring Matplotlib, which takes a second: imported when they are made.
_KINDS: dict[str, tuple[str, ...]] = {
    "": ("main_table", "main_table"),
    "-reconstruction": ("main_table", "further_table", "reconstruction"),
    "-likelihood": ("main_table", "further_table", "likelihood"),
    "-distribution": ("main_table", "further_table", "distribution"),
    "-sharpness": ("main_table", "further_table", "sharpness"),
    "-comparisons": ("comparisons", "comparison_table"),
    "-rate-matched": ("matched", "matched_table"),
    "-rate-matched-full": ("matched", "full_matched_table"),
    "-tuning": ("small_tables", "tuning_table"),
    "-price": ("small_tables", "price_table"),
    "-bands": ("figures_radial", "band_table"),
    "-budget": ("budget", "budget_table"),
}
# What they are called for short, and their endings.
_SHORT = {ending.removeprefix("-") or "main": ending for ending in _KINDS}
# Of the whole report, and whether they need every group's rows.
_WHOLE = {
    "answer": ("glance", "glance_table", True),
    "ranks": ("rank_table", "rank_table", True),
    "protocol": ("small_tables", "protocol_table", False),
}


def _of_group(group: Group) -> Iterator[Offer]:
    place = frozenset({(group.dataset, group.model)})
    for ending, (module, function, *more) in _KINDS.items():
        make = _by_name(module, function, *more)
        yield Offer(f"{group.slug}{ending}", place, _in_group(group.slug, make))


def _in_group(slug: str, make: Callable[[Group], Table | None]) -> Callable[..., Table | None]:
    return lambda groups: make(next(group for group in groups if group.slug == slug))


def _of_report(every: frozenset[Place]) -> Iterator[Offer]:
    for name, (module, function, rows) in _WHOLE.items():
        yield Offer(name, every if rows else frozenset(), _by_name(module, function))


def _by_name(module: str, function: str, *more: str) -> Callable[..., Table | None]:
    def make(content: Group | list[Group]) -> Table | None:
        found = getattr(import_module(f"harness.report.{module}"), function)(content, *more)
        return cast("Table | None", found)

    return make


def _of_papers(groups: list[Group]) -> Iterator[Offer]:
    cells = by_key(groups)
    named: dict[str, set[Place]] = {}
    for each in stood_in(published.rows(), cells):
        if each.key in cells:
            name = f"{each.document}-table-{each.table}"
            named.setdefault(name, set()).add((each.dataset, each.model))
    for name, places in named.items():
        yield Offer(name, frozenset(places), _alone(paper_tables, name))
        yield Offer(name + ENDING, frozenset(places), _alone(interval_tables, name))


def _alone(
    make: Callable[[list[Group], str], list[Table]], name: str
) -> Callable[[list[Group]], Table | None]:
    return lambda groups: next(iter(make(groups, name)), None)


def choose(asked: str, found: list[Offer]) -> Offer:
    """Return the table of a name, of a document's number as in `dalal-1`, or of a number alone.

    `-intervals` after a number asks for the intervals of that table. Where the grid has one group,
    `main` is its main table and an ending such as `price` its further table of that name.

    Raises:
        HarnessError: there is no such table, or a number is that of two documents, or an ending
            that of several groups.
    """
    named = {offer.name: offer for offer in found}
    if asked not in named and asked in _SHORT:
        return named[_of_only_group(asked, list(named))]
    number = re.fullmatch(rf"(?:(\w+?)-)?(\d+)((?:{ENDING})?)", asked)
    if asked in named or number is None:
        return named[asked] if asked in named else _refuse(asked, found)
    names = [f"{document}-table-{number[2]}{number[3]}" for document in published.DOCUMENTS]
    names = [name for name in names if name in named and number[1] in (None, name.split("-")[0])]
    if len(names) > 1:
        raise HarnessError(f"table {asked} is in two documents, {' and '.join(names)}: say which")
    return named[names[0]] if names else _refuse(asked, found)


def _of_only_group(asked: str, names: list[str]) -> str:
    """Return the full name of a group's table, of which there must be one."""
    full = [f"{group}{_SHORT[asked]}" for group in _main_tables(names)]
    if len(full) > 1:
        raise HarnessError(f"table {asked!r} is in {len(full)} groups: say {' or '.join(full)}")
    return full[0]


def _main_tables(names: list[str]) -> list[str]:
    """The groups' main tables, which are named like the groups."""
    return [name for name in names if f"{name}-price" in names]


def _refuse(asked: str, found: list[Offer]) -> Offer:
    names = [offer.name for offer in found]
    near = suggestion(asked, [*names, *_SHORT])
    raise HarnessError(f"no table {asked!r}{near}; there are: {_told(names)}")


def _told(names: list[str]) -> str:
    """The names in one line: those of a group's further tables as endings of its main one."""
    ends = tuple(end for end in _KINDS if end)
    groups = _main_tables(names)
    others = [name for name in names if name not in groups and not name.endswith(ends)]
    if len(groups) == 1:
        return f"{', '.join(others)}; of {groups[0]}: {', '.join(_SHORT)}"
    return f"{', '.join(others)}; {', '.join(groups)}, and each of these with {', '.join(ends)}"
