"""The state of a cell in words: a failure is a result and prints as one."""

import re

import pandas as pd

WORDS = {
    "diverged": "diverged",
    "failed": "failed",
    "out_of_memory": "out of memory",
    "timeout": "timed out",
    "unavailable": "unavailable",
    "pruned": "pruned",
}


def describe(attempts: pd.DataFrame, tunes: pd.DataFrame, planned: int, trials: int) -> str:
    """Return "" when all planned seeds are ok, else words such as `diverged 2/5, not run 1/5`."""
    if attempts.empty:
        return _before_finals(tunes, max(trials, len(tunes)))
    if (attempts["status"] == "unavailable").all():
        return "unavailable"
    total = max(planned, len(attempts))
    missing = total - len(attempts)
    parts = _counted(attempts["status"].value_counts(), total)
    return ", ".join([*parts, f"not run {missing}/{total}"] if missing else parts)


def _counted(counts: "pd.Series[int]", total: int) -> list[str]:
    return [f"{word} {counts[name]}/{total}" for name, word in WORDS.items() if name in counts]


def _before_finals(tunes: pd.DataFrame, trials: int) -> str:
    """The state of a cell whose tuning has not led to a final model."""
    if tunes.empty:
        return "not run"
    counts = tunes["status"].value_counts()
    if "unavailable" in counts:
        return "unavailable"
    stopped = [name for name in ("failed", "out_of_memory", "timeout") if name in counts]
    if stopped or "ok" not in counts:
        return f"{', '.join(_counted(counts, len(tunes)))} in tuning"
    return f"only tuned, {len(tunes)} of {trials} trials"


_COUNTED = re.compile(r"([a-z][a-z ]*?) (\d+)/(\d+)")


def sentence(state: str, names: str, count: int) -> str:
    """Return what became of the named cells as a sentence: "`blur`: 1 of 3 seeds diverged."

    `state` is what `describe` returned, or "stale".
    """
    has, is_ = ("has", "is") if count == 1 else ("have", "are")
    whole = {
        "not run": f"{names} {has} not run.",
        "stale": f"{names} {is_} stale: the source or the data changed since.",
        "unavailable": f"{names} {is_} unavailable: weights are missing.",
    }
    if state in whole:
        return whole[state]
    noun = "trials" if "tuning" in state or "tuned" in state else "seeds"
    told = _COUNTED.sub(lambda found: f"{found[2]} of {found[3]} {noun} {found[1]}", state)
    return f"{names}: {told}."


def causes_of(attempts: pd.DataFrame, tunes: pd.DataFrame) -> tuple[str, ...]:
    """Return one line per failed seed or trial with its stored cause."""
    lines = []
    for rows, axis in ((tunes, "trial"), (attempts, "seed")):
        bad = rows[rows["status"] != "ok"]
        for number, status, cause in zip(bad[axis], bad["status"], bad["cause"], strict=True):
            where = axis if pd.isna(number) else f"{axis} {int(number)}"
            why = cause if isinstance(cause, str) and cause else "no cause stored"
            lines.append(f"{where}: {WORDS.get(status, status)}: {why}")
    return tuple(lines)
