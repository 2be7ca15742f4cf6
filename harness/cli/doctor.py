"""`harness doctor`: this machine, for bug reports."""

from pathlib import Path

from harness.cli import options as shared
from harness.cli import output


def doctor(results: shared.Results = Path("results"), json: shared.Json = False) -> None:
    """Show device, versions, folders, datasets and weights: made for bug reports."""
    from harness.machine import doctor as examine
    from harness.terminal import screens

    found = examine(results)
    if json:
        output.show_json(found)
    else:
        screens.facts(output.console(), found)
