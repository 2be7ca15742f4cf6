"""The table of ranks, what its caption must say, and how far the ranks agree."""

import math

import pandas as pd

from harness.metrics import METRICS
from harness.report.advantage import optimised
from harness.report.collect import Group
from harness.report.friedman import LEVEL, kendall_w
from harness.report.ranks import OPTIONS, standing
from harness.report.standing import Standing, agreement
from harness.report.table import Column, Entry, Row, Table, number, plural, significant


def rank_table(groups: list[Group]) -> Table | None:
    """Return the losses' ranks by condition and by metric; None where nothing repeats.

    Sorted by the mean rank by the objective. Bold: the best and those joined with it by a bar, or
    where no test can be made the best alone. The last row is Kendall's W of each column.
    """
    found = standing(groups)
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
    )


def objective(found: Standing) -> str:
    """Return the printed name of what the losses are ranked by first."""
    labels = {METRICS[group.objective].label for group in found.groups}
    return labels.pop() if len(labels) == 1 else "each condition's objective"


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


def caption(found: Standing) -> str:
    """Return what was ranked over which blocks, what the test says, and who was left out."""
    return " ".join(
        part
        for part in (_blocks(found), _test(found), _agreement_words(found), _others(found))
        if part
    )


def _blocks(found: Standing) -> str:
    blocks, conditions = len(found.blocks), len(found.conditions)
    seeds = plural(found.seeds, "seed")
    where = f"{conditions} conditions (a dataset with a model), {seeds} each"
    if conditions == 1:
        where = f"{seeds} of {found.groups[0].title}"
    text = (
        f"{len(found.means)} losses ranked by {objective(found)}, 1 the best, "
        f"{plural(blocks, 'time')}: {where}. Each column has the mean of its ranks."
    )
    if found.seeds > 1:
        text += (
            " Every seed counts as a ranking of its own, so the test speaks of these datasets and "
            "models, not of others."
        )
    return text


def _test(found: Standing) -> str:
    if not found.tested:
        return (
            f"No test: {plural(len(found.blocks), 'ranking')} cannot tell any two of "
            f"{len(found.means)} losses apart at {100 * LEVEL:g} %."
        )
    p = f"p = {significant(found.p, 1)}" if found.p > 0.0005 else "p < 0.001"
    if not found.told_apart:
        return f"Friedman's test (by permutations, {p}) does not tell the losses apart."
    return (
        f"Friedman's test (by permutations): {p}; losses joined by a bar differ by less "
        f"than Nemenyi's critical difference at {100 * LEVEL:g} %, {found.critical:.2f} "
        "(Demšar 2006)."
    )


def _agreement_words(found: Standing) -> str:
    values = agreement(found)
    if not values:
        return ""
    words = ", ".join(f"{value:.2f} between {name}" for name, value in values.items())
    return (
        f"Agreement of the ranks (Kendall's W, from 0, none, to 1, the same everywhere): {words}; "
        "the last row has it within each column."
    )


def _others(found: Standing) -> str:
    sentences = []
    if variants := _variants(found):
        sentences.append(f"Under one name: {'; '.join(variants)}.")
    if found.left_out:
        reasons = dict.fromkeys(found.left_out.values())
        words = "; ".join(f"{', '.join(_with(found, why))} ({why})" for why in reasons)
        sentences.append(f"Not ranked: {words}.")
    if found.elsewhere:
        words = ", ".join(group.title for group in found.elsewhere)
        sentences.append(f"Left out, with too few of these losses: {words}.")
    if partial := _partial(found):
        sentences.append(f"Not measured under every condition: {', '.join(partial)}.")
    if own := _optimised(found):
        sentences.append(f"Ranked, but optimised by the loss itself: {', '.join(own)}.")
    if found.metrics.isna().any(axis=None):
        sentences.append(
            "A loss has no rank by a metric on a network that it was trained with; the ranks of "
            "the others are stretched to the full range there."
        )
    return " ".join(sentences)


def _variants(found: Standing) -> list[str]:
    """Which other variants of a loss some conditions have."""
    return [
        f"{loss} is {cell.label} on {group.title}"
        for loss, cells in found.cells.items()
        for group, cell in zip(found.groups, cells, strict=True)
        if cell.label != loss
    ]


def _with(found: Standing, why: str) -> list[str]:
    return [loss for loss, own in found.left_out.items() if own == why]


def _partial(found: Standing) -> list[str]:
    counts = found.metrics.groupby(level=0, sort=False).size()
    total = len(found.conditions)
    return [
        f"{METRICS[metric].label} ({count} of {total})"
        for metric, count in counts.items()
        if count < total
    ]


def _optimised(found: Standing) -> list[str]:
    return [
        f"{METRICS[metric].label} of {loss}"
        for metric in found.by_metric.index
        for loss in found.means.index
        if optimised(found.cells[loss][0], metric)
    ]
