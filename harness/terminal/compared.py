"""Two grids side by side on the terminal: the answer first, then what it rests on."""

from collections.abc import Sequence

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from harness.comparing import Comparison, Side
from harness.report.changes import CHANGED
from harness.report.collect import Cell
from harness.terminal.contrast import (
    NUMBERED,
    Record,
    cost_record,
    difference,
    metric_record,
    sentences,
    unnumbered,
    where,
)
from harness.terminal.wording import plural, short_names

_STYLES = {"better": "green", "worse": "red", "faster": "green", "slower": "red"}
_NUMERIC = {"A", "B", "B − A", "95 % interval", "p", "β A", "β B", "time B / A", "MiB A", "MiB B"}


def show(console: Console, found: Comparison, *, changed: bool = False) -> None:
    """Print a comparison; with `changed` only the metrics and costs that changed beyond noise."""
    names = short_names([pair.a.id for pair in found.pairing.pairs])
    for side, name in ((found.a, "A"), (found.b, "B")):
        _print(console, Text.assemble((f"{name}  ", "bold"), _side(side)))
    console.print()
    for sentence in sentences(found):
        _print(console, Text(sentence))
    _circumstances(console, found, names)
    shown = [each for each in found.changes if each.word in (CHANGED if changed else NUMBERED)]
    _table(console, "metrics", [metric_record(each, names) for each in shown], console.is_terminal)
    if not changed:
        _without_numbers(console, found, names)
    states = [(names[each.cell], f"{each.a} → {each.b}", each.causes) for each in found.statuses]
    _facts(console, "other state", [": ".join([*x[:2], *x[2][:1]]) for x in states])
    spent = [each for each in found.costs if not changed or each.word in _STYLES]
    _table(console, "β and cost", [cost_record(each, names) for each in spent])
    for alone, name in ((found.pairing.only_a, "A"), (found.pairing.only_b, "B")):
        _facts(console, f"only in {name}", [_alone(cell) for cell in alone])


def _print(console: Console, text: Text) -> None:
    console.print(text, soft_wrap=not console.is_terminal)


def _side(side: Side) -> str:
    counts = f"{plural(side.cells, 'cell')}, {plural(side.rows, 'row')} of trials and finals"
    when = side.newest[:16].replace("T", " ")
    return f"{side.root} · {counts}, the newest of {when} UTC"


def _circumstances(console: Console, found: Comparison, names: dict[str, str]) -> None:
    pairs = len(found.pairing.pairs)
    lines = [
        f"{difference(each)}  ({where(each.cells, names, pairs)})" for each in found.circumstances
    ]
    _facts(console, "how they were made differs", lines)


def _without_numbers(console: Console, found: Comparison, names: dict[str, str]) -> None:
    for verdict, lines in unnumbered(found, names).items():
        _facts(console, verdict, lines)


def _alone(cell: Cell) -> str:
    return f"{cell.id}  ({cell.state or 'ok'})"


def _facts(console: Console, title: str, lines: Sequence[str]) -> None:
    if not lines:
        return
    _title(console, title)
    for line in lines:
        if console.is_terminal:
            console.print(Padding(Text(line), (0, 0, 0, 2)))
        else:
            _print(console, Text(f"  {line}"))


def _title(console: Console, title: str) -> None:
    console.print()
    console.print(title, style="bold", highlight=False)


def _table(console: Console, title: str, records: list[Record], headed: bool = False) -> None:
    """Print records in columns, the cell in each line or, where they are `headed`, above its own.

    A terminal too narrow for the cell beside the columns has it above them.
    """
    if not records:
        return
    _title(console, title)
    names = [name for name in records[0] if name != "cell"]
    widths = {name: max(len(name), *(len(each[name]) for each in records)) for name in names}
    beside = {"cell": max(len(each["cell"]) for each in records)} | widths
    if not headed and len(_line(records[0], beside)) <= console.width:
        widths = beside
    console.print(
        _line({name: name for name in ("cell", *names)}, widths), style="dim", soft_wrap=True
    )
    cell = ""
    for each in records:
        if "cell" not in widths and each["cell"] != cell:
            cell = each["cell"]
            console.print(Text(cell, "bold"), soft_wrap=True)
        console.print(_line(each, widths), soft_wrap=True)


def _line(record: Record, widths: dict[str, int]) -> Text:
    parts = [
        record[name].rjust(width) if name in _NUMERIC else record[name].ljust(width)
        for name, width in widths.items()
    ]
    last = record[""]
    text = Text("  " + "  ".join(parts).rstrip())
    if last in _STYLES:
        text.stylize(_STYLES[last], len(text) - len(last))
    return text
