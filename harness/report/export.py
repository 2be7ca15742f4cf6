"""A table as Markdown, LaTeX (booktabs only) and CSV."""

import csv
import io
import math

from harness.report.latex_table import to_latex
from harness.report.table import MISSING, Column, Entry, Row, Table

__all__ = ["to_csv", "to_latex", "to_markdown"]


def to_markdown(table: Table) -> str:
    """Return a pipe table with caption and notes."""
    columns = [table.first, *(column.head for column in table.columns)]
    rule = [":--", *(":--" if column.text else "--:" for column in table.columns)]
    lines = [columns, rule, *(_markdown_row(row, len(table.columns)) for row in table.rows)]
    body = "\n".join(
        "| " + " | ".join(cell.replace("|", r"\|") for cell in x) + " |" for x in lines
    )
    notes = "\n".join(f"- {note}" for note in table.notes)
    return f"**{table.title}.** {table.caption}\n\n{body}\n\n{notes}\n"


def _markdown_row(row: Row, width: int) -> list[str]:
    if row.statement:
        return [row.name, f"*{row.statement}*", *[""] * (width - 1)]
    return [row.name, *map(_markdown_entry, row.entries)]


def _markdown_entry(entry: Entry) -> str:
    text = f"**{entry.text}**" if entry.bold else entry.text
    text = f"*{text}*" if entry.shaded else text
    return text + (f" ± {entry.spread}" if entry.spread else "") + entry.marks


def to_csv(table: Table) -> str:
    """Return full-precision numbers: each column with its spread and whether it is bold.

    A column whose numbers have intervals has their ends too. A row that only heads others is left
    out: what it says, the table's keys say of each of them.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    numeric = [(place, column) for place, column in enumerate(table.columns) if not column.text]
    ended = [place for place, _ in numeric if _has_interval(table, place)]
    header = [name for place, column in numeric for name in _csv_names(column, place in ended)]
    words = [column.key for column in table.columns if column.text]
    writer.writerow([table.first.lower(), *table.keys, "status", *words, *header])
    for row in table.rows:
        if row.loss or not row.statement:
            writer.writerow(_csv_row(row, table, ended))
    return stream.getvalue()


def _has_interval(table: Table, place: int) -> bool:
    return any(math.isfinite(row.entries[place].low) for row in table.rows if row.entries)


def _csv_names(column: Column, ended: bool) -> list[str]:
    named = column.detail and column.detail not in column.key
    name = f"{column.key}[{column.detail}]" if named else column.key
    ends = [f"{name}_low", f"{name}_high"] if ended else []
    return [name, f"{name}_spread", *ends, f"{name}_best"]


def _csv_row(row: Row, table: Table, ended: list[int]) -> list[str]:
    status = row.statement or row.badge or ("ok" if row.loss else "")
    entries = row.entries or (Entry(),) * len(table.columns)
    pairs = list(zip(table.columns, entries, strict=True))
    words = ["" if entry.text == MISSING else entry.text for column, entry in pairs if column.text]
    cells = [
        text
        for place, (column, entry) in enumerate(pairs)
        if not column.text
        for text in _csv_entry(entry, place in ended)
    ]
    return [row.label, *row.keys, status, *words, *cells]


def _csv_entry(entry: Entry, ended: bool) -> list[str]:
    ends = [entry.low, entry.high] if ended else []
    numbers = [
        repr(float(value)) if math.isfinite(value) else ""
        for value in (entry.value, entry.spread_value, *ends)
    ]
    return [*numbers, "yes" if entry.bold else ""]
