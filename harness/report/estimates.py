"""The statistics of the report in one place: means, paired differences, ties."""

from harness.report.means import (
    Estimate,
    estimate,
    fastest,
    half_width,
    step_ratio,
    step_ratios,
)
from harness.report.paired import Comparison, compare, difference, tied
from harness.report.ties import Ranking, Rival, holm, mixed, rank

__all__ = [
    "Comparison",
    "Estimate",
    "Ranking",
    "Rival",
    "compare",
    "difference",
    "estimate",
    "fastest",
    "half_width",
    "holm",
    "mixed",
    "rank",
    "step_ratio",
    "step_ratios",
    "tied",
]
