"""All groups at a glance: which losses are best on each dataset and model, and the cheapest."""

from harness.metrics import METRICS
from harness.report.answer import names, value
from harness.report.collect import Cell, Group
from harness.report.main_table import REFERENCE
from harness.report.means import Estimate, estimate, step_ratio
from harness.report.table import ARROWS, Column, Entry, Row, Table, settled, with_spread
from harness.report.ties import rank

FEWEST = 3  # groups: of fewer the sentences are as short


def glance_table(groups: list[Group]) -> Table | None:
    """Return one row per dataset and model: the best on its objective, and the cheapest of them.

    None with fewer than three groups.
    """
    if len(groups) < FEWEST:
        return None
    return Table(
        "answer",
        "At a glance",
        "Best by each dataset and model's own objective, with those that are not told apart from "
        "it, and of these the one whose step takes the least time.",
        (
            Column("best", "Best, or tied best", text=True),
            Column("objective", "Objective", text=True),
            Column("value", "of the best", text=True),
            Column("cheapest", "Cheapest of these", text=True),
            Column("step_time", "Its step time", f"× {REFERENCE}", "minimize"),
        ),
        tuple(map(_row, groups)),
        first="Dataset and model",
    )


def _row(group: Group) -> Row:
    known = [cell for cell in group.measured if estimate(cell, group.objective).known]
    if not known:
        return _without(group, "no final model with a finite score")
    ranking = rank(group.measured, group.objective)
    metric = METRICS[group.objective]
    if ranking.best is None:
        alone = ", ".join(cell.label for cell in known[:3])
        said = f"nothing to rank: {alone}{' and others' if len(known) > 3 else ''}"
        return _without(group, said)
    reference = group.cell(REFERENCE)
    ratios = [(step_ratio(cell, reference), cell) for cell in ranking.winners]
    timed = [each for each in ratios if each[0].known]
    cheapest = min(timed, key=lambda each: each[0].mean) if timed else None
    return Row(
        group.title,
        (
            Entry(names(ranking.winners).replace("`", "")),
            Entry(f"{metric.label} {ARROWS[metric.direction]}"),
            Entry(value(ranking.best, group.objective)),
            Entry(cheapest[1].label) if cheapest else Entry(),
            _time(cheapest),
        ),
    )


def _without(group: Group, why: str) -> Row:
    return Row(group.title, (Entry(why), *[Entry("")] * 3, Entry()))


def _time(cheapest: tuple[Estimate, Cell] | None) -> Entry:
    if cheapest is None:
        return Entry()
    found = cheapest[0]
    mean, spread = with_spread(found.mean, found.spread, 2)
    return Entry(mean, found.mean, spread, settled(found.mean, found.spread))
