"""What the checks of a loss came to, on the terminal."""

from typing import TYPE_CHECKING

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from harness.terminal.wording import plural

if TYPE_CHECKING:
    from harness.checking import Verdict


def verdict(console: Console, found: "Verdict") -> None:
    """Print every failure with its reason and fix, the notes, and what to type next."""
    shape = "x".join(str(side) for side in found.image_shape)
    console.print(Text(f"{found.loss}  ({found.source}; images {shape})", "bold"), soft_wrap=True)
    told: dict[tuple[str, str], str] = {}
    for result in found.of("failed"):
        # One cause ends several checks in the same error: its advice is given once.
        first = told.setdefault((result.message, result.fix), result.name)
        message = result.message if first == result.name else f"as in {first}"
        _line(console, Text.assemble((f"FAILED  {result.name}: ", "bold red"), message))
        if first != result.name:
            continue
        _line(console, Text(f"fix: {result.fix}"), 8)
        _line(console, Text(f"why: {result.why}", "dim"), 8)
    for result in found.of("note"):
        _line(console, Text.assemble((f"note    {result.name}: ", "yellow"), result.message))
    names = ", ".join(result.name for result in found.of("passed"))
    if names:
        _line(console, Text.assemble(("passed  ", "green"), names))
    if reasons := _by_reason(found):
        parts = (f"{', '.join(skipped)} ({reason})" for reason, skipped in reasons.items())
        _line(console, Text(f"skipped {'; '.join(parts)}", "dim"))
    console.print(Text(_sum(found)), soft_wrap=True)


def _by_reason(found: "Verdict") -> dict[str, list[str]]:
    """Return the names of checks that were not run, by why."""
    reasons: dict[str, list[str]] = {}
    for result in found.of("skipped"):
        reasons.setdefault(result.message, []).append(result.name)
    return reasons


def _line(console: Console, text: Text, indent: int = 0) -> None:
    if console.is_terminal:
        console.print(Padding(text, (0, 0, 0, indent)))
    else:  # a pipe: one line per finding
        console.print(Text(" " * indent).append_text(text), soft_wrap=True)


def _sum(found: "Verdict") -> str:
    checks = plural(len(found.results), "check")
    if found.conforms:
        notes = plural(len(found.of("note")), "note")
        return f"{found.loss} conforms: none of {checks} failed, {notes}. Next: {found.next}"
    failed = len(found.of("failed"))
    return f"{found.loss} fails {failed} of {checks}: mend it before you compare it"
