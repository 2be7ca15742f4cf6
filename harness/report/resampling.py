"""The bootstrap: how a mean varies when images, or seeds, are drawn anew from those there are."""

import functools
from typing import Literal

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
# What the deviations depend on beside the values themselves; another text makes caches invalid.
METHOD = f"bootstrap|resamples={RESAMPLES}|pcg64|v1"

Unit = Literal["images", "seeds"]
_STREAM: dict[Unit, int] = {"images": 0, "seeds": 1}
_AT_ONCE = 250  # resamples: bounds the memory of a product


def deviations(values: NDArray[np.float64], unit: Unit) -> NDArray[np.float32]:
    """Return the means of 2,000 resamples less the mean of all: `(..., n)` gives `(..., 2000)`.

    Resample b draws the same images (or seeds) whatever the values are, so the difference of two
    losses' deviations is that of their paired difference, for every pair of losses at no cost.
    The draws depend on n alone. Source: Efron and Tibshirani 1993, section 6.
    """
    count = values.shape[-1]
    # Centred first, so that single precision is a millionth of the spread, not of the mean.
    centred = (values - values.mean(axis=-1, keepdims=True)).astype(np.float32)
    drawn = counts(count, unit)
    parts = [
        centred @ drawn[start : start + _AT_ONCE].T.astype(np.float32)
        for start in range(0, RESAMPLES, _AT_ONCE)
    ]
    found: NDArray[np.float32] = np.concatenate(parts, axis=-1)
    return found / np.float32(count)


@functools.lru_cache(maxsize=2)  # 40 MB for 20,000 images; the cells of a group share them
def counts(n: int, unit: Unit) -> NDArray[np.uint8]:
    """Return how often each of n things is in each resample: `(2000, n)`, each row sums to n."""
    draws = np.random.Generator(np.random.PCG64([n, _STREAM[unit]]))
    found = np.empty((RESAMPLES, n), np.uint8)
    for row in found:
        row[:] = np.bincount(draws.integers(0, n, size=n, dtype=np.uint32), minlength=n)
    found.setflags(write=False)
    return found


@functools.lru_cache(maxsize=64)
def widening(n: int, unit: Unit) -> NDArray[np.float64]:
    """Return the factors `(2000,)` that give deviations of n values the tails of Student's t.

    The bootstrap's intervals of few values are too narrow: by sqrt((n - 1) / n), and because it
    takes their variance for the true one (Hesterberg 2015, section 3.2). sqrt(n / χ²) with n - 1
    degrees of freedom, drawn once per resample, mends both; of many images it is nearly 1.
    """
    draws = np.random.Generator(np.random.PCG64([n, _STREAM[unit], 1]))
    return np.asarray(np.sqrt(n / draws.chisquare(n - 1, size=RESAMPLES)))
