"""`harness status`: how far each cell has come."""

from pathlib import Path

import typer

from harness.cli import options as shared
from harness.cli import output


def status(
    grid: shared.StoredGrid = None,
    results: shared.Results = Path("results"),
    json: shared.Json = False,
) -> None:
    """Show how far each cell of a grid has come."""
    from harness import inventory

    store = inventory.store_of(results, grid)
    records = inventory.status(store)
    if json:
        output.show_json(records)
        return
    if store.locked():
        typer.echo("a run is writing to this grid now")
    from harness.terminal import screens

    screens.table(output.console(), screens.status(records))
