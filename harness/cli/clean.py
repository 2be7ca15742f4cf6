"""`harness clean`: the disk space that results take."""

from pathlib import Path
from typing import Annotated

import typer

from harness.cli import options as shared
from harness.cli import output


def clean(
    kind: Annotated[
        list[str] | None,
        typer.Option(
            help="What to delete, repeatable: superseded (the default), checkpoints, data, "
            "report, probe, logs, models, images, scores or journal."
        ),
    ] = None,
    grid: Annotated[str | None, typer.Option("--grid", "-g", help="One grid only.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Delete; otherwise only show.")] = False,
    results: shared.Results = Path("results"),
    json: shared.Json = False,
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
    output.show(json, records)
    if yes:
        freed = cleaning.clean(found, kinds)
        typer.echo(f"freed {wording.size(freed)}", err=json)
    elif not json:
        typer.echo(f"nothing deleted: add --yes to delete {' and '.join(kinds)}")
