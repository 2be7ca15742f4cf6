"""The ranks of losses over conditions, seeds and metrics: what they say and how far they agree."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from harness.report.collect import Cell, Group
from harness.report.friedman import bars, critical_difference, enough, friedman, kendall_w
from harness.report.student import LEVEL


@dataclass(frozen=True)
class Standing:
    """The ranks of the losses that all of its conditions measured; 1 is best, ties share a mean.

    A condition is a dataset with a model. All frames have one column per loss: `blocks` one row per
    condition and seed, by the condition's objective; `conditions` one per condition, by the
    objective's mean over those seeds; `metrics` one per metric and condition, by the mean over all
    seeds, NaN where a loss has home advantage.
    """

    groups: tuple[Group, ...]
    cells: dict[str, tuple[Cell, ...]]  # loss -> its cell in each of the groups
    blocks: pd.DataFrame
    conditions: pd.DataFrame
    metrics: pd.DataFrame
    left_out: dict[str, str]  # loss -> why it has no rank
    elsewhere: tuple[Group, ...]  # groups with too few of these losses

    @cached_property
    def means(self) -> "pd.Series[float]":
        """Mean rank over the blocks, sorted, the grid's order among equals."""
        return self.blocks.mean().sort_values(kind="stable")

    @cached_property
    def by_metric(self) -> pd.DataFrame:
        """Mean rank over the conditions, one row per metric."""
        return self.metrics.groupby(level=0, sort=False).mean()

    @cached_property
    def tested(self) -> bool:
        """Whether there are blocks enough to tell any losses apart."""
        return enough(self.blocks.shape[1], self.blocks.shape[0])

    @cached_property
    def p(self) -> float:
        """The p value of Friedman's test over the blocks."""
        return friedman(self.blocks.to_numpy())[1]

    @cached_property
    def critical(self) -> float:
        """Nemenyi's critical difference of two mean ranks over the blocks."""
        return critical_difference(self.blocks.shape[1], self.blocks.shape[0])

    @property
    def seeds(self) -> int:
        """The seeds of each condition."""
        return len(self.blocks) // len(self.groups)

    @property
    def told_apart(self) -> bool:
        """Whether Friedman's test says that the losses differ, so that pairs may be looked at."""
        return self.tested and self.p < LEVEL

    def joined(self) -> list[tuple[int, int]]:
        """Return the runs of `means` that cannot be told apart; none without a test."""
        if not self.tested:
            return []
        if not self.told_apart:
            return [(0, len(self.means) - 1)]
        return bars(self.means.to_numpy(), self.critical)


def agreement(found: Standing) -> dict[str, float]:
    """Return Kendall's W of the ranks between seeds, datasets, models and metrics, where defined.

    Between seeds and metrics within each condition, between datasets for each model and between
    models for each dataset, then averaged; metrics without the losses that have home advantage.
    """
    keys = {group.slug: (group.dataset, group.model) for group in found.groups}
    frames = {
        "seeds": [found.blocks.loc[slug] for slug in keys],
        "datasets": [_where(found, keys, 1, model) for model in {k[1]: 0 for k in keys.values()}],
        "models": [_where(found, keys, 0, name) for name in {k[0]: 0 for k in keys.values()}],
        "metrics": [_of_condition(found, slug) for slug in keys],
    }
    values = {
        name: [w for f in each if not np.isnan(w := kendall_w(f.to_numpy()))]
        for name, each in frames.items()
    }
    return {name: float(np.mean(each)) for name, each in values.items() if each}


def _where(found: Standing, keys: dict[str, tuple[str, str]], part: int, name: str) -> pd.DataFrame:
    return found.conditions.loc[[slug for slug, key in keys.items() if key[part] == name]]


def _of_condition(found: Standing, slug: str) -> pd.DataFrame:
    rows = found.metrics[found.metrics.index.get_level_values("condition") == slug]
    return rows.dropna(axis=1).rank(axis=1)
