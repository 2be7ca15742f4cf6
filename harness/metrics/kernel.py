"""The kernel distance between two sets of features: KID on Inception's."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.metrics.frechet import check_dims

Array = NDArray[np.float64]

SUBSETS = 100
SUBSET_SIZE = 1000
NEEDS = 2
SCALE = 1000
BLOCK = 1024


@dataclass(frozen=True)
class KernelDistance:
    """Mean and standard deviation over subsets, times 1000 as tables print it."""

    mean: float
    std: float | None  # None where each subset was the whole of both sets
    size: int  # images in a subset

    @property
    def signature(self) -> str:
        """What was computed, apart from the features and the counts."""
        subsets = 1 if self.std is None else SUBSETS
        return f"mmd2-unbiased|poly3|subsets={subsets}x{self.size}|pcg64=0|x1000|v1"


def kernel_distance(x: NDArray[Any], y: NDArray[Any]) -> KernelDistance:
    """Return the kernel distance of two sets of features, times 1000.

    `x`, `y`: `(N, dims)` and `(M, dims)`. The mean over 100 pairs of subsets of 1000 images (of all
    images of the smaller set where it has fewer) of the unbiased squared maximum mean discrepancy
    under (x·y/dims + 1)³; it may be a little below zero. Subsets are drawn without replacement by
    NumPy's PCG64 from seed 0: the same for equal counts. Source: Bińkowski et al. 2018, section 4;
    settings of torch-fidelity. Raises ValueError below 2 images or when the dimensions differ.
    """
    _check(x, y)
    size = min(SUBSET_SIZE, len(x), len(y))
    draws = np.random.Generator(np.random.PCG64(0))
    chosen = [
        (draws.choice(len(x), size, replace=False), draws.choice(len(y), size, replace=False))
        for _ in range(SUBSETS if size < max(len(x), len(y)) else 1)
    ]
    values = SCALE * _over_subsets(x, y, chosen)
    std = float(values.std()) if len(values) > 1 else None
    return KernelDistance(float(values.mean()), std, size)


def mmd2(x: NDArray[Any], y: NDArray[Any]) -> float:
    """Return the unbiased squared maximum mean discrepancy of all of `x` and `y`, unscaled.

    Shapes, kernel, source and errors as in `kernel_distance`; the counts may differ.
    """
    _check(x, y)
    return float(_discrepancies(x, y, np.ones((1, len(x))), np.ones((1, len(y))))[0])


def _over_subsets(x: NDArray[Any], y: NDArray[Any], chosen: list[tuple[Any, Any]]) -> Array:
    size, pairs = len(chosen[0][0]), len(x) ** 2 + len(y) ** 2 + len(x) * len(y)
    # All kernel values once cost less than those of every subset anew, unless the sets are large.
    if pairs <= 3 * len(chosen) * size**2:
        return _discrepancies(x, y, _indicators(chosen, 0, len(x)), _indicators(chosen, 1, len(y)))
    return np.array([mmd2(x[first], y[second]) for first, second in chosen])


def _indicators(chosen: list[tuple[Any, Any]], side: int, count: int) -> Array:
    found = np.zeros((len(chosen), count))
    for row, pair in zip(found, chosen, strict=True):
        row[pair[side]] = 1
    return found


def _discrepancies(x: NDArray[Any], y: NDArray[Any], in_x: Array, in_y: Array) -> Array:
    """Return MMD² of each pair of subsets, given as rows of zeros and ones over `x` and `y`."""
    m, n = in_x.sum(1), in_y.sum(1)
    within_x = (_sums(x, x, in_x, in_x) - in_x @ _diagonal(x)) / (m * (m - 1))
    within_y = (_sums(y, y, in_y, in_y) - in_y @ _diagonal(y)) / (n * (n - 1))
    between = _sums(x, y, in_x, in_y) / (m * n)
    return within_x + within_y - 2 * between


def _sums(x: NDArray[Any], y: NDArray[Any], in_x: Array, in_y: Array) -> Array:
    """Return Σ k(x_i, y_j) over each pair of subsets, one block of kernel values at a time."""
    total = np.zeros(len(in_x))
    for i in range(0, len(x), BLOCK):
        rows = np.asarray(x[i : i + BLOCK], np.float64)
        for j in range(0, len(y), BLOCK):
            kernel = _cubed(rows @ np.asarray(y[j : j + BLOCK], np.float64).T, x.shape[1])
            total += ((in_x[:, i : i + BLOCK] @ kernel) * in_y[:, j : j + BLOCK]).sum(1)
    return total


def _diagonal(x: NDArray[Any]) -> Array:
    squares = np.concatenate(
        [np.square(x[i : i + BLOCK], dtype=np.float64).sum(1) for i in range(0, len(x), BLOCK)]
    )
    return _cubed(squares, x.shape[1])


def _cubed(products: Array, dims: int) -> Array:
    base = products / dims + 1
    return base * base * base


def _check(x: NDArray[Any], y: NDArray[Any]) -> None:
    check_dims(x, y)
    if min(len(x), len(y)) < NEEDS:
        raise ValueError(
            f"A kernel distance of {len(x)} and {len(y)} images was asked for; "
            f"give at least {NEEDS} of each."
        )
