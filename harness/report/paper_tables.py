"""The documents' tables in their own order: measured beside published."""

import math
from collections.abc import Iterable
from dataclasses import replace
from itertools import groupby

from harness.metrics import METRICS
from harness.report import published
from harness.report.advantage import home
from harness.report.collect import Cell, Group
from harness.report.estimates import Ranking, estimate, mixed, rank
from harness.report.means import Interval, interval, single_seeds
from harness.report.paper_notes import footnotes
from harness.report.paper_protocol import beta_text, caption, choices, signatures
from harness.report.published import Published
from harness.report.stand_ins import Key, stood_in
from harness.report.table import Column, Entry, Row, Table, number, plural, signed, significant

TITLES = {"bredell": "Bredell et al. 2023", "dalal": "Dalal 2024", "sharpness": "Sharpness report"}


def paper_tables(groups: list[Group]) -> list[Table]:
    """Return each table of the documents of which these groups have a measured cell.

    Where they have no cell of a block's own data, they may have some of its stand-in's.
    """
    cells = by_key(groups)
    printed = stood_in(published.rows(), cells)
    tables = groupby(printed, lambda each: (each.document, each.table))
    found = [_table(document, number_, list(rows), cells) for (document, number_), rows in tables]
    return [table for table in found if table is not None]


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


def _table(
    document: str, table: int, printed: list[Published], cells: dict[Key, Cell]
) -> Table | None:
    keys = dict.fromkeys(each.key for each in printed)
    measured = [cells[key] for key in keys if key in cells and cells[key].measured]
    if not measured:
        return None
    metrics = _metrics(printed)
    feet = footnotes(printed)
    rows: list[Row] = []
    for block, members in groupby(printed, lambda each: each.block):
        for row in _block(block, list(members), metrics, cells):
            rows.append(replace(row, marks=feet.marks.get((block, row.label), "")))
    return Table(
        f"{document}-table-{table}",
        f"{TITLES[document]}, Table {table}",
        caption(measured, metrics),
        tuple(column for metric in metrics for column in _columns(metric, metrics[metric])),
        tuple(rows),
        (*choices(printed, cells), *feet.sentences, *signatures(printed, cells)),
        first="Row",
    )


def _metrics(printed: list[Published]) -> dict[str, bool]:
    """Return the metrics in the document's order, and whether one of their numbers compares."""
    found: dict[str, bool] = {}
    for each in printed:
        found[each.metric] = found.get(each.metric, False) or each.comparable
    return found


def _columns(metric: str, comparable: bool) -> list[Column]:
    known = METRICS[metric]
    ours = Column(metric, known.label, known.unit, known.direction)
    theirs = Column(f"{metric}_published", known.label, known.unit, detail="published")
    found = [replace(ours, under="ours"), replace(theirs, under="printed")]
    if comparable:
        found.append(Column(f"{metric}_difference", "Δ", known.unit, under="Δ"))
    return [replace(column, over=ours.head) for column in found]


def _block(
    block: str, members: list[Published], metrics: dict[str, bool], cells: dict[Key, Cell]
) -> list[Row]:
    keys = list(dict.fromkeys(each.key for each in members))
    present = [cells[key] for key in keys if key in cells and cells[key].measured]
    rankings = {
        metric: rank(tuple(cell for cell in present if not mixed((cell,), metric)), metric)
        for metric in metrics
    }
    rows = [Row(block, (), statement=f"{keys[0][0]} with {keys[0][1]}")]
    for (name, key), printed in groupby(members, lambda each: (each.row_label, each.key)):
        values = {each.metric: each for each in printed}
        rows.append(_row(name, values, metrics, cells.get(key), rankings))
    return rows


def _row(
    name: str,
    printed: dict[str, Published],
    metrics: dict[str, bool],
    cell: Cell | None,
    rankings: dict[str, Ranking],
) -> Row:
    entries: list[Entry] = []
    for metric, comparable in metrics.items():
        mine = _measured(cell, metric, rankings[metric])
        theirs = printed.get(metric)
        entries += [mine, _printed(theirs)]
        if comparable:
            entries.append(_difference(mine, theirs, metric))
    if cell is not None and cell.measured:
        first, *others = entries
        entries = [replace(first, note=f"β = {beta_text(cell)}; {first.note}"), *others]
    state = "not run" if cell is None else cell.state or ("" if cell.measured else "not run")
    loss = "" if cell is None else cell.label
    return Row(name, tuple(entries), loss, badge=state)


def _measured(cell: Cell | None, metric: str, ranking: Ranking) -> Entry:
    """The mean with its spread over images, as the documents print it; seeds in the note."""
    if cell is None or not cell.measured or metric not in cell.finals:
        return Entry(note="not run")
    if mixed((cell,), metric):
        return Entry(note="several signatures")
    found = estimate(cell, metric)
    if not found.known:
        return Entry(note="not measured: its weights or its network were not at hand")
    decimals = METRICS[metric].decimals
    seeds = single_seeds(cell.finals, metric)
    column = f"{metric}_std"
    images = float(cell.finals[column].mean()) if column in cell.finals else math.nan
    within = interval(cell, metric)
    return Entry(
        number(found.mean, decimals),
        found.mean,
        significant(images) if math.isfinite(images) else "",  # as the documents print it
        images,
        within.low,
        within.high,
        bold=cell in ranking.bold,
        shaded=home(cell, metric),
        note=f"{_interval(within, cell, metric)}{f'; seeds: {seeds}' if seeds else ''}",
    )


def _interval(found: Interval, cell: Cell, metric: str) -> str:
    if found.over == "none":
        return f"{plural(estimate(cell, metric).seeds, 'seed')}: no interval"
    ends = (number(end, METRICS[metric].decimals + 1) for end in (found.low, found.high))
    return f"95 % interval of the mean over {found.over}: {' to '.join(ends)}"


def _printed(each: Published | None) -> Entry:
    if each is None:
        return Entry()
    return Entry(each.text, each.value, bold=bool(each.bold), note=" ".join(each.errata))


def _difference(mine: Entry, theirs: Published | None, metric: str) -> Entry:
    if theirs is None or not math.isfinite(mine.value):
        return Entry()
    if not theirs.comparable:
        return Entry(note="the document's number is not comparable")
    difference = mine.value - theirs.value
    return Entry(signed(difference, METRICS[metric].decimals), difference)
