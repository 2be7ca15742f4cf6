"""The Fréchet distance between two sets of features, from their first two moments."""

import numpy as np
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

    Tr (S_a S_b)^½ is the sum of the square roots of the eigenvalues of S_a^½ S_b S_a^½, clipped at
    0: real and finite for singular covariances too. Never negative; NaN when a moment is not
    finite. Source: Dowson and Landau 1982; Heusel et al. 2017, eq. 6. Raises ValueError
    below 2 images or when the dimensions differ.
    """
    if a.dims != b.dims:
        raise ValueError(
            f"Moments have {a.dims} and {b.dims} dimensions; use one extractor for both."
        )
    step, first, second = a.mean() - b.mean(), a.covariance(), b.covariance()
    spread = np.trace(first) + np.trace(second)
    if not np.isfinite(step @ step + spread):
        return float("nan")
    return max(0.0, float(step @ step + spread - 2 * _trace_sqrt_product(first, second)))


def signature(features: str, n_a: int, n_b: int) -> str:
    """Return what a distance depends on: implementation, features, dimensions, counts, version.

    `features`: an extractor's name or, to carry its resizing and weights too, its `signature`.
    Says "singular" when there are no more images than dimensions. Raises ValueError on an unknown
    extractor.
    """
    name, _, details = features.partition("|")
    if name not in FEATURE_DIMS:
        raise ValueError(f"Features {name!r} are unknown; choose one of {', '.join(FEATURE_DIMS)}.")
    dims = FEATURE_DIMS[name]
    described = features if details else f"{name}|dims={dims}"
    rank = ["singular"] if min(n_a, n_b) <= dims else []
    return "|".join(["frechet", "eigh-float64", described, f"n={n_a},{n_b}", *rank, VERSION])


def _trace_sqrt_product(first: Array, second: Array) -> float:
    eigenvalues, vectors = np.linalg.eigh(first)
    # S_a^½ = V Λ^½ Vᵀ; the outer V is a rotation and leaves the eigenvalues alone.
    root = vectors * np.sqrt(eigenvalues.clip(0))
    return float(np.sqrt(np.linalg.eigvalsh(root.T @ second @ root).clip(0)).sum())


def _as_float64(features: Tensor | NDArray[np.floating]) -> Array:
    if isinstance(features, Tensor):
        features = features.detach().cpu().double().numpy()
    return np.asarray(features, dtype=np.float64)
