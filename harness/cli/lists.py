"""`harness list`: what there is to choose from."""

from typing import Annotated, Any

import typer

from harness.cli import options as shared
from harness.cli import output


def list_(
    kind: Annotated[
        str | None,
        typer.Argument(
            help="losses, models, datasets, grids, presets, metrics or weights; "
            "these kinds without it.",
            autocompletion=shared.complete_kind,
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Argument(help="One of them: also its options and their defaults.")
    ] = None,
    plugin: shared.Plugins = None,
    json: shared.Json = False,
) -> None:
    """List losses, models, datasets, grids, presets, metrics or weights, or show one in full."""
    from harness import listing, plugins

    plugins.load_all(plugin)
    if kind is None:
        output.show(json, listing.kinds())
    elif name is None:
        output.show(json, listing.listing(kind))
        if not json and kind in listing.WITH_OPTIONS:
            typer.echo(f"\noptions and their defaults: harness list {kind} NAME")
    else:
        _one(listing.detail(kind, name), json)


def _one(record: dict[str, Any], json: bool) -> None:
    if json:
        output.show_json(record)
        return
    from harness.terminal import screens

    screens.component(output.console(), record)
