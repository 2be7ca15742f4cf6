"""The command line: one module per verb, which parses, calls and prints; no logic."""

import logging
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer

from harness.cli import (
    check,
    clean,
    compare,
    doctor,
    evaluate,
    lists,
    prepare,
    probe,
    report,
    run,
    show,
    status,
)

# In the order of `harness --help`; each is a plain function of its options.
_VERBS: tuple[tuple[str, Callable[..., Any]], ...] = (
    ("run", run.run),
    ("report", report.report),
    ("compare", compare.compare),
    ("list", lists.list_),
    ("probe", probe.probe),
    ("check", check.check),
    ("status", status.status),
    ("show", show.show),
    ("prepare", prepare.prepare),
    ("doctor", doctor.doctor),
    ("evaluate", evaluate.evaluate),
    ("clean", clean.clean),
)

app = typer.Typer(
    name="harness",
    help="Which reconstruction loss should I train my VAE with, and what does it cost me?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _name, _verb in _VERBS:
    app.command(_name)(_verb)


def _version(asked: bool) -> None:
    if asked:
        from harness import __version__

        typer.echo(f"harness {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Log to standard error.")
    ] = False,
) -> None:
    level = logging.INFO if verbose else logging.WARNING
    logging.basicConfig(level=level, stream=sys.stderr, format="%(levelname)s: %(message)s")
