"""A table in LaTeX that needs the booktabs package alone and fits the text of an article."""

from collections.abc import Sequence
from itertools import groupby

from harness.report.advantage import is_learned
from harness.report.latex import latex_escape, latex_prose
from harness.report.latex_layout import HALF, Layout, Setting, Span, layout
from harness.report.table import Entry, Row, Table


def to_latex(table: Table) -> str:
    """Return a float at most as wide as the text of an article in one column, 345 pt.

    Its type is the largest at which all columns fit, else they stand in several tabulars one above
    the other, each with the names of the rows. What is too wide for a column of an article in two
    spans both.
    """
    found = layout(table)
    size = found.setting.size
    environment = "table" if found.width <= HALF else "table*"
    caption = " ".join([table.title + ".", table.caption])
    return "\n".join(
        [
            r"% needs \usepackage{booktabs}",
            rf"\begin{{{environment}}}[t]",
            rf"\centering{size.command}\setlength{{\tabcolsep}}{{{size.gap:g}pt}}",
            rf"\caption{{{latex_prose(caption)}}}",
            rf"\label{{tab:{''.join(c if c.isalnum() else '-' for c in table.name)}}}",
            r"\smallskip",
            *_panels(table, found),
            *_notes(table),
            rf"\end{{{environment}}}",
            "",
        ]
    )


def _panels(table: Table, found: Layout) -> list[str]:
    lines: list[str] = []
    for span in found.panels:
        lines += [*([r"\par\medskip"] if lines else []), *_tabular(table, found.setting, span)]
    return lines


def _tabular(table: Table, setting: Setting, span: Span) -> list[str]:
    columns = "l" + "".join(_side(table, place) for place in span)
    body: list[str] = []
    for above, row in zip((None, *table.rows), table.rows, strict=False):
        body += [*_rule(above, row), _row(row, setting, span)]
    return [
        rf"\begin{{tabular}}{{@{{}}{columns}@{{}}}}",
        r"\toprule",
        *_head(table, setting, span),
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}",
    ]


def _side(table: Table, place: int) -> str:
    return "l" if table.columns[place].text else "r"


def _head(table: Table, setting: Setting, span: Span) -> list[str]:
    """Return one line of heads, or two where columns stand under a common one."""
    first = _stacked(setting.lines(table.first, setting.names), "l", "b")
    heads = [first, *(_column_head(table, setting, place) for place in span)]
    lower = rf"{' & '.join(heads)} \\"
    columns = [table.columns[place] for place in span]
    if not any(column.over for column in columns):
        return [lower]
    upper, rules, place = [""], [], 2
    for over, run in groupby(span, lambda each: table.columns[each].over):
        members = tuple(run)
        head = _stacked(setting.lines(over, setting.across(members)), "c", "b")
        upper.append(rf"\multicolumn{{{len(members)}}}{{c}}{{{head}}}")
        if over:
            rules.append(rf"\cmidrule(lr){{{place}-{place + len(members) - 1}}}")
        place += len(members)
    return [rf"{' & '.join(upper)} \\", "".join(rules), lower]


def _column_head(table: Table, setting: Setting, place: int) -> str:
    column = table.columns[place]
    lines = setting.lines(column.under or column.head, setting.columns[place])
    return _stacked(lines, _side(table, place), "b")


def _stacked(lines: Sequence[str], side: str, rise: str, *, bold: bool = False) -> str:
    """Return lines one above the other; in a row the first (t) or the last (b) is on its line."""
    written = [_line(line, bold=bold) for line in lines]
    if len(written) == 1:
        return written[0]
    inside = r"\\".join(written)
    return rf"\begin{{tabular}}[{rise}]{{@{{}}{side}@{{}}}}{inside}\end{{tabular}}"


def _line(text: str, *, bold: bool) -> str:
    """Return a text safe at the beginning of a line, where LaTeX takes [ and * for options."""
    safe = "{}" * text.startswith(("[", "*")) + latex_escape(text)
    return rf"\textbf{{{safe}}}" if bold else safe


def _rule(above: Row | None, row: Row) -> list[str]:
    """Return the rule above the learned losses, which stand last in a table or a block."""
    plain = above is not None and above.loss and not is_learned(above.loss)
    return [r"\midrule"] if plain and is_learned(row.loss) else []


def _row(row: Row, setting: Setting, span: Span) -> str:
    name = _stacked(setting.lines(row.name, setting.names), "l", "t")
    if row.statement:
        lines = setting.lines(row.statement, setting.statement(span))
        said = rf"\multicolumn{{{len(span)}}}{{l}}{{{_stacked(lines, 'l', 't')}}}"
        return rf"\addlinespace {name} & {said} \\"
    entries = (_entry(row.entries[place], setting, place) for place in span)
    return " & ".join([name, *entries]) + r" \\"


def _entry(entry: Entry, setting: Setting, place: int) -> str:
    side = "l" if setting.table.columns[place].text else "r"
    text = _stacked(setting.entry_lines(entry, place), side, "t", bold=entry.bold)
    spread = rf"{{\tiny\,$\pm$\,{latex_escape(entry.spread)}}}" if entry.spread else ""
    shade = r"\textit{" + text + "}" if entry.shaded else text
    return shade + spread + latex_escape(entry.marks)


def _notes(table: Table) -> list[str]:
    """Below the table: LaTeX first sets a caption as one line, which has to stay below 5.7 m."""
    if not table.notes:
        return []
    notes = [rf"{latex_prose(note)}\par" for note in table.notes]
    return [
        r"\par\smallskip",
        r"\begin{minipage}{\linewidth}\scriptsize",
        *notes,
        r"\end{minipage}",
    ]
