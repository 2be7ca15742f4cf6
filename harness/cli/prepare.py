"""`harness prepare`: get beforehand what runs need."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from harness.cli import options as shared
from harness.cli import output

KEPT = "what was fetched and decoded is kept; the same command goes on from there"


def prepare(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help="Datasets, such as celeba64 or folder:PATH[size=64]; with --weights the weights, "
            "all that have an address without it.",
            autocompletion=shared.complete_dataset,
        ),
    ] = None,
    from_: Annotated[
        Path | None,
        typer.Option("--from", help="Folder of a dataset's files; HARNESS_DATA.", metavar="PATH"),
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Check prepared datasets, change nothing.")
    ] = False,
    weights: Annotated[bool, typer.Option("--weights", help="Get pretrained weights.")] = False,
    json: shared.Json = False,
) -> None:
    """Decode datasets once, for all runs, or get pretrained weights.

    Datasets are read from the files that you have; mnist and cifar10 are fetched from their
    official homes where you have none. Interrupted, the same command goes on.
    """
    from harness.errors import HarnessError, Interrupted

    if weights and (from_ is not None or verify):
        given = "--verify" if verify else "--from"
        raise HarnessError(f"--weights and {given} do not go together: {given} is for datasets")
    if weights:
        output.show(json, _weights(names))
        return
    if not names:
        raise HarnessError(
            "say what to prepare: harness prepare DATASET ... or harness prepare --weights "
            "[NAME ...]; see: harness list datasets"
        )
    try:
        records = _datasets(names, from_, verify, json)
    except KeyboardInterrupt:
        raise Interrupted(KEPT) from None
    _show(records, verify, json)


def _datasets(
    names: list[str], root: Path | None, verify: bool, json: bool
) -> list[dict[str, Any]]:
    from harness import caching
    from harness.terminal.decoded import Decoded

    if verify:
        return caching.verify_datasets(names, root)
    with _bars() as tell:
        caching.fetch_datasets(names, root, tell)
    console = output.console(stderr=True)
    with Decoded(console, output.lively(console)) as shown:
        return caching.prepare_datasets(names, root, shown.tell)


def _show(records: list[dict[str, Any]], verify: bool, json: bool) -> None:
    if json:
        output.show_json(records)
        return
    from harness.terminal import screens

    console = output.console()
    for record in records:
        title = f"{record['name']}: {'as it was prepared' if verify else 'ready'}"
        console.print(title, style="bold", highlight=False, markup=False)
        rest = {key: value for key, value in record.items() if key != "name"}
        screens.facts(console, rest, "  ")


def _weights(names: list[str] | None) -> list[dict[str, Any]]:
    from harness import preparing

    with _bars() as tell:
        return preparing.prepare_weights(names, tell)


@contextmanager
def _bars() -> Iterator[Callable[[str, int, int | None], None]]:
    """Show a bar per file that is being fetched; nothing where none is."""
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TaskID,
        TextColumn,
        TransferSpeedColumn,
    )

    text, speed = TextColumn("{task.description}"), TransferSpeedColumn()
    console = output.console(stderr=True)
    columns = (text, BarColumn(), DownloadColumn(), speed)
    bars = Progress(*columns, console=console, transient=True, disable=not output.lively(console))
    tasks: dict[str, TaskID] = {}
    with ExitStack() as shown:

        def tell(name: str, done: int, total: int | None) -> None:
            if not tasks:
                shown.enter_context(bars)
            if name not in tasks:
                tasks[name] = bars.add_task(name, total=total)
            bars.update(tasks[name], completed=done, total=total)

        yield tell
