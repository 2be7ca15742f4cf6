"""Which losses may be ranked over which datasets, models, seeds and metrics, and their ranks."""

import re
from collections import Counter

import numpy as np
import pandas as pd

from harness.metrics import METRICS
from harness.report.advantage import home
from harness.report.collect import Cell, Group
from harness.report.standing import Standing
from harness.report.ties import mixed

OPTIONS = re.compile(r"\[[^\]]*\]")


def standing(groups: list[Group]) -> Standing | None:
    """Rank the losses over as many of the `groups` as share them; None where nothing repeats.

    Ranked are whole cells without home advantage whose objective is finite in every seed and of one
    signature. Every condition gives equally many seeds, the first that all of its cells have. A
    loss that a group has in one variant alone is the same loss as in the others: a document's
    `blur[size=41]` at 256 pixels is its `blur` at 64.
    """
    candidates = {group.slug: _candidates(group) for group in groups}
    chosen = _shared(candidates)
    members = tuple(group for group in groups if group.slug in chosen)
    cells = _cells([candidates[group.slug] for group in members])
    values = _objectives(members, cells) if cells else pd.DataFrame()
    if values.empty:
        return None
    found = Standing(
        members,
        cells,
        values.rank(axis=1),
        values.groupby(level=0, sort=False).mean().rank(axis=1),
        _metric_ranks(members, cells),
        _left_out(members, cells),
        tuple(group for group in groups if group.slug not in chosen),
    )
    return found if len(found.blocks) > 1 or len(found.metrics) > 1 else None


Candidates = dict[str, dict[str, Cell]]
Cells = dict[str, tuple[Cell, ...]]


def _candidates(group: Group) -> dict[str, Cell]:
    """The cells that may be ranked, by the name that they have in every group."""
    metric, names = group.objective, _names(group)
    fair = [
        c for c in group.measured if METRICS[metric].direction != "none" and not _why(c, metric)
    ]
    return {} if mixed(tuple(fair), metric) else {names[cell.label]: cell for cell in fair}


def _names(group: Group) -> dict[str, str]:
    """Label -> loss without its options, where no other cell of the group could be meant."""
    bare = {cell.label: OPTIONS.sub("", cell.label) for cell in group.cells}
    counts = Counter(bare.values())
    return {label: name if counts[name] == 1 else label for label, name in bare.items()}


def _cells(candidates: list[dict[str, Cell]]) -> Cells:
    """The losses that all conditions have, in the first one's order, each under a label it has."""
    found: Cells = {}
    for name in candidates[0] if candidates else ():
        if all(name in each for each in candidates):
            cells = tuple(each[name] for each in candidates)
            labels = [cell.label for cell in cells]
            found[name if name in labels else labels[0]] = cells
    return found


def _why(cell: Cell, metric: str) -> str:
    """Why a cell cannot be ranked by a metric; "" where it can."""
    if not cell.whole:
        return "not every seed ok"
    if home(cell, metric):
        return "home advantage"
    return "" if np.isfinite(cell.finals[metric].astype(float)).all() else "no finite value"


def _shared(candidates: Candidates) -> list[str]:
    """Choose the conditions that together rank the most: losses × conditions.

    From every condition on, others join in the order in which the fewest losses drop out: the one
    with the most losses, an ablation say, may share few of them. Several conditions with three
    losses are preferred to one with many, which says nothing about stability.
    """
    best: tuple[tuple[bool, int], list[str]] = ((False, 0), [])
    for first in sorted(candidates, key=lambda slug: -len(candidates[slug])):
        best = max(best, _joined(candidates, first), key=lambda each: each[0])
    return best[1]


def _joined(candidates: Candidates, first: str) -> tuple[tuple[bool, int], list[str]]:
    """The best choice that begins with a condition, after what it is worth."""
    chosen, left = [first], [slug for slug in candidates if slug != first]
    common = set(candidates[first])
    best: tuple[tuple[bool, int], list[str]] = ((False, 0), [])
    while True:
        worth = (len(chosen) > 1 and len(common) > 2, len(common) * len(chosen))
        if len(common) > 1 and worth > best[0]:
            best = worth, list(chosen)
        if not left:
            return best
        chosen.append(max(left, key=lambda slug: len(common & set(candidates[slug]))))
        left.remove(chosen[-1])
        common &= set(candidates[chosen[-1]])


def _sign(metric: str) -> int:
    return -1 if METRICS[metric].direction == "maximize" else 1


def _objectives(groups: tuple[Group, ...], cells: Cells) -> pd.DataFrame:
    """The objective of each condition and seed, negated where more is better."""
    frames = {}
    for place, group in enumerate(groups):
        columns = {loss: _by_seed(own[place], group.objective) for loss, own in cells.items()}
        frames[group.slug] = _sign(group.objective) * pd.DataFrame(columns).dropna().sort_index()
    seeds = min(map(len, frames.values()))
    return pd.concat({slug: frame.iloc[:seeds] for slug, frame in frames.items()})


def _by_seed(cell: Cell, metric: str) -> "pd.Series[float]":
    return pd.Series(cell.finals[metric].to_numpy(float), index=cell.finals["seed"].to_numpy())


def _metric_ranks(groups: tuple[Group, ...], cells: Cells) -> pd.DataFrame:
    objectives = {group.objective for group in groups}
    metrics = [
        name
        for name, metric in METRICS.items()
        if metric.direction != "none" and (metric.table == "main" or name in objectives)
    ]
    found = {}
    for place, group in enumerate(groups):
        own = {loss: each[place] for loss, each in cells.items()}
        means = pd.DataFrame({x: c.finals[metrics].astype(float).mean() for x, c in own.items()})
        for metric in metrics:
            ranks = _ranked(own, metric, _sign(metric) * means.loc[metric])
            if ranks is not None:
                found[metric, group.slug] = ranks
    order = sorted(found, key=lambda key: metrics.index(key[0]))  # stable: conditions as they come
    index = pd.MultiIndex.from_tuples(order, names=["metric", "condition"])
    return pd.DataFrame([found[key] for key in order], columns=list(cells)).set_axis(index)


def _ranked(
    cells: dict[str, Cell], metric: str, means: "pd.Series[float]"
) -> "pd.Series[float] | None":
    """Rank cells by a metric; None unless all that may be ranked have a value of one signature.

    Where some have home advantage the ranks of the others are stretched to the full range, so that
    a mean over metrics does not favour who was ranked among few.
    """
    if means.isna().all():
        return None
    fair = {loss: cell for loss, cell in cells.items() if not home(cell, metric)}
    own = means[list(fair)]
    if len(fair) < 2 or not np.isfinite(own).all() or mixed(tuple(fair.values()), metric):
        return None
    stretched = 1 + (own.rank() - 1) * (len(cells) - 1) / (len(fair) - 1)
    return stretched.reindex(means.index)


def _left_out(groups: tuple[Group, ...], cells: Cells) -> dict[str, str]:
    """Why each other loss of the conditions has no rank: its first shortcoming."""
    ranked = {cell.id for own in cells.values() for cell in own}
    found: dict[str, str] = {}
    for group in groups:
        for cell in group.cells:
            if cell.id not in ranked:
                why = _why(cell, group.objective) if cell.measured else cell.state or "not run"
                found[cell.label] = found.get(cell.label) or why
    return {label: why or "not in every condition" for label, why in found.items()}
