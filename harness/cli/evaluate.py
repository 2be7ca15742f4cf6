"""`harness evaluate`: score stored models again."""

from pathlib import Path
from typing import Annotated, Any

import typer

from harness.cli import options as shared
from harness.cli import output


def evaluate(
    grid: shared.StoredGrid = None,
    only: Annotated[
        str | None,
        typer.Option(
            help="Only cells whose id matches this glob, as *-l2-*, or contains this text.",
            show_default=False,
        ),
    ] = None,
    features: Annotated[
        str | None, typer.Option(help="Also score in this feature space.", show_default=False)
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:N.")] = "cpu",
    results: shared.Results = Path("results"),
    json: shared.Json = False,
) -> None:
    """Score stored final models again, without training."""
    from harness import device as devices
    from harness import inventory, rescore
    from harness.terminal import wording

    devices.check(device)
    store = inventory.store_of(results, grid)

    def tell(cell: str, row: dict[str, Any]) -> None:
        scores = (
            wording.metric(name, row.get(name)) for name in ("psnr", "ssim", row["objective"])
        )
        typer.echo(f"{cell}  seed {row['seed']}  {'  '.join(scores)}", err=json)

    found = rescore.rescore(store, device=device, features=features, only=only, tell=tell)
    if json:
        output.show_json(vars(found))
    for cell, why in found.skipped.items():
        typer.echo(f"skipped: {cell}: {why}", err=json)
    next_command = wording.report_command(store.name, results)
    typer.echo(f"{wording.plural(found.rows, 'row')} stored. Next: {next_command}", err=json)
    raise typer.Exit(1 if found.skipped else 0)
