"""The intervals of what was measured for a document's table, in a table of their own."""

import statistics
from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby

from harness.metrics import METRICS
from harness.report.collect import Cell, Group
from harness.report.means import GROUNDS, SEEDS_TO_RESAMPLE, estimate, interval, single_seeds
from harness.report.notes import label
from harness.report.paper_entries import lacking
from harness.report.paper_sheets import KEYS, Line, Sheet
from harness.report.paper_tables import sheets, title
from harness.report.table import Column, Entry, Row, Table, by_spread, number

ENDING = "-intervals"


def interval_tables(groups: list[Group], only: str | None = None) -> list[Table]:
    """Return for each document's table that of the 95 % intervals of its measured means.

    None of a table of which no mean has an interval. `only` is the name of the document's table
    that is wanted.
    """
    found = (_table(sheet) for sheet in sheets(groups, only))
    return [table for table in found if table is not None]


def _table(sheet: Sheet) -> Table | None:
    found = [_Measured(metric, sheet.measured) for metric in sheet.metrics()]
    if not any(each.grounds for each in found):
        return None
    rows: list[Row] = []
    for head, lines in sheet.blocks():
        rows += [head, *(_row(line, found) for line in lines)]
    return Table(
        f"{sheet.name}{ENDING}",
        f"{title(sheet)}: intervals of the measured means",
        _caption(sheet, found),
        tuple(column for each in found for column in each.columns()),
        tuple(rows),
        first="Row",
        keys=KEYS,
    )


def _row(line: Line, found: list["_Measured"]) -> Row:
    entries = tuple(entry for each in found for entry in each.entries(line.cell))
    return Row(line.label, entries, line.loss, badge=line.state, keys=line.keys())


def _caption(sheet: Sheet, found: list["_Measured"]) -> str:
    """Return what the intervals of each metric are over, and where single seeds stand."""
    known = [each for each in found if each.grounds]
    kinds = groupby(sorted(known, key=lambda each: each.over), lambda each: each.over)
    said = "; ".join(
        f"of {', '.join(label(each.metric) for each in members)} {over}" for over, members in kinds
    )
    seeds = ""
    if any(each.seeds for each in found):
        seeds = f" Seeds one by one where there are 2 to {SEEDS_TO_RESAMPLE - 1}."
    return (
        f"95 % intervals of the means in {sheet.name}, {said}. A number without brackets has "
        f"no interval.{seeds}"
    )


class _Measured:
    """One metric in the cells of a document's table."""

    def __init__(self, metric: str, cells: list[Cell]) -> None:
        known = [cell for cell in cells if not lacking(cell, metric)]
        within = [interval(cell, metric) for cell in known]
        halves = [(each.high - each.low) / 2 for each in within if each.over != "none"]
        over = {each.over for each in within}
        self.metric = metric
        self.grounds = [ground for ground in GROUNDS if ground in over]
        self.seeds = any(single_seeds(cell.finals, metric) for cell in known)
        most = METRICS[metric].decimals
        half = statistics.median(halves) if halves else 0.0
        self.decimals = by_spread(half, most) if half > 0 else most

    @property
    def over(self) -> str:
        """What the intervals are over, as a caption says it."""
        several = ", as each says" if len(self.grounds) > 1 else ""
        return f"over {' or '.join(self.grounds)}{several}"

    def columns(self) -> Iterator[Column]:
        """Yield the column of intervals and, where there are few, that of single seeds."""
        known = METRICS[self.metric]
        means = Column(self.metric, known.label, known.unit, known.direction)
        if not self.seeds:
            yield means
            return
        yield replace(means, over=means.head, under="mean")
        yield Column(
            f"{self.metric}_seeds",
            known.label,
            detail="seeds",
            text=True,
            over=means.head,
            under="seeds",
        )

    def entries(self, cell: Cell | None) -> Iterator[Entry]:
        """Yield the entries of a cell under these columns."""
        why = lacking(cell, self.metric)
        if cell is None or why:
            yield Entry(note=why)
            if self.seeds:
                yield Entry("")
            return
        yield self._mean(cell)
        if self.seeds:
            yield Entry(single_seeds(cell.finals, self.metric))

    def _mean(self, cell: Cell) -> Entry:
        within = interval(cell, self.metric)
        mean = estimate(cell, self.metric).mean
        values = (mean, within.low, within.high)
        text, low, high = (number(value, self.decimals) for value in values)
        if within.over == "none":
            return Entry(text, mean)
        mark = f" (over {within.over})" if len(self.grounds) > 1 else ""
        return Entry(f"{text} [{low}, {high}]", mean, low=within.low, high=within.high, marks=mark)
