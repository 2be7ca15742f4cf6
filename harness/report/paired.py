"""Two losses on the same test images and seeds: their difference, its interval and its chance."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.report.collect import SEEDS_FOR_INTERVAL, Cell
from harness.report.means import SEEDS_TO_RESAMPLE, estimate, image_error
from harness.report.resampling import RESAMPLES, Unit, deviations, widening
from harness.report.student import Z95, quantile, two_sided

# Fewer resamples than these beyond 0 are too few to count a chance with.
COUNTABLE = 10

Ground = Literal["images", "images and seeds", "seeds", "unpaired images"]


@dataclass(frozen=True)
class Comparison:
    """The mean of one loss minus that of another, and how far chance moves it."""

    mean: float
    error: float  # standard error of the difference
    freedom: float  # degrees of freedom of Student's t
    over: Ground
    seeds: int  # pairs of them
    images: int
    deviations: NDArray[np.float64] | None = None  # of resamples; None: Student's t alone

    @property
    def interval(self) -> tuple[float, float]:
        """The ends of the 95 % interval: percentiles of the resamples, or Student's t."""
        if self.deviations is not None:
            low, high = np.quantile(self.deviations, (0.025, 0.975))
            return self.mean + float(low), self.mean + float(high)
        half = self.error * (Z95 if math.isinf(self.freedom) else quantile(self.seeds))
        return self.mean - half, self.mean + half

    @property
    def p(self) -> float:
        """The two-sided chance of such a difference where there is none, of this pair alone.

        Twice the share of resamples beyond 0; where fewer than 10 are, which 2,000 cannot resolve,
        the tail of Student's t with the resamples' standard error.
        """
        if self.deviations is not None:
            below = int(np.count_nonzero(self.deviations <= -self.mean))
            above = int(np.count_nonzero(self.deviations >= -self.mean))
            if min(below, above) >= COUNTABLE:
                return min(1.0, 2 * (min(below, above) + 1) / (RESAMPLES + 1))
        if self.error > 0:
            return two_sided(self.mean / self.error, self.freedom)
        return 0.0 if self.mean else 1.0


def compare(a: Cell, b: Cell, metric: str) -> Comparison | None:
    """Return the difference of two cells' means of a column, paired as far as it can be.

    A metric with a score per image: bootstrap over the test images that both share, each score the
    mean over seeds; from five common seeds on over the seeds too, images and seeds drawn crosswise,
    for every seed has the same images (Owen 2007). With fewer seeds the interval is over the images
    alone: it says how far these trained models differ, not how far others would. Metrics of whole
    sets: Student's t over the common seeds, three or more. Last, per-image metrics of which
    only the spread is stored: unpaired. None when nothing supports an interval, as for a
    distribution metric with one seed.
    """
    seeds = _over_seeds(a, b, metric)
    images = _over_images(a, b, metric)
    if images is not None:
        return _resampled(images, seeds if len(seeds) >= SEEDS_TO_RESAMPLE else None)
    if (found := over_seeds(a, b, metric)) is not None:
        return found
    error = math.hypot(image_error(a, metric), image_error(b, metric))
    if math.isnan(error):
        return None
    mean = estimate(a, metric).mean - estimate(b, metric).mean
    return Comparison(mean, error, math.inf, "unpaired images", len(seeds), 0)


def over_seeds(a: Cell, b: Cell, metric: str) -> Comparison | None:
    """Return the difference over the common seeds by Student's t, None with fewer than three.

    Whatever images there are: how far other trainings would differ on these.
    """
    seeds = _over_seeds(a, b, metric)
    if len(seeds) < SEEDS_FOR_INTERVAL:
        return None
    error = float(seeds.std(ddof=1)) / math.sqrt(len(seeds))
    return Comparison(float(seeds.mean()), error, len(seeds) - 1, "seeds", len(seeds), 0)


def difference(a: Cell, b: Cell, metric: str) -> tuple[float, float, float] | None:
    """Return the mean of `a` minus `b` and the ends of its 95 % interval; see `compare`.

    Of this pair alone: without a correction for other comparisons, as befits a single one that was
    stated beforehand.
    """
    found = compare(a, b, metric)
    return None if found is None else (found.mean, *found.interval)


def tied(a: Cell, b: Cell, metric: str) -> bool | None:
    """Tell whether the 95 % interval of the `difference` contains 0; None without an interval."""
    found = difference(a, b, metric)
    return None if found is None else found[1] <= 0 <= found[2]


@dataclass(frozen=True)
class _Part:
    """A mean and how it deviates when `count` units are drawn anew."""

    mean: float
    deviations: NDArray[np.float64]
    count: int
    unit: Unit

    @property
    def variance(self) -> float:
        return float(self.deviations.var()) * self.count / (self.count - 1)


def _resampled(images: _Part, seeds: NDArray[np.float64] | None) -> Comparison:
    parts, mean = [images], images.mean
    if seeds is not None:
        mean = float(seeds.mean())
        drawn = deviations(seeds, "seeds").astype(np.float64)
        parts.append(_Part(mean, drawn, len(seeds), "seeds"))
    variance = sum(part.variance for part in parts)
    # Welch and Satterthwaite's degrees of freedom of a sum of two estimated variances.
    weights = sum(part.variance**2 / (part.count - 1) for part in parts)
    return Comparison(
        mean,
        math.sqrt(variance),
        variance**2 / weights if weights > 0 else math.inf,
        "images" if seeds is None else "images and seeds",
        0 if seeds is None else len(seeds),
        images.count,
        np.sum([part.deviations * widening(part.count, part.unit) for part in parts], axis=0),
    )


def _over_seeds(a: Cell, b: Cell, metric: str) -> NDArray[np.float64]:
    """The differences of the seeds that both have a finite value of."""
    first, second = (
        dict(zip(cell.finals["seed"], cell.finals[metric], strict=True)) for cell in (a, b)
    )
    pairs = [first[seed] - second[seed] for seed in first if seed in second]
    found = np.array(pairs, dtype=np.float64)
    return found[np.isfinite(found)]


def _over_images(a: Cell, b: Cell, metric: str) -> _Part | None:
    """The difference over the images that both have a finite score of; None below two."""
    first, second = a.scores, b.scores
    if first is None or second is None:
        return None
    one, two = first.sample, second.sample
    if any(metric not in each.measures and metric not in each.partial for each in (one, two)):
        return None
    known = one.measures.get(metric), two.measures.get(metric)
    if one.digest == two.digest and known[0] is not None and known[1] is not None:
        drawn = known[0].deviations.astype(np.float64) - known[1].deviations
        return _Part(known[0].mean - known[1].mean, drawn, one.images, "images")
    return _by_image(first.images, second.images, metric)


def _by_image(first: pd.DataFrame, second: pd.DataFrame, metric: str) -> _Part | None:
    """The same where images differ or some have no finite score."""
    pairs = (first[metric] - second[metric]).to_numpy(np.float64)
    finite = np.isfinite(pairs)
    count = int(finite.sum())
    if count < 2:
        return None
    mean = float(pairs[finite].mean())
    # An unknown score put at the mean leaves every resample's sum to the known ones.
    drawn = deviations(np.where(finite, pairs, mean), "images").astype(np.float64)
    return _Part(mean, drawn * len(pairs) / count, count, "images")
