"""The Fréchet distance between two sets of features, from their first two moments."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.metrics import FEATURE_DIMS

Array = NDArray[np.float64]

VERSION = "v1"


class Moments:
    """Count, mean and scatter of feature vectors, accumulated in float64.

    Sums are centred on the running mean (Chan, Golub and LeVeque 1983), so a large mean
    costs no digits of the covariance. The number of dimensions is that of the first batch.
    """

    def __init__(self) -> None:
        """Start with no images."""
        self.count = 0
        self._mean: Array = np.zeros(0)
        self._scatter: Array = np.zeros((0, 0))

    @property
    def dims(self) -> int:
        """Length of a feature vector; 0 before the first batch."""
        return self._mean.size

    @property
    def singular(self) -> bool:
        """Whether the covariance cannot have full rank: no more images than dimensions."""
        return self.count <= self.dims

    def update(self, features: Tensor | NDArray[np.floating]) -> None:
        """Add a batch of features, `(B, dims)`.

        Raises ValueError unless the batch has two axes and as many dimensions as those before.
        """
        batch = _as_float64(features)
        if batch.ndim != 2:
            raise ValueError(f"Features have shape {batch.shape}; pass a batch (B, dims).")
        if len(batch) == 0:
            return
        mean = batch.mean(0)
        centred = batch - mean
        self._merge(len(batch), mean, centred.T @ centred)

    def merge(self, other: "Moments") -> None:
        """Add what another accumulator has seen, in whatever process, as if seen here.

        Raises ValueError when the dimensions differ.
        """
        if other.count:
            self._merge(other.count, other._mean, other._scatter)

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return count, mean and scatter as arrays, exact, for a file or another process."""
        return {
            "count": np.asarray(self.count, np.int64),
            "mean": self._mean.copy(),
            "scatter": self._scatter.copy(),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> "Moments":
        """Return the accumulator that `to_arrays` wrote; it can be updated further.

        Raises ValueError when an array is missing or the shapes do not fit.
        """
        missing = {"count", "mean", "scatter"} - set(arrays)
        if missing:
            raise ValueError(f"Moments lack {', '.join(sorted(missing))}; write them anew.")
        found, mean = cls(), np.array(arrays["mean"], np.float64)
        scatter = np.array(arrays["scatter"], np.float64)
        if mean.ndim != 1 or scatter.shape != (mean.size, mean.size):
            raise ValueError(
                f"Moments have a mean of shape {mean.shape} and a scatter of {scatter.shape}; "
                "write them anew."
            )
        found.count, found._mean, found._scatter = int(arrays["count"]), mean, scatter
        return found

    def _merge(self, count: int, mean: Array, scatter: Array) -> None:
        if self.count == 0:
            self._mean, self._scatter = np.zeros_like(mean), np.zeros_like(scatter)
        if mean.size != self.dims:
            raise ValueError(
                f"Features have {mean.size} dimensions and the ones before them {self.dims}; "
                "use one extractor per accumulator."
            )
        total, step = self.count + count, mean - self._mean
        self._scatter += scatter + np.outer(step, step) * (self.count * count / total)
        self._mean += step * (count / total)
        self.count = total

    def mean(self) -> Array:
        """Return the mean, `(dims,)`; raises ValueError before the first image."""
        self._require(1)
        return self._mean.copy()

    def covariance(self) -> Array:
        """Return the covariance, `(dims, dims)`, over n - 1; raises ValueError below 2 images."""
        self._require(2)
        return self._scatter / (self.count - 1)

    def _require(self, images: int) -> None:
        if self.count < images:
            raise ValueError(
                f"Moments of {self.count} images were asked for; give at least {images}."
            )


def frechet_distance(a: Moments, b: Moments) -> float:
    """Return |m_a - m_b|² + Tr(S_a + S_b - 2 (S_a S_b)^½), squared units of the features.

    Tr (S_a S_b)^½ is the sum of the square roots of the eigenvalues of RᵀS_bR, where S_a = RRᵀ,
    clipped at 0: real and finite for singular covariances too. Never negative; NaN when a moment is
    not finite. Source: Dowson and Landau 1982; Heusel et al. 2017, eq. 6. Raises ValueError
    below 2 images or when the dimensions differ.
    """
    _require_equal(a.dims, b.dims)
    return DistanceTo(a)(b)


class DistanceTo:
    """The Fréchet distance to one set of features, whose covariance is factored only once."""

    def __init__(self, moments: Moments) -> None:
        """Factor the covariance of `moments`; raises ValueError below 2 images."""
        self._mean, self._covariance = moments.mean(), moments.covariance()
        self._trace = float(np.trace(self._covariance))
        self._root: Tensor | None = None

    def __call__(self, other: Moments) -> float:
        """Return the distance to `other`; values and errors as in `frechet_distance`."""
        _require_equal(self._mean.size, other.dims)
        step, covariance = self._mean - other.mean(), other.covariance()
        spread = self._trace + np.trace(covariance)
        if not np.isfinite(step @ step + spread):
            return float("nan")
        if self._root is None:
            self._root = _root(self._covariance)
        return max(0.0, float(step @ step + spread - 2 * _trace_sqrt(self._root, covariance)))


def signature(features: str, n_a: int, n_b: int) -> str:
    """Return what a distance depends on: implementation, features, dimensions, counts, version.

    `features`: an extractor's name or, to carry its resizing and weights too, its `signature`.
    Says "singular" when there are no more images than dimensions. Raises ValueError on an unknown
    extractor.
    """
    name, _, details = features.partition("|")
    if name not in FEATURE_DIMS:
        raise ValueError(f"Features {name!r} are unknown; choose one of {', '.join(FEATURE_DIMS)}.")
    described = features if details else f"{name}|dims={FEATURE_DIMS[name]}"
    stated = re.search(r"\|dims=(\d+)", described)
    dims = int(stated[1]) if stated else FEATURE_DIMS[name]
    rank = ["singular"] if min(n_a, n_b) <= dims else []
    return "|".join(["frechet", "eigh-float64", described, f"n={n_a},{n_b}", *rank, VERSION])


def check_dims(x: NDArray[Any], y: NDArray[Any]) -> None:
    """Raise ValueError unless both are features, `(N, dims)`, of as many dimensions."""
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1]:
        raise ValueError(
            f"Features have shapes {x.shape} and {y.shape}; pass (N, dims) of one extractor."
        )


def _require_equal(a: int, b: int) -> None:
    if a != b:
        raise ValueError(f"Moments have {a} and {b} dimensions; use one extractor for both.")


def _root(covariance: Array) -> Tensor:
    """Return R with RRᵀ the covariance; which of them does not matter to the eigenvalues."""
    # PyTorch's LAPACK took half the time of NumPy's wheels for 2048 dimensions.
    matrix = torch.from_numpy(covariance)
    factor, failed = torch.linalg.cholesky_ex(matrix)
    if not failed:
        return factor
    eigenvalues, vectors = torch.linalg.eigh(matrix)  # singular
    return vectors * eigenvalues.clamp_min(0).sqrt()


def _trace_sqrt(root: Tensor, covariance: Array) -> float:
    eigenvalues = torch.linalg.eigvalsh(root.T @ torch.from_numpy(covariance) @ root)
    return float(eigenvalues.clamp_min(0).sqrt().sum())


def _as_float64(features: Tensor | NDArray[np.floating]) -> Array:
    if isinstance(features, Tensor):
        features = features.detach().cpu().double().numpy()
    return np.asarray(features, dtype=np.float64)
