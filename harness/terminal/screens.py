"""Tables and summaries on the terminal, made from plain records."""

from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from harness.specs import format_value
from harness.terminal import wording

if TYPE_CHECKING:
    from harness.estimate import Estimate
    from harness.plan import Progress
    from harness.run import Todo

_STATES = {"done": "green", "failed": "red", "stale": "yellow", "partial": "cyan"}


def table(console: Console, records: list[dict[str, Any]], title: str = "") -> None:
    """Print records of one shape as a table."""
    if not records:
        console.print("nothing here")
        return
    shown = Table(title=title or None, title_justify="left", box=None, pad_edge=False)
    for key, value in records[0].items():
        numeric = isinstance(value, (int, float)) and not isinstance(value, bool)
        shown.add_column(key, justify="right" if numeric else "left", overflow="fold")
    for record in records:
        shown.add_row(*(_cell(value) for value in record.values()))
    if (
        Measurement.get(console, console.options.update(max_width=10_000), shown).maximum
        <= console.width
    ):
        console.print(shown)
        return
    for record in records:  # too wide for this terminal: a few lines per record
        name, *rest = record.values()
        console.print(_cell(name), style="bold")
        said = [(key, _cell(v)) for key, v in zip(list(record)[1:], rest, strict=True)]
        line = Text(" · ").join([Text(f"{key} ").append_text(text) for key, text in said if text])
        console.print(Padding(line, (0, 0, 0, 2)))


def _cell(value: Any) -> Text:
    if value is None or value != value:
        return Text("")
    if isinstance(value, bool):
        return Text("yes" if value else "")
    if isinstance(value, float):
        return Text(f"{value:.4g}")
    return Text(str(value), style=_STATES.get(str(value), ""))


def headline(todo: "Todo", expected: "Estimate | None") -> str:
    """Return the first line of a run: what, how much, where, how long."""
    cells = [item.cell for item in todo.cells]
    counts = [
        wording.plural(len({cell.loss_spec for cell in cells}), "loss"),
        wording.plural(len({cell.dataset.spec for cell in cells}), "dataset"),
        wording.plural(len({cell.model.spec for cell in cells}), "model"),
    ]
    first = cells[0].protocol
    models = [
        wording.plural(first.trials, "trial") if first.tuned else "fixed β",
        wording.plural(first.seeds, "seed"),
    ]
    if first.curve_points:
        models.append(wording.plural(first.curve_points, "curve point"))
    parts = [
        todo.grid.name,
        wording.plural(len(cells), "cell"),
        " × ".join(counts),
        f"{' + '.join(models)} each",
        _where(todo),
    ]
    if expected is not None:
        parts.append(f"about {wording.duration(expected.seconds)}")
    return " · ".join(parts)


def _where(todo: "Todo") -> str:
    device = todo.slots[0].partition(":")[0]
    threads = wording.plural(todo.threads, "thread")
    return f"{device}, {wording.plural(len(todo.slots), 'cell')} at once, {threads} each"


def already(progress: "dict[str, Progress]") -> list[str]:
    """Return a line for each kind of cell that a plain run does not touch."""
    states = [item.state for item in progress.values()]
    lines = []
    if states.count("done"):
        lines.append(f"{wording.plural(states.count('done'), 'cell')} done before")
    if states.count("failed"):
        failed = wording.plural(states.count("failed"), "cell")
        lines.append(f"{failed} failed before: try again with --rerun failed")
    if states.count("stale"):
        stale = wording.plural(states.count("stale"), "cell")
        why = next(item.stale for item in progress.values() if item.stale)
        lines.append(f"{stale} stale ({why}): train again with --rerun stale")
    return lines


def dry_run(todo: "Todo", expected: "Estimate") -> list[dict[str, Any]]:
    """Return a record per cell: its state, whether it would run, and what it would take."""
    chosen = {item.cell.id for item in todo.chosen}
    curves = any(item.points for item in todo.cells)
    records = []
    for item in todo.cells:
        bounds = item.beta_range
        records.append(
            {
                "cell": item.cell.id,
                "state": todo.progress[item.cell.id].state,
                "runs": item.cell.id in chosen and not item.missing,
                "trials": item.trials,
                "seeds": item.cell.protocol.seeds,
                **({"points": item.points} if curves else {}),
                "β": f"{bounds[0]:.3g} … {bounds[1]:.3g}" if bounds else _fixed(item),
                "images": item.images[0],
                "parameters": item.parameters,
                "images/s": expected.speeds.get(item.cell.id),
                "note": item.missing or todo.progress[item.cell.id].failed or "",
            }
        )
    return records


def _fixed(item: Any) -> str:
    beta = item.cell.protocol.beta
    return "" if beta is None else f"{beta:g} (fixed)"


def status(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the status of cells as a table shows it: counts as in `3/3`, of curves where any."""
    counts = ("trials", "seeds", "points")
    hidden = () if any(record["points"]["of"] for record in records) else ("points",)
    shown = [
        record | {name: f"{record[name]['done']}/{record[name]['of']}" for name in counts}
        for record in records
    ]
    return [{key: value for key, value in each.items() if key not in hidden} for each in shown]


def cell(console: Console, record: dict[str, Any]) -> None:
    """Print everything known of one cell."""
    console.print(record["cell"], style="bold", highlight=False)
    console.print(f"state: {record['state']}  {record['why']}", highlight=False, markup=False)
    for name in ("dataset", "model", "loss", "protocol", "provenance"):
        console.print(f"\n{name}", style="bold")
        for key, value in record[name].items():
            console.print(f"  {key:<18} {value}", highlight=False, markup=False)
    for stage in ("tune", "final", *(["curve"] if record["curve"] else [])):
        console.print(f"\n{stage}", style="bold")
        table(console, record[stage])
    console.print("\nfiles", style="bold")
    for path in record["files"]:
        console.print(f"  {path}", highlight=False, markup=False)
    if record["log"]:
        console.print("\nend of the log", style="bold")
        for line in record["log"]:
            console.print(f"  {line}", highlight=False, markup=False)


def component(console: Console, record: dict[str, Any]) -> None:
    """Print what is known of one component, grid or metric, its options as a table."""
    about = record.get("about", "")
    apart = ("options", "about", "what") if about else ("options",)
    facts(console, {key: value for key, value in record.items() if key not in apart})
    if about:
        console.print(f"\n{about}", highlight=False, markup=False)
    if not record.get("options"):
        if "options" in record:
            console.print("it has no options")
        return
    console.print()
    shown = [
        {
            "option": option["option"],
            "default": "must be given" if option["required"] else format_value(option["default"]),
            "type": option["type"],
        }
        for option in record["options"]
    ]
    table(console, shown)


def facts(console: Console, record: dict[str, Any], indent: str = "") -> None:
    """Print nested facts, one per line."""
    width = max(18, *map(len, record)) if record else 18
    for key, value in record.items():
        if isinstance(value, dict):
            console.print(f"{indent}{key}", style="bold")
            facts(console, value, indent + "  ")
        else:
            shown = {True: "yes", False: "no"}[value] if isinstance(value, bool) else value
            console.print(f"{indent}{key:<{width}} {shown}", highlight=False, markup=False)
