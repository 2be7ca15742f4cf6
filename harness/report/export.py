"""A table as Markdown, LaTeX (booktabs only) and CSV."""

import csv
import io
import math
from itertools import groupby

from harness.report.advantage import is_learned
from harness.report.latex import latex_escape
from harness.report.table import MISSING, Column, Entry, Row, Table

# Of a table with more columns than that the type is smaller.
MANY = 10


def to_latex(table: Table) -> str:
    """Return a `table` that needs only the booktabs package; a wide one spans both columns."""
    columns = "l" + "".join("l" if column.text else "r" for column in table.columns)
    width = len(table.columns)
    caption = " ".join([table.title + ".", table.caption])
    environment, size = "table", r"\scriptsize\setlength{\tabcolsep}{3pt}"
    if width > MANY:
        environment, size = "table*", r"\tiny\setlength{\tabcolsep}{1.5pt}"
    body = []
    for above, row in zip((None, *table.rows), table.rows, strict=False):
        body += [*_rule(above, row), _latex_row(row, width)]
    return "\n".join(
        [
            r"% needs \usepackage{booktabs}",
            rf"\begin{{{environment}}}[t]",
            rf"\centering{size}",
            rf"\caption{{{latex_escape(caption)}}}",
            rf"\label{{tab:{''.join(c if c.isalnum() else '-' for c in table.name)}}}",
            rf"\begin{{tabular}}{{@{{}}{columns}@{{}}}}",
            r"\toprule",
            *_latex_head(table),
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            *_latex_notes(table),
            rf"\end{{{environment}}}",
            "",
        ]
    )


def _latex_head(table: Table) -> list[str]:
    """Return one line of heads, or two where columns stand under a common one."""
    plain = [column.under or column.head for column in table.columns]
    lower = rf"{' & '.join(map(latex_escape, [table.first, *plain]))} \\"
    if not any(column.over for column in table.columns):
        return [lower]
    upper, rules, place = [""], [], 2
    for over, members in groupby(table.columns, lambda column: column.over):
        count = len(list(members))
        upper.append(rf"\multicolumn{{{count}}}{{c}}{{{latex_escape(over)}}}")
        if over:
            rules.append(rf"\cmidrule(lr){{{place}-{place + count - 1}}}")
        place += count
    return [rf"{' & '.join(upper)} \\", "".join(rules), lower]


def _latex_notes(table: Table) -> list[str]:
    """Below the table: LaTeX first sets a caption as one line, which has to stay below 5.7 m."""
    if not table.notes:
        return []
    notes = [rf"{latex_escape(note)}\par" for note in table.notes]
    return [
        r"\par\smallskip",
        r"\begin{minipage}{\linewidth}\scriptsize",
        *notes,
        r"\end{minipage}",
    ]


def _rule(above: Row | None, row: Row) -> list[str]:
    """Return the rule above the learned losses, which stand last in a table or a block."""
    plain = above is not None and above.loss and not is_learned(above.loss)
    return [r"\midrule"] if plain and is_learned(row.loss) else []


def _latex_row(row: Row, width: int) -> str:
    name = latex_escape(_row_name(row))
    if row.statement:
        said = rf"\multicolumn{{{width}}}{{l}}{{{latex_escape(row.statement)}}}"
        return rf"\addlinespace {name} & {said} \\"
    return " & ".join([name, *map(_latex_entry, row.entries)]) + r" \\"


def _latex_entry(entry: Entry) -> str:
    text = latex_escape(entry.text)
    text = rf"\textbf{{{text}}}" if entry.bold else text
    spread = rf"{{\tiny\,$\pm$\,{latex_escape(entry.spread)}}}" if entry.spread else ""
    shade = r"\textit{" + text + "}" if entry.shaded else text
    return shade + spread + latex_escape(entry.marks)


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
    name = _row_name(row)
    if row.statement:
        return [name, f"*{row.statement}*", *[""] * (width - 1)]
    return [name, *map(_markdown_entry, row.entries)]


def _markdown_entry(entry: Entry) -> str:
    text = f"**{entry.text}**" if entry.bold else entry.text
    text = f"*{text}*" if entry.shaded else text
    return text + (f" ± {entry.spread}" if entry.spread else "") + entry.marks


def _row_name(row: Row) -> str:
    return row.label + row.marks + (f" ({row.badge})" if row.badge else "")


def to_csv(table: Table) -> str:
    """Return full-precision numbers: each column with its spread and whether it is bold.

    A column whose numbers have intervals has their ends too.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    numeric = [(place, column) for place, column in enumerate(table.columns) if not column.text]
    ended = [place for place, _ in numeric if _has_interval(table, place)]
    header = [name for place, column in numeric for name in _csv_names(column, place in ended)]
    words = [column.key for column in table.columns if column.text]
    writer.writerow([table.first.lower(), "status", *words, *header])
    for row in table.rows:
        writer.writerow(_csv_row(row, table, ended))
    return stream.getvalue()


def _has_interval(table: Table, place: int) -> bool:
    return any(math.isfinite(row.entries[place].low) for row in table.rows if row.entries)


def _csv_names(column: Column, ended: bool) -> list[str]:
    name = f"{column.key}[{column.detail}]" if column.detail else column.key
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
    return [row.label, status, *words, *cells]


def _csv_entry(entry: Entry, ended: bool) -> list[str]:
    ends = [entry.low, entry.high] if ended else []
    numbers = [
        repr(float(value)) if math.isfinite(value) else ""
        for value in (entry.value, entry.spread_value, *ends)
    ]
    return [*numbers, "yes" if entry.bold else ""]
