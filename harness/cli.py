"""The command line: parses, calls, prints; the logic lives elsewhere."""

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from harness.grid import Grid
    from harness.run import Options, Todo

PIPE_WIDTH = 1000

app = typer.Typer(
    name="harness",
    help="Which reconstruction loss should I train my VAE with, and what does it cost me?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _names(kind: str, incomplete: str) -> list[str]:
    from harness.inventory import listing

    return [r["name"] for r in listing(kind) if r["name"].startswith(incomplete)]


def _complete_loss(incomplete: str) -> list[str]:
    return _names("losses", incomplete)


def _complete_dataset(incomplete: str) -> list[str]:
    return _names("datasets", incomplete)


def _complete_model(incomplete: str) -> list[str]:
    return _names("models", incomplete)


def _complete_grid(incomplete: str) -> list[str]:
    return _names("grids", incomplete)


Results = Annotated[Path, typer.Option(help="Folder of all results.", show_default=True)]
StoredGrid = Annotated[
    str | None,
    typer.Option("--grid", "-g", help="Grid with results; the newest.", show_default=False),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]


def _version(asked: bool) -> None:
    if asked:
        from harness import __version__

        typer.echo(f"harness {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Log to standard error.")
    ] = False,
) -> None:
    level = logging.INFO if verbose else logging.WARNING
    logging.basicConfig(level=level, stream=sys.stderr, format="%(levelname)s: %(message)s")


@app.command()
def run(
    grid: Annotated[
        str | None,
        typer.Option(
            "--grid", "-g", help="Grid by name or TOML file.", autocompletion=_complete_grid
        ),
    ] = None,
    dataset: Annotated[
        list[str] | None,
        typer.Option(help="Dataset, repeatable.", autocompletion=_complete_dataset),
    ] = None,
    model: Annotated[
        list[str] | None, typer.Option(help="Model, repeatable.", autocompletion=_complete_model)
    ] = None,
    loss: Annotated[
        list[str] | None,
        typer.Option(help="Loss or weighted sum, repeatable.", autocompletion=_complete_loss),
    ] = None,
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
    results: Results = Path("results"),
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-n", help="Show cells, time and memory; run nothing.")
    ] = False,
    json: Json = False,
) -> None:
    """Train what is missing of a grid of losses × datasets × models and store every result."""
    if not dry_run:  # before torch is imported here too: both take seconds, side by side
        from harness.engines.forkserver import warm_up

        warm_up()
    from harness import launch
    from harness.run import Options

    axes = launch.Axes(dataset or [], model or [], loss or [], size)
    given = {"trials": trials, "seeds": seeds, "epochs": epochs}
    found = launch.make_grid(grid, name, axes, given, set_ or [])
    limit = None if timeout is None else timeout * 60
    joins = grid is None or bool(dataset or model or loss)
    options = Options(
        results, device, jobs, limit, only, rerun, keep_models, launch.command(), joins
    )
    _run(found, options, dry_run, json)


def _run(found: "Grid", options: "Options", dry_run: bool, json: bool) -> None:
    from harness import launch
    from harness.run import prepare
    from harness.terminal import screens

    console = _console(stderr=json)
    todo = prepare(found, options)
    expected = launch.expect(todo)
    console.print(screens.headline(todo, expected), highlight=False, markup=False, soft_wrap=True)
    if dry_run:
        records = screens.dry_run(todo, expected)
        if json:
            typer.echo(launch.dry_run_json(records, expected))
        else:
            screens.table(console, records)
        console.print(launch.cost(expected), highlight=False)
        return
    runs = {item.cell.id for item in todo.chosen}
    left = {cell: state for cell, state in todo.progress.items() if cell not in runs}
    for line in screens.already(left):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    summary = _execute(console, todo, options)
    if json:
        typer.echo(summary.as_json())
    for line in summary.lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    raise typer.Exit(summary.exit_code)


def _execute(console: "Console", todo: "Todo", options: "Options") -> Any:
    from harness import launch
    from harness.run import execute
    from harness.terminal.progress import Bars, Lines, make_board

    board = make_board(todo.chosen, todo.progress, anew=options.rerun == "all")
    view = Bars if console.is_terminal and not launch.in_ci() else Lines
    with view(console, board) as shown:
        rows = execute(todo, options, shown.tell)
    return launch.summarise(todo, rows, options)


@app.command()
def report(
    grid: StoredGrid = None,
    results: Results = Path("results"),
    reports: Annotated[Path, typer.Option(help="Folder of all reports.")] = Path("reports"),
    json: Json = False,
) -> None:
    """Render tables, figures and one page from stored results."""
    from harness import report as rendering
    from harness.inventory import store_of

    store = store_of(results, grid)
    rendered = rendering.render(store, reports / store.name)
    if json:
        from harness.inventory import as_json

        typer.echo(as_json({"page": str(rendered.page), "summary": rendered.summary}))
        return
    typer.echo(rendered.summary)
    typer.echo(f"\n{rendered.page}  ({len(rendered.files)} files)")


@app.command("list")
def list_(
    kind: Annotated[str, typer.Argument(help="losses, models, datasets, grids or metrics.")],
    json: Json = False,
) -> None:
    """List losses, models, datasets, grids or metrics."""
    from harness.inventory import listing

    _print(json, listing(kind))


@app.command()
def status(grid: StoredGrid = None, results: Results = Path("results"), json: Json = False) -> None:
    """Show how far each cell of a grid has come."""
    from harness import inventory

    store = inventory.store_of(results, grid)
    records = inventory.status(store)
    if not json and store.locked():
        typer.echo("a run is writing to this grid now")
    _print(json, records)


@app.command()
def show(
    cell: Annotated[str, typer.Argument(help="A cell's id or a part of it.")],
    results: Results = Path("results"),
    json: Json = False,
) -> None:
    """Show everything known of a cell, and why it ran, was skipped or is stale."""
    from harness import inventory
    from harness.terminal import screens

    record = inventory.cell_record(*inventory.find_cell(results, cell))
    if json:
        typer.echo(inventory.as_json(record))
    else:
        screens.cell(_console(), record)


@app.command()
def doctor(results: Results = Path("results"), json: Json = False) -> None:
    """Show device, versions, folders, datasets and weights: made for bug reports."""
    from harness import inventory
    from harness.terminal import screens

    found = inventory.doctor(results)
    if json:
        typer.echo(inventory.as_json(found))
    else:
        screens.facts(_console(), found)


@app.command()
def evaluate(
    grid: StoredGrid = None,
    only: Annotated[str, typer.Option(help="Only cells whose id contains this.")] = "",
    features: Annotated[
        str | None, typer.Option(help="Also score in this feature space.", show_default=False)
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:N.")] = "cpu",
    results: Results = Path("results"),
) -> None:
    """Score stored final models again, without training."""
    from harness import device as devices
    from harness import inventory, launch, rescore
    from harness.terminal import wording

    devices.check(device)
    store = inventory.store_of(results, grid)

    def tell(cell: str, row: dict[str, Any]) -> None:
        scores = (
            wording.metric(name, row.get(name)) for name in ("psnr", "ssim", row["objective"])
        )
        typer.echo(f"{cell}  seed {row['seed']}  {'  '.join(scores)}")

    count = rescore.rescore(store, device=device, features=features, only=only, tell=tell)
    next_command = launch.report_command(store.name, results)
    typer.echo(f"{wording.plural(count, 'row')} stored. Next: {next_command}")


@app.command()
def clean(
    kind: Annotated[
        list[str] | None, typer.Option(help="What to delete, repeatable; superseded and data.")
    ] = None,
    grid: Annotated[str | None, typer.Option("--grid", "-g", help="One grid only.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Delete; otherwise only show.")] = False,
    results: Results = Path("results"),
    json: Json = False,
) -> None:
    """Show the disk space that results take, and free some."""
    from harness import cleaning, inventory
    from harness.terminal import wording

    names = [inventory.store_of(results, grid).name] if grid else inventory.grids_stored(results)
    kinds = tuple(kind or cleaning.SAFE)
    cleaning.check(kinds)
    found = cleaning.usage(results, names)
    records = [
        {
            "grid": item.grid,
            "kind": item.kind,
            "files": item.files,
            "size": wording.size(item.bytes),
            "chosen": "yes" if item.kind in kinds else "",
            "what is lost": cleaning.KINDS.get(item.kind, "the results themselves: never deleted"),
        }
        for item in found
    ]
    _print(json, records)
    if yes:
        freed = cleaning.clean(found, kinds)
        typer.echo(f"freed {wording.size(freed)}", err=json)
    elif not json:
        typer.echo(f"nothing deleted: add --yes to delete {' and '.join(kinds)}")


def _console(stderr: bool = False) -> "Console":
    from rich.console import Console

    console = Console(stderr=stderr)
    if not console.is_terminal:  # a pipe has no width: one line per record
        console.width = PIPE_WIDTH
    return console


def _print(json: bool, records: list[dict[str, Any]], console: "Console | None" = None) -> None:
    if json:
        from harness.inventory import as_json

        typer.echo(as_json(records))
        return
    from harness.terminal import screens

    screens.table(console or _console(), records)
