"""The measurements of a run: one row of `METRICS` per column, importable without torch or NumPy."""

from harness.metrics import rows
from harness.metrics.metric import Direction, FeatureSpace, Metric, Table
from harness.metrics.spaces import (
    INCEPTION_DIMS,
    SPACES,
    advice,
    distances,
    inception_taps,
    space_of,
)

__all__ = [
    "FEATURE_DIMS",
    "INCEPTION_DIMS",
    "IN_ANY_SPACE",
    "METRICS",
    "PREFIX",
    "SPACES",
    "Direction",
    "FeatureSpace",
    "Metric",
    "Table",
    "advice",
    "space_of",
]

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        *rows.HEADLINE,
        *distances(),
        *rows.SPECTRA,
        *rows.RECONSTRUCTION,
        *rows.LIKELIHOOD,
        *inception_taps(),
        *rows.DISTRIBUTION,
        *rows.SHARPNESS,
        *rows.FLOORS,
    )
}

# The feature extractors of the Fréchet distances: length of a feature vector, and the prefix of the
# columns `<prefix>_recon` and `<prefix>_gen`. Only Inception's may be called FID.
FEATURE_DIMS = {name: space.dims for name, space in SPACES.items()}
PREFIX = {name: space.frechet for name, space in SPACES.items()}
# Measures in whichever feature space the protocol names, whose columns do not tell which.
IN_ANY_SPACE = tuple(metric.name for metric in rows.DISTRIBUTION)
