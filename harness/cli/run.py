"""`harness run`: train what is missing of a grid."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from harness.cli import options as shared
from harness.cli import output
from harness.errors import Interrupted

if TYPE_CHECKING:
    from rich.console import Console

    from harness.grid import Grid
    from harness.launch import Summary
    from harness.run import Options, Todo
    from harness.settled import Settled


def run(
    grid: Annotated[
        str | None,
        typer.Option(
            "--grid", "-g", help="Grid by name or TOML file.", autocompletion=shared.complete_grid
        ),
    ] = None,
    dataset: Annotated[
        list[str] | None,
        typer.Option(help="Dataset, repeatable.", autocompletion=shared.complete_dataset),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(help="Model, repeatable.", autocompletion=shared.complete_model),
    ] = None,
    loss: Annotated[
        list[str] | None,
        typer.Option(help="Loss or weighted sum, repeatable.", autocompletion=shared.complete_loss),
    ] = None,
    plugin: shared.Plugins = None,
    name: Annotated[str, typer.Option(help="Name of a grid made of options alone.")] = "quick",
    size: Annotated[int | None, typer.Option(help="Image size of the datasets.")] = None,
    trials: Annotated[int | None, typer.Option(help="Values of β tried per cell.")] = None,
    seeds: Annotated[int | None, typer.Option(help="Final models per cell.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs of a final model.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Any key of the protocol, KEY=VALUE.")
    ] = None,
    only: Annotated[
        str | None, typer.Option(help="Run only cells whose id matches this glob.")
    ] = None,
    rerun: Annotated[
        str, typer.Option(help="What runs again: missing, failed, stale or all.")
    ] = "missing",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    jobs: Annotated[int | None, typer.Option("--jobs", "-j", help="Cells at once.")] = None,
    timeout: Annotated[float | None, typer.Option(help="Minutes per cell.")] = None,
    keep_models: Annotated[str, typer.Option(help="all, first-seed or none.")] = "all",
    results: shared.Results = Path("results"),
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-n", help="Show cells, time and memory; run nothing.")
    ] = False,
    json: shared.Json = False,
) -> None:
    """Train what is missing of a grid of losses × datasets × models and store every result."""
    if not (dry_run or any(results.glob("*/_grid.json"))):  # surely something to run
        _warm_up()
    from harness import launch, plugins
    from harness.run import Options, check
    from harness.settled import settled

    plugins.load_all(plugin)
    axes = launch.Axes(dataset or [], model or [], loss or [], size)
    given = {"trials": trials, "seeds": seeds, "epochs": epochs}
    found = launch.make_grid(grid, name, axes, given, set_ or [])
    limit = None if timeout is None else timeout * 60
    joins = grid is None or bool(dataset or model or loss)
    options = Options(
        results, device, jobs, limit, only, rerun, keep_models, launch.command(), joins
    )
    check(options)
    if not dry_run:
        before = settled(found, options)
        if before is not None:
            _nothing_left(before, options, json)
        _warm_up()
    _run(found, options, dry_run, json)


def _warm_up() -> None:
    """Begin to import torch for the cells' processes before it is imported here: side by side."""
    from harness.engines.forkserver import warm_up

    warm_up()


def _nothing_left(found: "Settled", options: "Options", json: bool) -> None:
    from harness import launch
    from harness.settled import close
    from harness.terminal.wording import plural

    close(found, options)
    console = output.console(stderr=json)
    cells = plural(len(found.known), "cell")
    console.print(f"{found.store.name} · {cells} done before: nothing left to run", highlight=False)
    _end(console, launch.summarise(found.known, found.store, found.rows, options), json)


def _run(found: "Grid", options: "Options", dry_run: bool, json: bool) -> None:
    from harness import launch
    from harness.run import prepare
    from harness.terminal import screens

    console = output.console(stderr=json)
    if not dry_run:
        _ready(console, found, options)
    try:
        with _busy(console):
            todo = prepare(found, options)
            expected = launch.expect(todo)
    except KeyboardInterrupt:
        raise Interrupted("nothing was trained yet; the same command begins anew") from None
    console.print(screens.headline(todo, expected), highlight=False, markup=False, soft_wrap=True)
    if dry_run:
        records = screens.dry_run(todo, expected)
        if json:
            output.show_json(launch.dry_run(records, expected))
        else:
            screens.table(console, records)
        console.print(launch.cost(expected), highlight=False)
        return
    runs = {item.cell.id for item in todo.chosen}
    left = {cell: state for cell, state in todo.progress.items() if cell not in runs}
    for line in screens.already(left):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    _end(console, _execute(console, todo, options), json)


@contextmanager
def _busy(console: "Console") -> Iterator[None]:
    """Say on a terminal what takes its time before the first line."""
    if not output.lively(console):
        yield
        return
    with console.status("checking the cells and timing a step of each model"):
        yield


def _ready(console: "Console", found: "Grid", options: "Options") -> None:
    from harness.run import ready
    from harness.terminal.decoded import Decoded

    with Decoded(console, output.lively(console)) as shown:
        ready(found, options, shown.tell)


def _end(console: "Console", summary: "Summary", json: bool) -> NoReturn:
    if json:
        output.show_json(summary.plain())
    for line in summary.lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    raise typer.Exit(summary.exit_code)


def _execute(console: "Console", todo: "Todo", options: "Options") -> "Summary":
    from harness import launch
    from harness.run import execute
    from harness.terminal.board import make_board
    from harness.terminal.progress import Bars, Lines

    board = make_board(todo.chosen, todo.progress, todo.rows, anew=options.rerun == "all")
    view = Bars if output.lively(console) else Lines
    with view(console, board) as shown:
        rows = execute(todo, options, shown.tell)
    return launch.summarise([item.known for item in todo.cells], todo.store, rows, options)
