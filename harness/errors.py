"""Errors whose text is meant for the user: what happened, the value seen, the fix."""

import difflib
from collections.abc import Iterable


class HarnessError(Exception):
    """The user can mend it: printed as one sentence, exit code 2, no traceback."""


class StoreError(HarnessError):
    """The results folder cannot be read or written."""


class Interrupted(Exception):
    """A stop was asked for; the state is saved and the same command goes on from it."""


def suggestion(name: str, valid: Iterable[str]) -> str:
    """Return ` (did you mean 'ffl'?)` for the nearest valid name, or an empty string."""
    near = difflib.get_close_matches(name, list(valid), n=1, cutoff=0.5)
    return f" (did you mean {near[0]!r}?)" if near else ""
