"""The state of a cell in words: a failure is a result and prints as one."""

import pandas as pd

WORDS = {
    "diverged": "diverged",
    "failed": "failed",
    "out_of_memory": "out of memory",
    "timeout": "timed out",
    "unavailable": "unavailable",
    "pruned": "pruned",
}


def describe(attempts: pd.DataFrame, tunes: pd.DataFrame, planned: int) -> str:
    """Return "" when all planned seeds are ok, else words such as `diverged 2/5, 1/5 not run`."""
    total = max(planned, len(attempts))
    counts = attempts["status"].value_counts()
    parts = [f"{word} {counts[name]}/{total}" for name, word in WORDS.items() if name in counts]
    missing = total - len(attempts)
    if attempts.empty:
        return _before_finals(tunes)
    if missing:
        parts.append(f"{missing}/{total} not run")
    return ", ".join(parts)


def _before_finals(tunes: pd.DataFrame) -> str:
    if tunes.empty:
        return "not run"
    counts = tunes["status"].value_counts()
    total = len(tunes)
    bad = [f"{word} {counts[name]}/{total}" for name, word in WORDS.items() if name in counts]
    if "ok" not in counts:
        return f"{', '.join(bad)} in tuning"
    return f"not run: {total} trial{'s' if total > 1 else ''} only"


def causes_of(attempts: pd.DataFrame, tunes: pd.DataFrame) -> tuple[str, ...]:
    """Return one line per failed seed or trial with its stored cause."""
    lines = []
    for rows, name in ((tunes, "trial"), (attempts, "seed")):
        for row in rows[rows["status"] != "ok"].itertuples():
            status = WORDS.get(str(row.status), str(row.status))
            cause = row.cause if isinstance(row.cause, str) and row.cause else "no cause stored"
            number = getattr(row, name)
            where = "" if pd.isna(number) else f" {int(number)}"
            lines.append(f"{name}{where}: {status}: {cause}")
    return tuple(lines)
