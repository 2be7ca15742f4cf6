"""The documents' tables in their own order: measured beside published."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import groupby

from harness.metrics import METRICS
from harness.report import published
from harness.report.advantage import is_learned
from harness.report.collect import Cell, Group
from harness.report.paper_entries import difference, measured, printed
from harness.report.paper_notes import footnotes
from harness.report.paper_protocol import beta_text, caption, choices, signatures
from harness.report.paper_sheets import KEYS, Line, Sheet
from harness.report.stand_ins import Key, stood_in
from harness.report.table import Column, Row, Table
from harness.report.ties import Ranking, mixed, rank

TITLES = {"bredell": "Bredell et al. 2023", "dalal": "Dalal 2024", "sharpness": "Sharpness report"}


def paper_tables(groups: list[Group], only: str | None = None) -> list[Table]:
    """Return each table of the documents of which these groups have a measured cell.

    Where they have no cell of a block's own data, they may have some of its stand-in's. `only` is
    the name of the one that is wanted.
    """
    return [_table(sheet) for sheet in sheets(groups, only)]


def sheets(groups: list[Group], only: str | None = None) -> list[Sheet]:
    """Return the documents' tables, or one, of which these groups have a measured cell."""
    cells = by_key(groups)
    every = groupby(stood_in(published.rows(), cells), lambda each: (each.document, each.table))
    found = [Sheet(document, number, list(rows), cells) for (document, number), rows in every]
    return [sheet for sheet in found if sheet.measured and only in (None, sheet.name)]


def by_key(groups: Iterable[Group]) -> dict[Key, Cell]:
    """Return the cells by dataset, model and loss; of a loss twice, the one with a fixed β.

    A document that states weights is reproduced by them; the tuned cell stands in the grid's table.
    """
    cells: dict[Key, Cell] = {}
    for group in groups:
        for cell in group.cells:
            key = (group.dataset, group.model, cell.loss)
            if key not in cells or cell.protocol.get("beta") is not None:
                cells[key] = cell
    return cells


def _table(sheet: Sheet) -> Table:
    metrics = sheet.metrics()
    feet = footnotes(sheet.printed)
    rows: list[Row] = []
    for head, lines in sheet.blocks():
        rankings = {metric: _ranking(lines, metric) for metric in metrics}
        rows.append(head)
        for line in lines:
            mark = feet.marks.get((line.block, line.label), "")
            rows.append(replace(_row(line, metrics, rankings), marks=mark))
    return Table(
        sheet.name,
        title(sheet),
        caption(sheet.name, sheet.printed, sheet.measured),
        tuple(column for metric in metrics for column in _columns(metric, metrics[metric])),
        tuple(rows),
        (
            *choices(sheet.printed, sheet.cells),
            *feet.sentences,
            *signatures(sheet.printed, sheet.cells),
        ),
        first="Row",
        keys=KEYS,
    )


def title(sheet: Sheet) -> str:
    """Return the document and its number of the table."""
    return f"{TITLES[sheet.document]}, Table {sheet.number}"


def _columns(metric: str, comparable: bool) -> list[Column]:
    known = METRICS[metric]
    ours = Column(metric, known.label, known.unit, known.direction)
    theirs = Column(f"{metric}_published", known.label, known.unit, detail="published")
    found = [replace(ours, under="ours"), replace(theirs, under="printed")]
    if comparable:
        found.append(Column(f"{metric}_difference", "Δ", known.unit, under="Δ"))
    return [replace(column, over=ours.head) for column in found]


def _ranking(lines: list[Line], metric: str) -> Ranking:
    """Rank a block as the documents do, which print none of the learned losses bold."""
    present = {line.cell.id: line.cell for line in lines if line.cell and line.cell.measured}
    plain = [cell for cell in present.values() if not is_learned(cell.loss)]
    return rank(tuple(cell for cell in plain if not mixed((cell,), metric)), metric)


def _row(line: Line, metrics: dict[str, bool], rankings: dict[str, Ranking]) -> Row:
    entries = []
    for metric, comparable in metrics.items():
        mine = measured(line.cell, metric, rankings[metric])
        theirs = line.printed.get(metric)
        entries += [mine, printed(theirs)]
        if comparable:
            entries.append(difference(mine, theirs, metric))
    if line.cell is not None and line.cell.measured:
        first, *others = entries
        entries = [replace(first, note=f"β = {beta_text(line.cell)}; {first.note}"), *others]
    return Row(line.label, tuple(entries), line.loss, badge=line.state, keys=line.keys())
