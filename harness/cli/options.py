"""Options that several verbs share, and the completion of names."""

from pathlib import Path
from typing import Annotated

import typer

Results = Annotated[Path, typer.Option(help="Folder of all results.", show_default=True)]
StoredGrid = Annotated[
    str | None,
    typer.Option("--grid", "-g", help="Grid with results; the newest.", show_default=False),
]
Plugins = Annotated[
    list[Path] | None,
    typer.Option("--plugin", help="Python file with losses of your own, repeatable."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]


def _names(kind: str, incomplete: str) -> list[str]:
    from harness.listing import names

    return [name for name in names(kind) if name.startswith(incomplete)]


def complete_loss(incomplete: str) -> list[str]:
    """Return the losses whose names begin so."""
    return _names("losses", incomplete)


def complete_dataset(incomplete: str) -> list[str]:
    """Return the datasets whose names begin so."""
    return _names("datasets", incomplete)


def complete_model(incomplete: str) -> list[str]:
    """Return the models whose names begin so."""
    return _names("models", incomplete)


def complete_grid(incomplete: str) -> list[str]:
    """Return the grids whose names begin so."""
    return _names("grids", incomplete)


def complete_kind(incomplete: str) -> list[str]:
    """Return the kinds of things to list whose names begin so."""
    from harness.listing import KINDS

    return [kind for kind in KINDS if kind.startswith(incomplete)]
