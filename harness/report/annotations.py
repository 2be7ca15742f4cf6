"""What the page adds to a grid's main table: the documents' numbers."""

from dataclasses import dataclass

from harness.metrics import METRICS
from harness.report import published
from harness.report.collect import Group
from harness.report.notes import label
from harness.report.paper_tables import TITLES, by_key
from harness.report.published import Published
from harness.report.table import Entry, Table, number

Place = tuple[str, str]  # the row's label, the column's key


@dataclass(frozen=True)
class Beside:
    """Published numbers by their place in a table, and the documents' tables they are from.

    `sources` also names the metrics without a difference.
    """

    texts: dict[Place, str]
    sources: str


def beside(group: Group, table: Table) -> Beside:
    """Return what documents print of the group's cells, each with our difference to it.

    A metric that stands there with several signatures has none, since it is not known which of
    them the document's is; a number that an erratum calls not comparable, as FID, whose printed
    scale is not known, has no difference, which the sources say.
    """
    cells = by_key([group])
    printed: dict[Place, Published] = {}
    for each in published.rows():
        cell = cells.get(each.key)
        if cell is not None and cell.measured:
            printed.setdefault((cell.label, each.metric), each)
    shown = {
        (row.label, column.key): (printed[row.label, column.key], entry)
        for row in table.rows
        for column, entry in zip(table.columns, row.entries, strict=False)
        if not column.detail and (row.label, column.key) in printed
    }
    tables = dict.fromkeys((each.document, each.table) for each, _ in shown.values())
    sources = "; ".join(f"{TITLES[document]}, Table {table_}" for document, table_ in tables)
    lacking = dict.fromkeys(label(each.metric) for each, _ in shown.values() if not each.comparable)
    if lacking:
        sources += (
            f"; no difference where the printed number is not comparable: {', '.join(lacking)}"
        )
    return Beside({place: _text(*pair) for place, pair in shown.items()}, sources)


def _text(each: Published, entry: Entry) -> str:
    value = each.text.replace("-", "−")
    if not each.comparable or entry.value != entry.value:
        return value
    difference = number(entry.value - each.value, METRICS[each.metric].decimals)
    return f"{value}; Δ {difference if difference.startswith('−') else '+' + difference}"
