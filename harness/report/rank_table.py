"""The table of ranks, and how far the ranks of each column agree."""

import math

import pandas as pd

from harness.metrics import METRICS
from harness.report.collect import Group
from harness.report.friedman import kendall_w
from harness.report.rank_words import caption, notes, objective
from harness.report.ranks import OPTIONS, standing
from harness.report.standing import Standing
from harness.report.table import Column, Entry, Row, Table, number


def rank_table(groups: list[Group], known: Standing | None = None) -> Table | None:
    """Return the losses' ranks by condition and by metric; None where nothing repeats.

    Sorted by the mean rank by the objective. Bold: the best and those joined with it by a bar, or
    where no test can be made the best alone. The last row is Kendall's W of each column. `known` is
    the groups' `standing` where it was computed before.
    """
    found = known or standing(groups)
    if found is None:
        return None
    names = condition_names(found)
    columns = (
        Column("mean_rank", f"Mean rank, {objective(found)}", direction="minimize"),
        Column("range", "Range", text=True),
        *(Column(slug, names[slug]) for slug in found.conditions.index),
        *(Column(metric, METRICS[metric].label) for metric in found.by_metric.index),
        Column("all_metrics", "All metrics"),
    )
    best = _best(found)
    rows = [Row(loss, _entries(found, loss, loss in best), loss) for loss in found.means.index]
    return Table(
        "ranks",
        "Ranks by condition and by metric",
        caption(found),
        columns,
        (*rows, Row("agreement (Kendall's W)", _agreements(found))),
        notes(found),
    )


def condition_names(found: Standing) -> dict[str, str]:
    """Return what tells the conditions apart, by slug: dataset, model or both, without options."""
    whole = {g.slug: (g.dataset, g.model, f"{g.dataset}, {g.model}") for g in found.groups}
    for index in range(3):
        names = {slug: each[index] for slug, each in whole.items()}
        bare = {slug: OPTIONS.sub("", name) for slug, name in names.items()}
        for chosen in (bare, names):
            if len(set(chosen.values())) == len(chosen):
                return chosen
    return {slug: each[2] for slug, each in whole.items()}


def _best(found: Standing) -> set[str]:
    """The losses not told from the best: those in its bar."""
    last = next((last for first, last in found.joined() if first == 0), 0)
    return set(found.means.index[: last + 1])


def _entries(found: Standing, loss: str, bold: bool) -> tuple[Entry, ...]:
    mean, own = float(found.means[loss]), found.blocks[loss]
    overall = float(found.by_metric[loss].mean())
    return (
        Entry(number(mean, 2), mean, bold=bold),
        Entry(f"{own.min():g}–{own.max():g}"),
        *(Entry(f"{rank:g}", float(rank)) for rank in found.conditions[loss]),
        *(_by_metric(float(rank)) for rank in found.by_metric[loss]),
        Entry(number(overall, 2), overall),
    )


def _by_metric(rank: float) -> Entry:
    if math.isfinite(rank):
        return Entry(number(rank, 2), rank)
    return Entry(note="home advantage: trained with this metric's network", shaded=True)


def _agreements(found: Standing) -> tuple[Entry, ...]:
    own = [found.blocks.loc[slug] for slug in found.conditions.index]
    per_metric = [
        found.metrics.loc[metric].dropna(axis=1).rank(axis=1) for metric in found.by_metric.index
    ]
    fair = found.metrics.dropna(axis=1).rank(axis=1)
    return (
        _agreement(found.blocks),
        Entry(""),
        *map(_agreement, own),
        *map(_agreement, per_metric),
        _agreement(fair),
    )


def _agreement(ranks: pd.DataFrame) -> Entry:
    value = kendall_w(ranks.to_numpy())
    return Entry(number(value, 2), value, note="" if math.isfinite(value) else "one ranking alone")
