"""Do ranks differ by more than chance: Friedman's test, Nemenyi's distance, Kendall's W.

Source: Demšar 2006, "Statistical Comparisons of Classifiers over Multiple Data Sets", section 3.2.
A block is one condition under which all of k losses were ranked, 1 for the best.
"""

import math

import numpy as np
from numpy.typing import NDArray

from harness.report.student import LEVEL, range_point

Ranks = NDArray[np.float64]

PERMUTATIONS = 4999  # p is then known to 0.003 around 5 %
_SEED = 20061200  # of the permutations: the same ranks give the same p


def kendall_w(ranks: Ranks) -> float:
    """Return Kendall's coefficient of concordance W of `ranks` `(blocks, k)`, corrected for ties.

    0 where the blocks' ranks average out, 1 where all blocks agree; NaN with fewer than two blocks
    or losses, or where every block ties all losses. Friedman's statistic is blocks × (k - 1) × W.
    """
    blocks, k = ranks.shape
    deviations = ranks - (k + 1) / 2
    most = blocks * float((deviations**2).sum())
    if blocks < 2 or k < 2 or most == 0:
        return math.nan
    return float((deviations.sum(axis=0) ** 2).sum()) / most


def friedman(ranks: Ranks) -> tuple[float, float]:
    """Return Friedman's statistic of `ranks` `(blocks, k)` and the p value of no difference.

    p is of 4,999 seeded permutations within the blocks, since the χ² of Demšar's equation 3.2 holds
    for many blocks only; it is never below 1/5,000. Both are NaN where `kendall_w` is.
    """
    blocks, k = ranks.shape
    agreement = kendall_w(ranks)
    if math.isnan(agreement):
        return math.nan, math.nan
    rng = np.random.default_rng(_SEED)
    sums = np.zeros((PERMUTATIONS, k))
    for block in ranks:
        sums += rng.permuted(np.broadcast_to(block, (PERMUTATIONS, k)), axis=1)
    centre = blocks * (k + 1) / 2
    drawn = ((sums - centre) ** 2).sum(axis=1)
    found = float(((ranks.sum(axis=0) - centre) ** 2).sum())
    # The sums are multiples of 1/2, so that equal statistics differ by rounding alone.
    p = (1 + int((drawn >= found - 1e-6).sum())) / (1 + PERMUTATIONS)
    return blocks * (k - 1) * agreement, p


def critical_difference(k: int, blocks: int) -> float:
    """Return by how much two of `k` mean ranks over `blocks` must differ at 5 % (Nemenyi).

    q √(k(k + 1) / 6 blocks), q the studentised range's point over √2 (Demšar 2006, table 5a).
    """
    q = range_point(LEVEL, k) / math.sqrt(2)
    return q * math.sqrt(k * (k + 1) / (6 * blocks))


def enough(k: int, blocks: int) -> bool:
    """Tell whether any two of `k` losses could be told apart over so many blocks.

    Full agreement must be rarer by chance than 5 %, and the first and the last of its mean ranks,
    k - 1 apart, must differ by more than the critical difference.
    """
    if k < 2 or blocks < 2 or math.lgamma(k + 1) * (blocks - 1) <= -math.log(LEVEL):
        return False
    return critical_difference(k, blocks) < k - 1


def bars(means: Ranks, distance: float) -> list[tuple[int, int]]:
    """Return the first and last index of each longest run that spans at most `distance`.

    `means`: sorted mean ranks. Runs of a single loss and runs inside another are left out.
    """
    found: list[tuple[int, int]] = []
    for first, mean in enumerate(means):
        last = int(np.searchsorted(means, mean + distance + 1e-9, side="right")) - 1
        if last > first and (not found or last > found[-1][1]):
            found.append((first, last))
    return found
