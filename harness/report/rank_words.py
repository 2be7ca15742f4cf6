"""What is said of ranks: the caption, the notes, and which losses have none."""

from collections import Counter

from harness.metrics import METRICS
from harness.report.advantage import optimised
from harness.report.standing import Standing, agreement
from harness.report.student import LEVEL
from harness.report.table import plural, significant


def objective(found: Standing) -> str:
    """Return the printed name of what the losses are ranked by first."""
    labels = {METRICS[group.objective].label for group in found.groups}
    return labels.pop() if len(labels) == 1 else "each condition's objective"


def not_ranked(found: Standing) -> list[str]:
    """Return the losses without a rank, those that most of the conditions measured first."""
    measured = Counter(cell.label for group in found.groups for cell in group.measured)
    return sorted(found.left_out, key=lambda loss: -measured[loss])


def caption(found: Standing) -> str:
    """Return what was ranked over which blocks, what the test says, and how many have no rank."""
    return " ".join(part for part in (_blocks(found), _test(found), _unranked(found)) if part)


def _blocks(found: Standing) -> str:
    blocks, conditions = len(found.blocks), len(found.conditions)
    seeds = plural(found.seeds, "seed")
    where = f"{conditions} conditions (a dataset with a model), {seeds} each"
    if conditions == 1:
        where = f"{seeds} of {found.groups[0].title}"
    text = (
        f"{len(found.means)} losses ranked by {objective(found)}, 1 the best, "
        f"{plural(blocks, 'time')}: {where}."
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


def _unranked(found: Standing) -> str:
    count = len(found.left_out)
    if not count:
        return ""
    losses, have = ("1 more loss", "has") if count == 1 else (f"{count} more losses", "have")
    return f"{losses} {have} no rank, whatever the scores; the notes to the table say why."


def notes(found: Standing) -> tuple[str, ...]:
    """Return what the ranks leave out or treat alike, and how far they agree."""
    sentences = ["Each column has the mean of its ranks."]
    if values := agreement(found):
        words = ", ".join(f"{value:.2f} between {name}" for name, value in values.items())
        sentences.append(
            "Agreement of the ranks (Kendall's W, from 0, none, to 1, the same everywhere): "
            f"{words}; the last row has it within each column."
        )
    if found.left_out:
        reasons = dict.fromkeys(found.left_out.values())
        words = "; ".join(f"{', '.join(_with(found, why))} ({why})" for why in reasons)
        sentences.append(f"Not ranked: {words}.")
    if variants := _variants(found):
        sentences.append(f"Under one name: {'; '.join(variants)}.")
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
    return tuple(sentences)


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
