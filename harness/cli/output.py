"""Where verbs print: tables for people, JSON for programs."""

from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

PIPE_WIDTH = 1000


def console(stderr: bool = False) -> "Console":
    """Return the terminal; a pipe has no width, so it gets one line per record."""
    from rich.console import Console

    found = Console(stderr=stderr)
    if not found.is_terminal:
        found.width = PIPE_WIDTH
    return found


def lively(console: "Console") -> bool:
    """Tell whether bars may move: on a terminal, where they are no noise as in CI."""
    from harness.settings import settings

    return console.is_terminal and not settings().ci


def show(json: bool, records: list[dict[str, Any]]) -> None:
    """Print records of one shape as a table or as JSON."""
    if json:
        show_json(records)
        return
    from harness.terminal import screens

    screens.table(console(), records)


def show_json(content: Any) -> None:
    """Print plain data as JSON on standard output."""
    from harness.terminal.wording import as_json

    typer.echo(as_json(content))
