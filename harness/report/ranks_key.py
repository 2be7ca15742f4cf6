"""What stands around the figure of ranks: its key, and the losses that have no rank."""

import textwrap

from harness.report.abbreviations import shortened
from harness.report.drawing import POINTS, WIDE
from harness.report.rank_words import not_ranked, objective
from harness.report.standing import Standing
from harness.report.table import plural

LINE = 0.16  # inches of a line of text
LETTER = 0.5 * POINTS / 72  # inches: an average letter


def key(found: Standing, shown: int, inches: float) -> list[str]:
    """Return what the marks mean, in lines that fit above axes of `inches`."""
    rows = [f"the best {shown} of {len(found.means)} losses"] if shown < len(found.means) else []
    rows += [f"dot: mean rank by {objective(found)}"]
    rows += [f"line: range over {plural(len(found.blocks), 'ranking')}"]
    if len(found.by_metric) > 1:
        rows.append("ring: mean over all metrics")
    if found.tested:
        rows.append("bars at the right: not told apart")
    if found.told_apart:
        rows.append(f"critical difference {found.critical:.2f}")
    letters = int(inches / LETTER / 1.05)
    return [line for row in rows for line in textwrap.wrap(row, letters)]


def above(found: Standing) -> float:
    """Return the inches from the axes to the key: the critical difference stands between."""
    return 0.2 if found.told_apart else 0.06


def without_rank(found: Standing) -> list[str]:
    """Return at most two lines that name losses without a rank: some may be better than the first.

    Those that do not fit are counted.
    """
    left = not_ranked(found)
    if not left:
        return []
    short = shortened(left)
    names = [short[loss].replace(" ", "\N{NO-BREAK SPACE}") for loss in left]
    across = int((WIDE - 0.16) / LETTER / 1.05)
    for count in range(len(names), 0, -1):
        more = f" and {len(names) - count} more" if count < len(names) else ""
        text = f"not ranked, with no fair value in some condition: {', '.join(names[:count])}{more}"
        lines = textwrap.wrap(text, across, break_on_hyphens=False)
        if len(lines) <= 2:
            break
    return lines
