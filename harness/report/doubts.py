"""What a source of values says beside the numbers: why there is none, or why none may be judged."""

from typing import NamedTuple

from harness.report.expressions import Value


class Absence(NamedTuple):
    """Why a value is not there, and whether its cell was run all the same."""

    text: str
    ran: bool


class Doubts:
    """What a source of values says beside the numbers; this one has bare numbers alone."""

    def absence(self, value: Value) -> Absence:
        """Return why a value is not there."""
        return Absence("not run", ran=False)

    def obstacle(self, found: tuple[Value, ...]) -> str:
        """Return why these values must not be judged together, "" where they may."""
        return ""

    def advantage(self, found: tuple[Value, ...]) -> str:
        """Return which of several losses has a home advantage, "" where none has."""
        return ""

    def ran(self, dataset: str, model: str) -> bool:
        """Tell whether anything was run there."""
        return False

    def over(self, found: tuple[Value, ...], *, paired: bool) -> str:
        """Return what the intervals of these values, or of their difference, are over."""
        return ""
