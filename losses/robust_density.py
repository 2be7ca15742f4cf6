"""Barron's general robust loss and the density it is the negative logarithm of."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import torch
from scipy.interpolate import CubicSpline
from torch import Tensor

MAX_ALPHA = 4.0
"""The largest shape for which `log_partition` is tabulated."""

_BELOW, _ABOVE = 512, 256  # cells of the table for alpha below and above 2


def rho(x: Tensor, alpha: Tensor, scale: Tensor) -> Tensor:
    """Return Barron's loss of residuals, elementwise after broadcasting.

    rho = |alpha - 2| / alpha ((x^2 / scale^2 / |alpha - 2| + 1)^(alpha / 2) - 1), its limits
    x^2 / (2 scale^2) at alpha = 2 and log(x^2 / (2 scale^2) + 1) at 0 included; alpha >= 0. The
    derivative in alpha is logarithmically infinite at 2, where it is cut off. Source: Barron 2019,
    eq. 8.
    """
    value: Tensor = _Rho.apply(x, alpha, scale)
    return value


class _Rho(torch.autograd.Function):
    """Derivatives by hand: those of autograd cancel near alpha = 2, and cost three times more.

    With z = (x / scale)^2, b = |alpha - 2| and L = log(z / b + 1), rho is
    b / alpha expm1(alpha L / 2); with e = exp((alpha / 2 - 1) L) nothing large cancels.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, alpha: Tensor, scale: Tensor) -> Tensor:
        a, b = _clamped(alpha)
        log = ((x / scale).square() / b).log1p()
        value = (log * (a / 2)).expm1() * (b / a)
        ctx.save_for_backward(x, alpha, scale, log, value)
        return value

    @staticmethod
    def backward(
        ctx: Any, *gradients: Tensor
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, alpha, scale, log, value = ctx.saved_tensors
        (upstream,) = gradients
        a, b = _clamped(alpha)
        e = (log * (a / 2 - 1)).exp()
        slope = x * e / scale.square() * upstream
        by_alpha = by_scale = None
        if ctx.needs_input_grad[1]:
            z = (x / scale).square()
            sign = torch.where(alpha < 2, -1.0, 1.0).to(a.dtype)
            of_product = sign * (e - 1) + e / 2 * ((z + b) * log - z)  # of alpha rho
            by_alpha = ((of_product - value) / a * upstream).sum_to_size(alpha.shape)
        if ctx.needs_input_grad[2]:
            by_scale = (-(x / scale) * slope).sum_to_size(scale.shape)
        return slope.sum_to_size(x.shape), by_alpha, by_scale


def _clamped(alpha: Tensor) -> tuple[Tensor, Tensor]:
    """Return alpha and |alpha - 2|, both kept from 0."""
    smallest = torch.finfo(alpha.dtype).eps
    return alpha.clamp_min(smallest), (alpha - 2).abs().clamp_min(smallest)


def log_partition(alpha: Tensor, table: Tensor) -> Tensor:
    """Return log Z(alpha), Z the integral of exp(-rho(u, alpha, 1)) over u, for alpha in [0, 4].

    `table` is `partition_table()`. Correct to 2e-8 in float64, its derivative to 1e-5 of itself.
    """
    place = _place(alpha)
    cell = place.detach().long().clamp(0, _BELOW + _ABOVE - 1)
    third, second, first, constant = table.to(alpha.dtype)[:, cell]
    u = place - cell
    return ((third * u + second) * u + first) * u + constant


def _place(alpha: Tensor) -> Tensor:
    """Return where in the table a shape lies.

    log Z falls infinitely steeply at 2, as (alpha - 2) log |alpha - 2|, and bends sharply at 0. As
    a function of this place, a cube root around 2 and a square root at 0, it is smooth.
    """
    # Clamped so that the side not chosen, and the very ends, have no infinite derivative.
    limits = torch.finfo(alpha.dtype)
    y = (alpha / 2).clamp(limits.tiny, 1 - limits.eps / 2)
    below = (-(torch.log1p(-y) / 3).expm1()).sqrt()
    above = (alpha / 2 - 1).clamp_min(limits.tiny).pow(1 / 3)
    return torch.where(alpha < 2, _BELOW * below, _BELOW + _ABOVE * above)


@functools.cache
def partition_table() -> np.ndarray:
    """Return the cubics that interpolate log Z, `(4, cells)` in float64, highest power first."""
    below = np.linspace(0, 1, _BELOW, endpoint=False)
    above = np.linspace(0, 1, _ABOVE + 1)
    alpha = np.concatenate((2 - 2 * (1 - below**2) ** 3, 2 + 2 * above**3))
    values = log_partition_by_quadrature(alpha)
    ends = CubicSpline(np.arange(_BELOW + 1), values[: _BELOW + 1])
    rest = CubicSpline(np.arange(_ABOVE + 1), values[_BELOW:])
    return np.concatenate((ends.c, rest.c), axis=1)


def log_partition_by_quadrature(alpha: np.ndarray) -> np.ndarray:
    """Return log Z of each shape, to about 1e-12, by the trapezoidal rule in log u."""
    step = 0.05
    u = np.exp(np.arange(-40, 40, step))
    densities = np.exp(-_rho_by_rows(u, np.asarray(alpha, np.float64)))
    return np.log(2 * step * (densities * u).sum(1))


def _rho_by_rows(u: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    a = np.maximum(alpha, 1e-15)[:, None]
    b = np.maximum(np.abs(alpha - 2), 1e-15)[:, None]
    # beyond e^600 the density is 0 in any case
    exponent = np.minimum(np.log1p(u**2 / b) * (a / 2), 600)
    return b / a * np.expm1(exponent)
