"""`harness show`: everything known of a cell."""

from pathlib import Path
from typing import Annotated

import typer

from harness.cli import options as shared
from harness.cli import output


def show(
    cell: Annotated[str, typer.Argument(help="A cell's id or a part of it.")],
    results: shared.Results = Path("results"),
    json: shared.Json = False,
) -> None:
    """Show everything known of a cell, and why it ran, was skipped or is stale."""
    from harness import inventory
    from harness.terminal import screens

    record = inventory.cell_record(*inventory.find_cell(results, cell))
    if json:
        output.show_json(record)
    else:
        screens.cell(output.console(), record)
