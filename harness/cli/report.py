"""`harness report`: tables, figures and one page."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli import options as shared
from harness.cli import output

if TYPE_CHECKING:
    from harness.store import Store


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
    claims: Annotated[
        Path | None,
        typer.Option(
            help="File that --check compares with, as one that is committed; the report's own.",
            show_default=False,
        ),
    ] = None,
    table: Annotated[
        str | None,
        typer.Option(
            help="Print one table alone: its name, as ranks; main, or an ending as price, of the "
            "grid's only group; or a document's number, as dalal-1 or dalal-1-intervals; 2 is the "
            "table 2 of whichever document this grid has.",
            show_default=False,
        ),
    ] = None,
    format_: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="Print tables as md, tex, csv or html: that of --table, else all; md.",
            show_default=False,
        ),
    ] = None,
    output_: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Print tables to this file.", show_default=False),
    ] = None,
    json: shared.Json = False,
) -> None:
    """Render tables, figures and one page from stored results, or print tables alone."""
    from harness import report as rendering
    from harness.inventory import store_of
    from harness.processors import cores

    if claims is not None and not check:
        _refuse_alone(claims)
    store = store_of(results, grid)
    if table is not None or format_ is not None or output_ is not None:
        _refuse_beside_tables(check, json)
        _print_tables(store, table, format_, output_)
        return
    if check:
        changed = rendering.check(store, reports / store.name, claims)
        if json:
            output.show_json({"changed": changed})
        else:
            typer.echo("\n".join(changed) or "every verdict is as before")
        raise typer.Exit(1 if changed else 0)
    rendered = rendering.render(store, reports / store.name, workers=cores())
    if json:
        output.show_json({"page": str(rendered.page), "summary": rendered.summary})
        return
    typer.echo(rendered.summary)
    typer.echo(f"\n{rendered.page}  ({len(rendered.files)} files)")


def _refuse_alone(claims: Path) -> None:
    from harness.errors import HarnessError

    raise HarnessError(f"--claims {claims} is for --check: give both, or neither")


def _refuse_beside_tables(check: bool, json: bool) -> None:
    from harness.errors import HarnessError

    for given, name, instead in (
        (check, "--check", "it prints no tables"),
        (json, "--json", "--format csv is for programs"),
    ):
        if given:
            raise HarnessError(f"{name} does not go with --table, --format or --output: {instead}")


def _print_tables(
    store: "Store", table: str | None, format_: str | None, file: Path | None
) -> None:
    from harness.errors import HarnessError
    from harness.report import single

    if file is not None and file.is_dir():  # said before the tables are made, which takes a while
        raise HarnessError(
            f"--output {file} is a folder: name a file, such as {file / 'tables.md'}"
        )
    text = single.render(store, table, single.format_of(format_, file))
    if file is None:
        typer.echo(text, nl=False)
        return
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise HarnessError(
            f"cannot write {file} ({error.strerror}): name another file with --output"
        ) from error
