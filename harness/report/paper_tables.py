"""The documents' tables in their own order: measured beside published."""

import math
from collections.abc import Iterable
from dataclasses import replace
from itertools import groupby

from harness.metrics import METRICS
from harness.report import published
from harness.report.advantage import home
from harness.report.collect import SEEDS_FOR_INTERVAL, Cell, Group
from harness.report.estimates import Ranking, estimate, half_width, rank
from harness.report.notes import label
from harness.report.published import Published
from harness.report.table import Column, Entry, Row, Table, number, plural, significant

TITLES = {"bredell": "Bredell et al. 2023", "dalal": "Dalal 2024", "sharpness": "Sharpness report"}
# Printed on a scale that the document does not state: a difference would mean nothing.
OTHER_SCALE = "fid"
Key = tuple[str, str, str]  # dataset, model, loss


def paper_tables(groups: list[Group]) -> list[Table]:
    """Return each table of the documents of which these groups have a measured cell."""
    cells = by_key(groups)
    tables = groupby(published.rows(), lambda each: (each.document, each.table))
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
    if not any(key in cells and cells[key].measured for key in map(_key, printed)):
        return None
    metrics = list(dict.fromkeys(each.metric for each in printed))
    rows: list[Row] = []
    for block, members in groupby(printed, lambda each: each.block):
        rows += _block(block, list(members), metrics, cells)
    measured = [cells[key] for key in dict.fromkeys(map(_key, printed)) if key in cells]
    return Table(
        f"{document}-table-{table}",
        f"{TITLES[document]}, Table {table}",
        _caption([cell for cell in measured if cell.measured]),
        tuple(column for metric in metrics for column in _columns(metric)),
        tuple(rows),
        _notes(printed),
        first="Row",
    )


def _key(each: Published) -> Key:
    return each.dataset, each.model, each.spec


def _columns(metric: str) -> list[Column]:
    known = METRICS[metric]
    ours = Column(metric, known.label, known.unit, known.direction)
    theirs = Column(f"{metric}_published", known.label, known.unit, detail="published")
    found = [replace(ours, under="ours"), replace(theirs, under="printed")]
    if not metric.startswith(OTHER_SCALE):
        found.append(Column(f"{metric}_difference", "Δ", known.unit, under="Δ"))
    return [replace(column, over=ours.head) for column in found]


def _block(
    block: str, members: list[Published], metrics: list[str], cells: dict[Key, Cell]
) -> list[Row]:
    keys = list(dict.fromkeys(map(_key, members)))
    present = tuple(cells[key] for key in keys if key in cells and cells[key].measured)
    rankings = {metric: rank(present, metric) for metric in metrics}
    rows = [Row(block, (), statement=f"{keys[0][0]} with {keys[0][1]}")]
    for (name, key), printed in groupby(members, lambda each: (each.row_label, _key(each))):
        values = {each.metric: each for each in printed}
        rows.append(_row(name, values, metrics, cells.get(key), rankings))
    return rows


def _row(
    name: str,
    printed: dict[str, Published],
    metrics: list[str],
    cell: Cell | None,
    rankings: dict[str, Ranking],
) -> Row:
    entries: list[Entry] = []
    for metric in metrics:
        mine = _measured(cell, metric, rankings[metric])
        theirs = printed.get(metric)
        entries += [mine, _printed(theirs)]
        if not metric.startswith(OTHER_SCALE):
            entries.append(_difference(mine, theirs, metric))
    state = "not run" if cell is None else cell.state or ("" if cell.measured else "not run")
    loss = "" if cell is None else cell.label
    return Row(name, tuple(entries), loss, badge=state)


def _measured(cell: Cell | None, metric: str, ranking: Ranking) -> Entry:
    """The mean with its spread over images, as the documents print it; seeds in the note."""
    if cell is None or not cell.measured or metric not in cell.finals:
        return Entry(note="not run")
    found = estimate(cell, metric)
    if not found.known:
        return Entry(note="not measured: its weights or its network were not at hand")
    decimals = METRICS[metric].decimals
    column = f"{metric}_std"
    images = float(cell.finals[column].mean()) if column in cell.finals else math.nan
    half = half_width(found)
    return Entry(
        number(found.mean, decimals),
        found.mean,
        significant(images) if math.isfinite(images) else "",  # as the documents print it
        images,
        bold=cell in ranking.winners,
        shaded=home(cell, metric),
        note=_interval(found.seeds, half, decimals),
    )


def _interval(seeds: int, half: float, decimals: int) -> str:
    if not math.isfinite(half):
        return f"{plural(seeds, 'seed')}: no interval"
    over = "seeds" if seeds >= SEEDS_FOR_INTERVAL else "images"
    return f"95 % interval of the mean over {over}: ± {number(half, decimals + 1)}"


def _printed(each: Published | None) -> Entry:
    if each is None:
        return Entry()
    return Entry(each.text, each.value, bold=bool(each.bold), note=" ".join(each.errata))


def _difference(mine: Entry, theirs: Published | None, metric: str) -> Entry:
    if theirs is None or not math.isfinite(mine.value):
        return Entry()
    difference = mine.value - theirs.value
    sign = "+" if difference > 0 else ""
    return Entry(f"{sign}{number(difference, METRICS[metric].decimals)}", difference)


def _caption(measured: list[Cell]) -> str:
    images = sorted({int(n) for cell in measured for n in cell.finals["images"].dropna()})
    seeds = sorted({len(cell.finals) for cell in measured})
    trained = f"{' or '.join(map(str, seeds))} {'seed' if seeds == [1] else 'seeds'}"
    counts = " to ".join(f"{n:,}" for n in dict.fromkeys((images[0], images[-1]))) if images else ""
    return (
        f"Measured on {counts or 'the'} test images, {trained}; "
        "± is the standard deviation over images, as the document prints it. Bold: best of its "
        "block and those tied with it. Δ: measured minus published."
    )


def _notes(printed: list[Published]) -> tuple[str, ...]:
    """Return the errata of the table, each once, after what it concerns."""
    concerned: dict[str, list[str]] = {}
    for each in printed:
        for sentence in each.errata:
            concerned.setdefault(sentence, []).append(label(each.metric))
    lines = [
        f"{', '.join(dict.fromkeys(names))}: {sentence}" for sentence, names in concerned.items()
    ]
    if any(each.metric.startswith(OTHER_SCALE) for each in printed):
        lines.append("No difference of FID is printed: the document does not state its scale.")
    if any(each.row_label.endswith("*") for each in printed):
        lines.insert(0, "* another architecture than its block's, as in the document.")
    return tuple(lines)
