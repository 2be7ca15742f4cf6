"""Interpolation that follows the points and never overshoots them."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def pchip(x: Array, y: Array, at: float) -> float:
    """Return the value at `at` of the monotone piecewise cubic through the points.

    `x` is increasing and has two points or more, `at` lies within its ends. Between two
    neighbouring points the curve never leaves their range. Source: Fritsch and Butland 1984.
    """
    width = np.diff(x)
    secant = np.diff(y) / width
    slope = _slopes(width, secant)
    k = int(np.clip(np.searchsorted(x, at, side="right") - 1, 0, len(width) - 1))
    t, h = (at - x[k]) / width[k], width[k]
    value = (
        (1 + 2 * t) * (1 - t) ** 2 * y[k]
        + t * (1 - t) ** 2 * h * slope[k]
        + t**2 * (3 - 2 * t) * y[k + 1]
        + t**2 * (t - 1) * h * slope[k + 1]
    )
    return float(value)


def _slopes(width: Array, secant: Array) -> Array:
    """Inside: the weighted harmonic mean of both sides' secants, 0 at a turn."""
    if len(width) == 1:
        return np.repeat(secant, 2)
    left, right = 2 * width[1:] + width[:-1], width[1:] + 2 * width[:-1]
    turns = secant[:-1] * secant[1:] <= 0
    before, after = (np.where(turns, 1.0, each) for each in (secant[:-1], secant[1:]))
    inside = np.where(turns, 0.0, (left + right) / (left / before + right / after))
    first = _end_slope(width[0], width[1], secant[0], secant[1])
    last = _end_slope(width[-1], width[-2], secant[-1], secant[-2])
    return np.concatenate([[first], inside, [last]])


def _end_slope(h0: float, h1: float, s0: float, s1: float) -> float:
    """A parabola's slope at the end, limited so that the curve stays monotone."""
    slope = ((2 * h0 + h1) * s0 - h0 * s1) / (h0 + h1)
    if slope * s0 <= 0:
        return 0.0
    return 3 * s0 if s0 * s1 <= 0 and abs(slope) > 3 * abs(s0) else slope
