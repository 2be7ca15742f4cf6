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
    names = list(valid)
    begun = sorted((each for each in names if len(name) > 2 and each.startswith(name)), key=len)
    # Half the letters of a short name are one slip; of a long one they are another word.
    cutoff = 0.5 if len(name) < 4 else 0.6
    near = begun or difflib.get_close_matches(name, names, n=1, cutoff=cutoff)
    return f" (did you mean {near[0]!r}?)" if near else ""
