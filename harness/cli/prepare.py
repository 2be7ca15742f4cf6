"""`harness prepare`: get beforehand what runs need."""

from typing import Annotated

import typer

from harness.cli import options as shared
from harness.cli import output


def prepare(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="What to get; all that has an address without it."),
    ] = None,
    weights: Annotated[bool, typer.Option("--weights", help="Get pretrained weights.")] = False,
    json: shared.Json = False,
) -> None:
    """Get pretrained weights from their official addresses, checked by sha256."""
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TaskID,
        TextColumn,
        TransferSpeedColumn,
    )

    from harness import preparing
    from harness.errors import HarnessError

    if not weights:
        raise HarnessError("say what to prepare: harness prepare --weights [NAME ...]")
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
    )
    with Progress(*columns, console=output.console(stderr=True), transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def tell(name: str, done: int, total: int | None) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(name, total=total)
            bars.update(tasks[name], completed=done, total=total)

        records = preparing.prepare_weights(names, tell)
    output.show(json, records)
