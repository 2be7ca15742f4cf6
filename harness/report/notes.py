"""What stands around the main table: counts, spreads, how ties were judged, marks, signatures."""

from collections.abc import Sequence

import pandas as pd

from harness.metrics import METRICS, SPACES, advice, space_of
from harness.report.advantage import home, optimised
from harness.report.collect import SEEDS_FOR_INTERVAL, Group
from harness.report.grounds import grounds
from harness.report.means import SEEDS_TO_RESAMPLE
from harness.report.measures import Measure
from harness.report.table import plural, spanned
from harness.report.ties import Ranking


def label(metric: str) -> str:
    """Return the printed name of a metric column."""
    return METRICS[metric].label if metric in METRICS else metric


def caption(group: Group) -> str:
    """Return what was measured on how many images, seeds and trials, and how β was chosen."""
    if not group.measured:
        return "No cell of this group has a final model yet."
    return " ".join([_counts(group), _beta(group), _spread(group)])


def _counts(group: Group) -> str:
    finals = pd.concat([cell.finals for cell in group.measured])
    splits = " and ".join(sorted({str(split) for split in finals["split"].dropna()})) or "test"
    images = spanned(finals["images"])
    generated = spanned(finals["generated"])
    parts = [f"{images} {splits} images" if images else f"{splits} images"]
    parts += [f"{generated} generated images"] if generated else []
    return f"Scores on {' and '.join(parts)}."


def _beta(group: Group) -> str:
    protocol = group.protocol
    if protocol.get("beta") is not None:
        return f"β fixed at {protocol['beta']:g}."
    trials = plural(max(cell.trials for cell in group.cells), "trial")
    chosen = protocol.get("select_on") or "validation"
    warning = " (the test split: not a held-out estimate)" if chosen == "test" else ""
    return (
        f"β tuned in {trials} per loss for {label(group.objective)} on the {chosen} split{warning}."
    )


def _spread(group: Group) -> str:
    seeds = sorted({len(cell.finals) for cell in group.measured})
    several = "± is the standard deviation over seeds"
    one = "with one seed, ± is the standard error over test images and distances have no ±"
    if seeds == [1]:
        return (
            f"One seed per loss: {one.partition(', ')[2]}. What is tied is judged over images "
            "alone: these models differ, others may not."
        )
    few = (
        f" Fewer than {SEEDS_TO_RESAMPLE} seeds: interval over images; seeds shown as points "
        "(in the chart of quality and cost)."
        if seeds[0] < SEEDS_TO_RESAMPLE
        else ""
    )
    if seeds[0] == 1:
        return f"{several}; {one}.{few}"
    return f"{several}.{few}"


def notes(
    group: Group,
    columns: Sequence[Measure],
    rankings: Sequence[Ranking],
    *,
    marks: bool = True,
) -> tuple[str, ...]:
    """Return one sentence for each mark that occurs, then the signatures.

    Without `marks` those of the main table's other columns (β, batch, state) are left out.
    """
    metrics = list(dict.fromkeys(each.metric for each in columns))
    lines = [
        _bold(group, rankings),
        *(_marks(group) if marks else []),
        *_advantages(group, metrics),
        *_missing(group, metrics),
        _singular(columns),
        _advice(group, metrics),
    ]
    lines.append(_signatures(columns))
    return tuple(line for line in lines if line)


def _signatures(columns: Sequence[Measure]) -> str:
    """Name each signature once, after the columns that bear it."""
    bearers: dict[str, list[str]] = {}
    for each in columns:
        if each.signature:
            bearers.setdefault(each.signature, []).append(label(each.metric))
    named = [f"{', '.join(labels)}: {signature}" for signature, labels in bearers.items()]
    return f"Signatures. {'; '.join(named)}." if named else ""


def _bold(group: Group, rankings: Sequence[Ranking]) -> str:
    ranked = [each for each in rankings if each.best is not None]
    if not ranked:
        return ""
    found = grounds(ranked)
    text = "Bold: the best number."
    if found:
        text = (
            "Bold: best, and those not told apart from it, whose paired difference to it is not "
            f"significant at 5 % after Holm's correction over the column ({found})."
        )
    if any(not each.judged for each in ranked):
        counts = [len(cell.finals) for cell in group.measured]
        few = "one seed" if max(counts) == 1 else f"fewer than {SEEDS_FOR_INTERVAL} seeds"
        text += f" Distances with {few} have no interval: bold is only the best number, not a test."
    return text


def _marks(group: Group) -> list[str]:
    finals = pd.concat([cell.finals for cell in group.measured]) if group.measured else None
    if finals is None:
        return []
    lines = []
    if finals["beta_flag"].notna().any():
        lines.append("† the tuned β lies at a bound of its range: a wider range may do better.")
    if finals["batch_coupled"].fillna(False).astype(bool).any():
        lines.append("‡ an image's loss depends on the other images of its batch.")
    if any(not cell.whole for cell in group.measured):
        lines.append("§ means of the seeds that survived: not ranked.")
    if any(cell.stale for cell in group.cells):
        lines.append(
            "Stale: computed by other source code or on other data than the newest row of this "
            "group; run the grid again to compare."
        )
    return lines


def _advantages(group: Group, metrics: list[str]) -> list[str]:
    lines = []
    for title, favours in (
        ("Shaded, not ranked: the metric runs on a network that the loss was trained with", home),
        ("Ranked, but optimised directly by the loss", optimised),
    ):
        pairs = [
            f"{label(metric)} of {cell.label}"
            for cell in group.measured
            for metric in metrics
            if favours(cell, metric)
        ]
        lines += [f"{title}: {', '.join(pairs)}."] if pairs else []
    return lines


def _missing(group: Group, metrics: list[str]) -> list[str]:
    pairs = [
        f"{label(metric)} of {cell.label}"
        for cell in group.measured
        for metric in metrics
        if cell.finals[metric].isna().any()
    ]
    return [f"Without a finite value in at least one seed: {', '.join(pairs)}."] if pairs else []


def _singular(columns: Sequence[Measure]) -> str:
    """Say where a covariance has less than full rank."""
    found = [label(each.metric) for each in columns if "singular" in each.signature.split("|")]
    if not found:
        return ""
    return (
        f"No more images than features, so that a covariance is singular: "
        f"{', '.join(dict.fromkeys(found))}; compare them at equal numbers of images alone."
    )


def _advice(group: Group, metrics: list[str]) -> str:
    """Say where a column's features mean little for the images of the group."""
    spaces = {space_of(metric) for metric in metrics} - {None, "random"}
    shapes = {str(shape) for cell in group.measured for shape in cell.finals["image_shape"]}
    grey = any(shape.startswith("1x") for shape in shapes)
    found = [advice(space, 1 if grey else 3) for space in SPACES if space in spaces]
    return " ".join(sentence for sentence in found if sentence)
