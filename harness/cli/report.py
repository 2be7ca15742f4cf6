"""`harness report`: tables, figures and one page."""

from pathlib import Path
from typing import Annotated

import typer

from harness.cli import options as shared
from harness.cli import output


def report(
    grid: shared.StoredGrid = None,
    results: shared.Results = Path("results"),
    reports: Annotated[Path, typer.Option(help="Folder of all reports.")] = Path("reports"),
    check: Annotated[
        bool,
        typer.Option(
            "--check", help="Only compare the verdicts on claims with the report's claims.csv."
        ),
    ] = False,
    json: shared.Json = False,
) -> None:
    """Render tables, figures and one page from stored results."""
    from harness import report as rendering
    from harness.inventory import store_of

    store = store_of(results, grid)
    if check:
        changed = rendering.check(store, reports / store.name)
        if json:
            output.show_json({"changed": changed})
        else:
            typer.echo("\n".join(changed) or "every verdict is as before")
        raise typer.Exit(1 if changed else 0)
    rendered = rendering.render(store, reports / store.name)
    if json:
        output.show_json({"page": str(rendered.page), "summary": rendered.summary})
        return
    typer.echo(rendered.summary)
    typer.echo(f"\n{rendered.page}  ({len(rendered.files)} files)")
