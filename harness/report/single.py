"""Tables of a stored grid as text, without the page and its figures."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.errors import HarnessError, suggestion
from harness.merged import MergedStore
from harness.report.catalogue import Offer, choose, offers
from harness.report.collect import Group, collect
from harness.report.export import to_csv, to_latex, to_markdown
from harness.report.table import Table
from harness.store import Store

FORMATS = ("md", "tex", "csv", "html")
_TEXTS: dict[str, Callable[[Table], str]] = {"md": to_markdown, "tex": to_latex, "csv": to_csv}


def format_of(asked: str | None, output: Path | None) -> str:
    """Return the format asked for, else that of the output's name, else Markdown.

    Raises:
        HarnessError: there is no such format.
    """
    if asked is None:
        ending = output.suffix.removeprefix(".") if output else ""
        if ending and ending not in FORMATS:
            raise HarnessError(
                f"{output} ends in no format: valid: {', '.join(FORMATS)}; or name it with --format"
            )
        return ending or "md"
    if asked not in FORMATS:
        hint = suggestion(asked, FORMATS)
        raise HarnessError(f"unknown format {asked!r}{hint}; valid: {', '.join(FORMATS)}")
    return asked


def render(store: Store, table: str | None, form: str) -> str:
    """Return one table of a grid, or all of them one after the other, as text in a format.

    `table` is a name as in `reports/<grid>/tables`, a document's number as in `dalal-1`, or a
    number that one document has; the text is that of the report's file. Only the rows that the
    table needs are read.

    Raises:
        HarnessError: no such table, nothing measured for it, or several tables as CSV.
        StoreError: nothing was ever run in the store's folder.
    """
    grid = store.grid()
    outline = collect(MergedStore(store.root, ()), grid)
    found = offers(outline)
    if not found:
        raise HarnessError(f"no tables of {store.name}: its grid has no cells")
    if table is None:
        if form == "csv":
            raise HarnessError("a CSV file has one table: name it with --table")
        tables, groups = _all(store, grid, found)
    else:
        tables, groups = _one(store, grid, choose(table, found), outline)
    if form == "html":
        return _html(tables, groups, str(grid.get("title") or store.name))
    return "\n".join(_TEXTS[form](each) for each in tables)


def _all(store: Store, grid: dict[str, Any], found: list[Offer]) -> tuple[list[Table], list[Group]]:
    groups = collect(MergedStore(store.root), grid)
    made = (offer.make(groups) for offer in found)
    return [table for table in made if table is not None], groups


def _one(
    store: Store, grid: dict[str, Any], offer: Offer, outline: list[Group]
) -> tuple[list[Table], list[Group]]:
    needed = [
        cell.id
        for each in outline
        for cell in each.cells
        if (each.dataset, each.model) in offer.places
    ]
    groups = collect(MergedStore(store.root, needed), grid)
    made = offer.make(groups)
    if made is None:
        raise HarnessError(
            f"table {offer.name} of {store.name} is empty: nothing that it shows was measured yet; "
            "see: harness status"
        )
    return [made], groups


def _html(tables: list[Table], groups: list[Group], title: str) -> str:
    """A small page: the tables as the report's page has them, links to its details left out."""
    from harness.report.advantage import is_learned
    from harness.report.palette import BLACK, looks
    from harness.report.templates import environment, source

    cells = [cell for group in groups for cell in group.cells]
    return (
        environment()
        .get_template("single.html")
        .render(
            tables=[_without_links(table) for table in tables],
            title=tables[0].title if len(tables) == 1 else title,
            looks=looks(cell.label for cell in cells),
            learned={cell.label for cell in cells if is_learned(cell.loss)},
            black=BLACK,
            css=source("page.css"),
        )
    )


def _without_links(table: Table) -> Table:
    return replace(table, rows=tuple(replace(row, anchor="") for row in table.rows))
