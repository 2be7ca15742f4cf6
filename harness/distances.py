"""Distances between sets of images: what their features come to, as columns of a row."""

import logging
from typing import Any

import numpy as np
import torch

from harness.feature_cache import RealFeatures
from harness.metrics import SPACES, extrapolation, frechet, kernel, neighbours
from harness.metrics.features import Features
from harness.metrics.frechet import Moments

log = logging.getLogger(__name__)

Columns = dict[str, float | int | str | None]


class SetFeatures:
    """The features of one set of images, batch by batch.

    Moments are always kept; the features themselves, and the extractor's other taps, where `whole`
    says that every distance is wanted and not the Fréchet distance alone.
    """

    def __init__(self, space: Features, *, whole: bool) -> None:
        self.space, self.moments = space, Moments()
        self.taps: dict[int, Moments] = {}
        self._kept: list[np.ndarray] | None = [] if whole else None

    def add(self, images: torch.Tensor) -> None:
        """Add a batch of images, `(B, C, H, W)` in [0, 1]."""
        taps = getattr(self.space, "taps", None)
        if self._kept is None or taps is None:
            features = self.space(images)
        else:
            found = taps(images)
            features = found.pop(self.space.dims)
            for dims, values in found.items():
                self.taps.setdefault(dims, Moments()).update(values)
        self.moments.update(features)
        if self._kept is not None:
            self._kept.append(features.float().cpu().numpy())

    @property
    def features(self) -> np.ndarray | None:
        """The features, `(N, dims)` float32, where they are kept."""
        return np.concatenate(self._kept) if self._kept else None


def columns(end: str, made: SetFeatures, known: RealFeatures) -> Columns:
    """Return every distance of reconstructions or generations (`end`: recon or gen) to the data.

    Where there are fewer images than a distance needs, or it would take long, its columns are
    absent and a line in the log says so.
    """
    space = SPACES[made.space.name]
    found = _frechet(f"{space.frechet}_{end}", made.space.signature, made.moments, known.moments)
    for dims, moments in made.taps.items():
        signature = made.space.tap_signature(dims)  # type: ignore[attr-defined]
        found |= _frechet(f"fid{dims}_{end}", signature, moments, known.taps[dims].moments)
    features = made.features
    if features is None:
        return found
    _warn_of_singular(f"{space.frechet}_{end}", made.moments, known.moments)
    found |= _kernel(f"{space.kernel}_{end}", made.space.signature, features, known.features)
    if end == "gen":
        found |= _spread(space.frechet, made, features, known.moments)
        found |= _neighbours(made.space.signature, known.features, features)
    return found


def _frechet(name: str, signature: str, made: Moments, real: Moments) -> Columns:
    return {
        name: frechet.frechet_distance(made, real),
        f"{name}_signature": frechet.signature(signature, made.count, real.count),
    }


def _warn_of_singular(name: str, *sets: Moments) -> None:
    if any(each.singular for each in sets):
        log.warning(
            "%s is of %d images and %d features, so a covariance is singular: compare it at equal "
            "numbers of images alone",
            name,
            min(each.count for each in sets),
            sets[0].dims,
        )


def _kernel(name: str, signature: str, made: np.ndarray, real: np.ndarray) -> Columns:
    if _too_few(name, kernel.NEEDS, made, real):
        return {}
    distance = kernel.kernel_distance(made, real)
    return {
        name: distance.mean,
        f"{name}_std": distance.std,
        f"{name}_signature": f"{distance.signature}|{signature}|n={len(made)},{len(real)}",
    }


def _spread(prefix: str, made: SetFeatures, features: np.ndarray, real: Moments) -> Columns:
    count, dims = features.shape
    if _too_few(f"{prefix}_gen_infinity", extrapolation.needs(dims), features):
        return {}
    if not extrapolation.affordable(dims, count):
        log.info("%s_gen_infinity would take long at %d features: left out", prefix, dims)
        return {}
    whole = frechet.signature(made.space.signature, count, real.count)
    low, high = extrapolation.interval(real, features)
    found: dict[str, Any] = {
        f"{prefix}_gen_infinity": extrapolation.infinity(real, features),
        f"{prefix}_gen_infinity_signature": extrapolation.signature(whole, "infinity"),
    }
    for name, value in (("low", low), ("high", high)):
        found[f"{prefix}_gen_{name}"] = value
        found[f"{prefix}_gen_{name}_signature"] = extrapolation.signature(whole, "interval")
    return found


def _neighbours(signature: str, real: np.ndarray, made: np.ndarray) -> Columns:
    if _too_few("precision_gen", neighbours.NEEDS, made, real):
        return {}
    values = neighbours.neighbourhoods(real, made)
    text = neighbours.signature(signature, len(real), len(made))
    found: Columns = {}
    for name in ("precision", "recall", "density", "coverage"):
        found |= {f"{name}_gen": getattr(values, name), f"{name}_gen_signature": text}
    return found


def _too_few(name: str, needed: int, *sets: np.ndarray) -> bool:
    fewest = min(map(len, sets))
    if fewest < needed:
        log.warning("%s needs %d images and there are %d: left out", name, needed, fewest)
    return fewest < needed
