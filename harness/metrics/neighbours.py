"""Fidelity and diversity from nearest neighbours: precision, recall, density, coverage."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.metrics.frechet import check_dims

Array = NDArray[np.float64]

K = 5
NEEDS = K + 1
# Distances held at a time: 64 MB.
HELD = 2**23
COLUMNS = 4096


@dataclass(frozen=True)
class Neighbourhoods:
    """How two sets of features lie in each other's neighbourhoods; all but density in [0, 1]."""

    precision: float
    recall: float
    density: float
    coverage: float


def signature(features: str, real: int, generated: int) -> str:
    """Return what the four numbers depend on; `features` is an extractor's signature."""
    return f"prdc|k={K}|euclidean|strict|float64|{features}|n={generated},{real}|v1"


def neighbourhoods(real: NDArray[Any], generated: NDArray[Any], k: int = K) -> Neighbourhoods:
    """Return precision, recall, density and coverage of generated images.

    `real`, `generated`: features, `(N, dims)` and `(M, dims)`. A ball around each image reaches to
    its k-th nearest neighbour in its own set, itself not counted. Precision: share of generated
    images in a real ball. Recall: share of real images in a generated ball. Density: real balls
    around a generated image over k, on average; it may exceed 1. Coverage: share of real balls that
    hold a generated image. An image on the rim is outside. Memory does not grow with N·M. Sources:
    Kynkäänniemi et al. 2019, eq. 1-3; Naeem et al. 2020, eq. 3-5. Raises ValueError on k or fewer
    images, or when the dimensions differ.
    """
    _check(real, generated, k)
    centre = np.asarray(real[:1], np.float64)
    balls_real, balls_generated = _radii(real, centre, k), _radii(generated, centre, k)
    inside = np.zeros(len(generated), np.int64)
    recalled = covered = 0
    for rows, distances in _blocks(real, generated, centre):
        held = distances < balls_real[rows, None]
        inside += held.sum(0)
        covered += int(held.any(1).sum())
        recalled += int((distances < balls_generated).any(1).sum())
    return Neighbourhoods(
        precision=float((inside > 0).mean()),
        recall=recalled / len(real),
        density=float(inside.mean()) / k,
        coverage=covered / len(real),
    )


def _radii(x: NDArray[Any], centre: Array, k: int) -> Array:
    """Return the squared distance of each image to its k-th nearest neighbour in its own set."""
    found = np.empty(len(x))
    for rows, distances in _blocks(x, x, centre):
        distances[np.arange(len(distances)), np.arange(rows.start, rows.stop)] = -1  # itself
        found[rows] = np.partition(distances, k, axis=1)[:, k]
    return found


def _blocks(x: NDArray[Any], y: NDArray[Any], centre: Array) -> Iterator[tuple[slice, Array]]:
    """Yield squared distances of a block of `x` to all of `y`, and the block's rows.

    |x - y|² = |x|² - 2 x·y + |y|² loses digits far from the origin, hence the centre.
    """
    height = max(1, HELD // len(y))
    for start in range(0, len(x), height):
        rows = slice(start, min(start + height, len(x)))
        left = np.asarray(x[rows], np.float64) - centre
        distances = np.empty((len(left), len(y)))
        for first in range(0, len(y), COLUMNS):
            right = np.asarray(y[first : first + COLUMNS], np.float64) - centre
            part = distances[:, first : first + COLUMNS]
            np.matmul(left, -2 * right.T, out=part)
            part += np.square(left).sum(1)[:, None]
            part += np.square(right).sum(1)
        yield rows, np.maximum(distances, 0, out=distances)


def _check(real: NDArray[Any], generated: NDArray[Any], k: int) -> None:
    check_dims(real, generated)
    if min(len(real), len(generated)) <= k:
        raise ValueError(
            f"Neighbours {k} deep among {len(real)} real and {len(generated)} generated images "
            f"were asked for; give at least {k + 1} of each."
        )
