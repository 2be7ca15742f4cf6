"""Every loss against the best of its column: difference, interval and corrected chance."""

import math

from harness.metrics import METRICS
from harness.report.collect import Cell, Group
from harness.report.grounds import grounds
from harness.report.table import Column, Entry, Row, Table, number, signed
from harness.report.ties import Ranking, rank

LEAST = 0.001  # chances below are not told apart in print


def comparison_table(group: Group) -> Table | None:
    """Return each loss's paired difference to the best by the objective and the pixel metrics.

    None where no column has a comparison that can be tested.
    """
    names = dict.fromkeys((group.objective, "psnr", "ssim", "lpips"))
    rankings = {name: rank(group.measured, name) for name in names}
    rankings = {name: each for name, each in rankings.items() if _tested(each)}
    if not rankings:
        return None
    ground = grounds(list(rankings.values()))
    return Table(
        f"{group.slug}-comparisons",
        f"Differences to the best, {group.title}",
        "Each loss minus the best of the column, with the 95 % interval of that pair; p is "
        f"two-sided and corrected by Holm over the column ({ground}). Bold: tied with the best.",
        tuple(column for name in rankings for column in _columns(name)),
        tuple(_row(cell, rankings) for cell in group.measured),
    )


def _tested(ranking: Ranking) -> bool:
    return any(each.comparison is not None for each in ranking.rivals)


def _columns(metric: str) -> tuple[Column, Column]:
    known = METRICS[metric]
    detail = "minus best"
    return (
        Column(metric, known.label, known.unit, known.direction, detail),
        Column(f"{metric}_p", "p", detail=known.label),
    )


def _row(cell: Cell, rankings: dict[str, Ranking]) -> Row:
    entries = [entry for name, each in rankings.items() for entry in _entries(cell, name, each)]
    return Row(cell.label, tuple(entries), cell.label)


def _entries(cell: Cell, metric: str, ranking: Ranking) -> tuple[Entry, Entry]:
    if cell is ranking.best:
        return Entry("best", 0.0, bold=True), Entry("")
    found = next((each for each in ranking.rivals if each.cell is cell), None)
    if found is None:
        return Entry(note="not ranked"), Entry(note="not ranked")
    if found.comparison is None:
        why = "nothing stored supports an interval"
        return Entry(note=why), Entry(note=why)
    decimals = METRICS[metric].decimals + 1
    low, high = found.comparison.interval
    mean, ends = -found.comparison.mean, (-high, -low)
    text = f"{signed(mean, decimals)} [{', '.join(signed(end, decimals) for end in ends)}]"
    half = (high - low) / 2
    shown = Entry(text, mean, spread_value=half, bold=found.tied)
    return shown, Entry(_chance(found.p), found.p)


def _chance(p: float) -> str:
    if math.isnan(p):
        return ""
    return f"<{LEAST}" if p < LEAST else number(p, 3)
