"""Student's t and the studentised range without SciPy, whose import takes a second."""

import functools
import math

LEVEL = 0.05  # of the report's tests: the share of 95 % intervals that leave out the truth
# Two-sided 95 % points for 2 to 10 degrees of freedom.
_T95 = (4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)
Z95 = 1.96
_ROUNDS = 300  # of the continued fraction, which needs about the root of the degrees of freedom


def quantile(count: int) -> float:
    """Return the factor of a standard error over `count` >= 3 values in their 95 % interval."""
    return _T95[count - 3] if count - 3 < len(_T95) else Z95 + 2.7 / (count - 1)


def two_sided(statistic: float, freedom: float) -> float:
    """Return the chance of a value at least as far from 0, in [0, 1].

    `freedom` are the degrees of freedom, any positive number; infinity gives the normal
    distribution. An infinite statistic gives 0, NaN gives NaN.
    """
    if math.isnan(statistic):
        return math.nan
    if math.isinf(statistic):
        return 0.0
    if freedom > 1e6:
        return math.erfc(abs(statistic) / math.sqrt(2))
    return _beta(freedom / (freedom + statistic**2), freedom / 2, 0.5)


@functools.lru_cache(maxsize=256)
def point(chance: float, freedom: float) -> float:
    """Return the distance from 0 beyond which `two_sided` leaves `chance`, in (0, 1)."""
    low, high = 0.0, 1.0
    while two_sided(high, freedom) > chance:
        low, high = high, 2 * high
    while (middle := (low + high) / 2) not in (low, high):
        low, high = (middle, high) if two_sided(middle, freedom) > chance else (low, middle)
    return high


@functools.lru_cache(maxsize=64)
def range_point(chance: float, count: int) -> float:
    """Return what the range of `count` >= 2 standard normal values exceeds with `chance`.

    The studentised range's point for infinitely many degrees of freedom, to 1e-9 for a `chance` of
    1e-6 and more.
    """
    low, high = 0.0, 1.0
    while _range_beyond(high, count) > chance:
        low, high = high, 2 * high
    while high - low > 1e-10:
        middle = (low + high) / 2
        low, high = (middle, high) if _range_beyond(middle, count) > chance else (low, middle)
    return high


def _range_beyond(width: float, count: int) -> float:
    """1 - k ∫ φ(z) (Φ(z) - Φ(z - width))^(k-1) dz, z the largest of k values; by trapezoids."""
    step = 1 / 32  # the integrand is smooth and vanishes at both ends: exact to rounding
    within = 0.0
    for index in range(-8 * 32, 10 * 32):
        z = index * step
        inside = (math.erf(z / math.sqrt(2)) - math.erf((z - width) / math.sqrt(2))) / 2
        within += math.exp(-z * z / 2) * inside ** (count - 1)
    return 1 - count * within * step / math.sqrt(2 * math.pi)


def _beta(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function (Abramowitz and Stegun 26.5.8)."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1 - _beta(1 - x, b, a)
    logs = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    return math.exp(logs + a * math.log(x) + b * math.log1p(-x)) / a * _fraction(x, a, b)


def _fraction(x: float, a: float, b: float) -> float:
    """Its continued fraction, by Lentz's method."""
    c, d = 1.0, 1 / (1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, _ROUNDS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        before = value
        for term in (even, odd):
            c, d = 1 + term / c, 1 / (1 + term * d)
            value *= c * d
        if abs(value - before) <= 1e-15 * abs(value):
            break
    return value
