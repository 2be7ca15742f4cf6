"""What the number of generated images does to a Fréchet distance: its bias and its spread."""

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from harness.metrics.frechet import DistanceTo, Moments

SIZES = 15
HALVES = 100
COVERAGE = 0.95

# Arithmetic that evaluation may spend on both, about half a minute of two CPU cores.
AFFORDABLE = 1.5e12


def needs(dims: int) -> int:
    """Return how many generated images both functions need: their half exceeds the dimensions.

    With fewer, subsets have singular covariances and the distance is no longer linear in 1/N.
    """
    return 2 * (dims + 1)


def affordable(dims: int, n: int) -> bool:
    """Tell whether both functions together take about half a minute on two CPU cores or less.

    True of 64 and 512 features of 10,000 images, false of 2048 features of any number.
    """
    moments, eigenvalues = 2 * (n / 2) * dims**2, 4 * dims**3
    return (SIZES + HALVES) * (moments + eigenvalues) <= AFFORDABLE


def infinity(real: Moments, generated: NDArray[Any]) -> float:
    """Return the distance extrapolated to infinitely many generated images.

    `generated`: features `(N, dims)`. The intercept of the least-squares line through the distances
    of 15 random subsets over 1/n, their sizes n evenly spaced from a tenth of N (but more than
    `dims`) to N, drawn by NumPy's PCG64 from seed 0. The bias of the real side's own count stays.
    It may be negative. Source: Chong and Forsyth 2020, section 4. Raises ValueError below
    `needs(dims)` images.
    """
    count, dims = _checked(generated)
    smallest = max(count // 10, dims + 1)
    sizes = np.linspace(smallest, count, SIZES).round().astype(int).tolist()
    distance = DistanceTo(real)
    values = [distance(part) for part in _subsets(generated, sizes)]
    return float(np.polyfit(1 / np.asarray(sizes), values, 1)[1])


def interval(real: Moments, generated: NDArray[Any]) -> tuple[float, float]:
    """Return the ends of the 95 % interval of the distance over halves of the generated images.

    `generated`: features `(N, dims)`. The distances of 100 random halves, drawn without replacement
    by NumPy's PCG64 from seed 0, less their mean, times sqrt(m / (N - m)) for halves of m images (1
    for even N: leaving out half doubles the variance and drawing from finitely many halves it),
    have the spread of the distance of N images about its expectation. Their 2.5 and 97.5 %
    quantiles are taken off the distance of all, so the interval lies around it. It covers chance in
    drawing the generated images alone: neither the bias of N images (`infinity` estimates that),
    nor the choice of real images, nor that of the training seed. Source: Politis and Romano 1994.
    Raises ValueError below `needs(dims)` images.
    """
    count, _ = _checked(generated)
    half, distance, whole = count // 2, DistanceTo(real), Moments()
    whole.update(generated)
    halves = np.array([distance(part) for part in _subsets(generated, [half] * HALVES)])
    deviations = (halves - halves.mean()) * np.sqrt(half / (count - half))
    tail = (1 - COVERAGE) / 2
    below, above = np.quantile(deviations, [tail, 1 - tail])
    found = distance(whole)
    return max(0.0, found - float(above)), found - float(below)


def signature(frechet_signature: str, what: Literal["infinity", "interval"]) -> str:
    """Return what a value of `infinity` or `interval` depends on, beside the distance itself."""
    drawn = f"sizes={SIZES}" if what == "infinity" else f"95%|halves={HALVES}"
    return f"{frechet_signature}|{what}|{drawn}|pcg64=0|v1"


def _subsets(features: NDArray[Any], sizes: Sequence[int]) -> Iterator[Moments]:
    draws = np.random.Generator(np.random.PCG64(0))
    for size in sizes:
        moments = Moments()
        # In order, so that a memory-mapped file is read from front to back.
        moments.update(features[np.sort(draws.choice(len(features), size, replace=False))])
        yield moments


def _checked(features: NDArray[Any]) -> tuple[int, int]:
    if features.ndim != 2:
        raise ValueError(f"Features have shape {features.shape}; pass (N, dims).")
    count, dims = features.shape
    if count < needs(dims):
        raise ValueError(
            f"An extrapolation of {dims} features from {count} generated images was asked for; "
            f"give at least {needs(dims)}."
        )
    return count, dims
