"""Two grids' stored results side by side: what changed, beyond what trainings differ by?"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from harness.errors import HarnessError, suggestion
from harness.inventory import grids_stored, store_of
from harness.merged import MergedStore
from harness.metrics import METRICS
from harness.report.changes import CHANGED, DIFFER, JUDGED, Change, changes, settle
from harness.report.circumstances import Circumstance, circumstances
from harness.report.collect import Cell, Group, collect
from harness.report.outcomes import Cost, Status, costs, statuses
from harness.report.pairing import Pairing, pair
from harness.report.ties import holm


@dataclass(frozen=True)
class Side:
    """One of the two grids: what was asked for, and what is stored there."""

    asked: str
    root: Path
    cells: int
    rows: int
    newest: str  # when the newest row was stored, UTC


@dataclass(frozen=True)
class Comparison:
    """Everything that `harness compare` tells, in the order in which it tells it."""

    a: Side
    b: Side
    pairing: Pairing
    circumstances: list[Circumstance]
    changes: list[Change]
    statuses: list[Status]
    costs: list[Cost]

    def counts(self) -> dict[str, int]:
        """Return how many comparisons came to each word, the words that occur alone."""
        words = (*JUDGED, "identical", DIFFER, "cannot tell", "not compared", "not measured")
        found = {word: sum(each.word == word for each in self.changes) for word in words}
        return {word: count for word, count in found.items() if count}

    @property
    def changed(self) -> list[Change]:
        """The metrics that other trainings would show changed as well."""
        return [each for each in self.changes if each.word in CHANGED]

    @property
    def tested(self) -> int:
        """How many differences, of metrics and of step times, were tested over trainings."""
        return sum(not math.isnan(p) for p in _chances(self.changes, self.costs))

    def plain(self) -> dict[str, Any]:
        """Return all of it as plain data."""
        return {
            "a": {**asdict(self.a), "root": str(self.a.root)},
            "b": {**asdict(self.b), "root": str(self.b.root)},
            "counts": self.counts(),
            "cells": [{"a": p.a.id, "b": p.b.id, "matched_by": p.by} for p in self.pairing.pairs],
            "only_a": [_named(cell) for cell in self.pairing.only_a],
            "only_b": [_named(cell) for cell in self.pairing.only_b],
            "circumstances": [
                {**asdict(each), "cells": list(each.cells)} for each in self.circumstances
            ],
            "metrics": [asdict(each) for each in self.changes],
            "states": [{**asdict(each), "causes": list(each.causes)} for each in self.statuses],
            "costs": [asdict(each) for each in self.costs],
        }


def _named(cell: Cell) -> dict[str, str]:
    return {"cell": cell.id, "state": cell.state or "ok"}


def compare(a: str, b: str, results: Path, metrics: Sequence[str] = ()) -> Comparison:
    """Compare two grids, each named as in `results` or by a path; B against A.

    `metrics` are globs of metric columns, those of the report's main table without one. The chances
    of all tests over trainings, of metrics and of step times, are corrected together by Holm.

    Raises:
        HarnessError: no such grid, no rows, another schema, no such metric, or one grid twice.
    """
    names = chosen(metrics)
    roots = find(a, results), find(b, results)
    if roots[0].resolve() == roots[1].resolve():
        raise HarnessError(f"{a!r} and {b!r} are both {roots[0]}: name two different grids")
    (side_a, groups_a), (side_b, groups_b) = (
        _read(asked, root) for asked, root in zip((a, b), roots, strict=True)
    )
    pairing = pair(groups_a, groups_b)
    measured = [change for each in pairing.pairs for change in changes(each, names)]
    spent = costs(pairing.pairs)
    chances = holm(_chances(measured, spent))
    return Comparison(
        side_a,
        side_b,
        pairing,
        circumstances(pairing.pairs),
        settle(measured, chances[: len(measured)]),
        statuses(pairing.pairs),
        settle(spent, chances[len(measured) :]),
    )


def _chances(measured: list[Change], spent: list[Cost]) -> list[float]:
    return [each.p for each in measured] + [each.p for each in spent]


def chosen(globs: Sequence[str]) -> list[str]:
    """Return the metrics that match any of these globs, in the order of `harness list metrics`.

    Raises:
        HarnessError: a glob matches none.
    """
    if not globs:
        return [name for name, metric in METRICS.items() if metric.table == "main"]
    for glob in globs:
        if not any(fnmatchcase(name, glob) for name in METRICS):
            hint = suggestion(glob, METRICS)
            raise HarnessError(f"no metric matches {glob!r}{hint}; see: harness list metrics")
    return [name for name in METRICS if any(fnmatchcase(name, glob) for glob in globs)]


def find(asked: str, results: Path) -> Path:
    """Return the folder of a grid, given its name in `results`, its folder, or one that has it.

    Raises:
        HarnessError: there is none, or a folder has several.
    """
    place = Path(asked)
    if asked in grids_stored(results) or not place.is_dir():
        return store_of(results, asked).root
    if (place / "_grid.json").exists():
        return place
    names = sorted(grids_stored(place))
    if len(names) > 1:
        raise HarnessError(
            f"{asked} has the results of {len(names)} grids: name one, as in {place / names[0]}; "
            f"stored: {', '.join(names)}"
        )
    return store_of(place, None).root


def _read(asked: str, root: Path) -> tuple[Side, list[Group]]:
    store = MergedStore(root)
    groups = collect(store, store.grid())
    cells = [cell for group in groups for cell in group.cells]
    created = [str(x) for c in cells for r in (c.tunes, c.attempts) for x in r["created"]]
    if not created:
        raise HarnessError(
            f"no rows of the grid in {root}: give the command that made it once more, "
            "or compare another folder"
        )
    return Side(asked, root, len(cells), len(created), max(created)), groups
