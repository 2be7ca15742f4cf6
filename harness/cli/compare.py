"""`harness compare`: what changed from one grid's results to another's?"""

from pathlib import Path
from typing import Annotated

import typer

from harness.cli import options as shared
from harness.cli import output


def compare(
    a: Annotated[
        str,
        typer.Argument(
            metavar="A",
            help="A grid with results, or a folder with the results of one.",
            autocompletion=shared.complete_grid,
        ),
    ],
    b: Annotated[
        str,
        typer.Argument(
            metavar="B",
            help="Another, which is compared with it.",
            autocompletion=shared.complete_grid,
        ),
    ],
    metric: Annotated[
        list[str] | None,
        typer.Option(help="Metrics that match this glob, repeatable; those of the main table."),
    ] = None,
    changed: Annotated[
        bool, typer.Option("--changed", help="Only metrics and costs that changed beyond noise.")
    ] = False,
    results: shared.Results = Path("results"),
    json: shared.Json = False,
) -> None:
    """Compare two grids' stored results: what changed, beyond noise?

    Cells are the same by their id, else by dataset, model and loss. Differences are B minus A over
    the seeds that both have. A change is one that other trainings would show as well: tested over
    three seeds or more, from five on over test images too, with Holm's correction for all tests.
    With fewer seeds images alone tell at most that these models differ, which is no change.
    """
    from harness import comparing

    found = comparing.compare(a, b, results, metric or ())
    if json:
        output.show_json(found.plain())
        return
    from harness.terminal import compared

    compared.show(output.console(), found, changed=changed)
