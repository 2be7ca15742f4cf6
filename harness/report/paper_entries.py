"""The entries of a document's table: what was measured, what is printed, their difference."""

import math

from harness.metrics import METRICS
from harness.report.advantage import home
from harness.report.collect import Cell
from harness.report.means import Interval, estimate, interval, single_seeds
from harness.report.published import Published
from harness.report.table import Entry, number, plural, signed, significant
from harness.report.ties import Ranking, mixed


def lacking(cell: Cell | None, metric: str) -> str:
    """Return why there is no measured number, "" where there is one."""
    if cell is None or not cell.measured or metric not in cell.finals:
        return "not run"
    if mixed((cell,), metric):
        return "several signatures"
    if not estimate(cell, metric).known:
        return "not measured: its weights or its network were not at hand"
    return ""


def measured(cell: Cell | None, metric: str, ranking: Ranking) -> Entry:
    """The mean with its spread over images, as the documents print it; seeds in the note."""
    why = lacking(cell, metric)
    if cell is None or why:
        return Entry(note=why)
    mean = estimate(cell, metric).mean
    seeds = single_seeds(cell.finals, metric)
    column = f"{metric}_std"
    images = float(cell.finals[column].mean()) if column in cell.finals else math.nan
    within = interval(cell, metric)
    return Entry(
        number(mean, METRICS[metric].decimals),
        mean,
        significant(images) if math.isfinite(images) else "",  # as the documents print it
        images,
        within.low,
        within.high,
        bold=cell in ranking.bold,
        shaded=home(cell, metric),
        note=f"{_interval(within, cell, metric)}{f'; seeds: {seeds}' if seeds else ''}",
    )


def _interval(found: Interval, cell: Cell, metric: str) -> str:
    if found.over == "none":
        return f"{plural(estimate(cell, metric).seeds, 'seed')}: no interval"
    ends = (number(end, METRICS[metric].decimals + 1) for end in (found.low, found.high))
    return f"95 % interval of the mean over {found.over}: {' to '.join(ends)}"


def printed(each: Published | None) -> Entry:
    """The document's own number and spread, bold where it is known to print it so."""
    if each is None:
        return Entry()
    spread = math.nan if each.spread is None else each.spread
    note = " ".join(each.errata)
    return Entry(each.text, each.value, spread_value=spread, bold=bool(each.bold), note=note)


def difference(mine: Entry, theirs: Published | None, metric: str) -> Entry:
    """What was measured minus what is printed, where the two compare."""
    if theirs is None or not math.isfinite(mine.value):
        return Entry()
    if not theirs.comparable:
        return Entry(note="the document's number is not comparable")
    minus = mine.value - theirs.value
    return Entry(signed(minus, METRICS[metric].decimals), minus)
