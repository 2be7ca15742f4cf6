"""Pixel losses that grow slower than the square far out."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Unpack

import torch
from torch import Tensor, nn

from losses.base import Context, ReconstructionLoss
from losses.options import InvalidOption, check_floor, check_positive

# Its square is still a normal number in float32.
SMALLEST_EPS = 1e-12
# log cosh u = |u| - log 2 beyond, to the last digit of float64.
STRAIGHT = 20.0


class Charbonnier(ReconstructionLoss):
    """The absolute error with its corner rounded, `sum sqrt((y - x)^2 + eps^2)`.

    x is the target, y the reconstruction. Quadratic up to errors of about `eps` and linear beyond.
    Not in nats and no density. From `eps` D (identical images, D = C*H*W: the constant is kept, as
    in LapSRN, so that the value is at least l1's) to `sqrt(1 + eps^2)` D.

    Options:
      eps: width of the rounding on images in [0, 1].

    Source: Charbonnier et al. 1994; in this form and with eps = 1e-3, Lai et al. 2017 (LapSRN).
    Raises `InvalidOption` for an eps that is not finite or under 1e-12.
    """

    # l1's, tuned by training, times the ratio of gradients at blurred photographs, 0.95.
    beta_range = (0.05, 1.7)

    def __init__(self, *, eps: float = 1e-3, **context: Unpack[Context]) -> None:
        super().__init__(**context)
        if not SMALLEST_EPS <= eps < math.inf:
            raise InvalidOption(f"eps is {eps!r}; give a finite number from 1e-12, such as 0.001")
        self.eps = eps

    def forward(
        self, recon: Tensor, target: Tensor, latent: Tensor, *, logits: Tensor | None = None
    ) -> Tensor:
        """Return the energy of each image, `(B,)`."""
        return ((recon - target).square() + self.eps**2).sqrt().flatten(1).sum(1)


class LogCosh(ReconstructionLoss):
    """The logarithm of the hyperbolic cosine of the error, `sum 1/a log cosh(a (y - x))`.

    x is the target, y the reconstruction. About `a/2 (y - x)^2` for errors under 1/a and
    `|y - x| - log(2)/a` beyond; its gradient is `tanh(a (y - x))`. Not in nats and no density; from
    0 (identical images) to under D = C*H*W.

    Finite and accurate for every argument, `log cosh u = log(1 + 2 sinh^2(u/2))`: the form
    `a d + log(1 + exp(-2 a d)) - log 2` of public code overflows for very negative errors and
    loses the digits of small ones.

    Options:
      a: inverse width of the quadratic part on images in [0, 1].

    Source: Chen, Chen & Zhang 2019, "Log hyperbolic cosine loss improves variational auto-encoder".
    Raises `InvalidOption` for an `a` that is not positive and finite.
    """

    # l1's, tuned by training, times the ratio of gradients at blurred photographs: 0.4 to 0.7.
    beta_range = (0.03, 1.1)

    def __init__(self, *, a: float = 10.0, **context: Unpack[Context]) -> None:
        super().__init__(**context)
        if not 0 < a < math.inf:
            raise InvalidOption(f"a is {a!r}; give a positive finite number such as 10")
        self.a = a

    def forward(
        self, recon: Tensor, target: Tensor, latent: Tensor, *, logits: Tensor | None = None
    ) -> Tensor:
        """Return the energy of each image, `(B,)`."""
        return log_cosh(self.a * (recon - target)).flatten(1).sum(1) / self.a


class StudentT(ReconstructionLoss):
    """Student's t negative log-likelihood with one learned scale, in nats on [0, 1] images.

    `sum (nu+1)/2 log(1 + (y - x)^2 / (nu s^2)) + log s + log(nu pi)/2 + lgamma(nu/2)
    - lgamma((nu+1)/2)` with all constants, x the target, y the reconstruction and s one scale for
    all pixels and channels. A density in x for any s; not bounded from above, and from below by its
    value at d = 0 and the floor. As nu grows it becomes the Gaussian one with sigma s.

    s = exp(log_scale) + exp(floor), where log_scale is a parameter of the main optimiser, so that
    a batch of perfect reconstructions costs a finite number.

    Options:
      nu: degrees of freedom; the tails fall as `|d|^-(nu+1)`.
      init: exp(log_scale) before training.
      floor: log of what is added to the scale, as in `sigma`; None for no floor.

    Source: Lange, Little & Taylor 1989 (nu fixed, scale estimated); for VAEs, Takahashi et al.
    2018, whose decoder predicts a scale and nu for each value. Raises `InvalidOption` for a `nu` or
    `init` that is not positive and finite, and a floor that is not finite.
    """

    # sigma's, tuned by training, times the ratio of gradients at blurred photographs, 1.3.
    beta_range = (0.4, 16.0)
    density = True
    # The scale falls tenfold in some hundred steps of Adam: short budgets reach its optimum.
    main_lr = 1e-2

    def __init__(
        self,
        *,
        nu: float = 3.0,
        init: float = 0.1,
        floor: float | None = -6.0,
        **context: Unpack[Context],
    ) -> None:
        super().__init__(**context)
        if not 1e-3 <= nu <= 1e8:
            raise InvalidOption(f"nu is {nu!r}; give degrees of freedom from 0.001 to 1e8")
        check_positive("init", init, 0.1)
        check_floor(floor)
        self.nu = nu
        self.smallest = 0.0 if floor is None else math.exp(floor)
        self.log_scale = nn.Parameter(torch.tensor(math.log(init)))
        self.constant = math.lgamma(nu / 2) - math.lgamma((nu + 1) / 2) + math.log(nu * math.pi) / 2

    def main_parameters(self) -> Iterable[nn.Parameter]:
        """Return the logarithm of the scale."""
        return (self.log_scale,)

    def forward(
        self, recon: Tensor, target: Tensor, latent: Tensor, *, logits: Tensor | None = None
    ) -> Tensor:
        """Return the energy of each image, `(B,)`."""
        scale = self.log_scale.to(recon.dtype).exp() + self.smallest
        error = (recon - target).flatten(1)
        tails = (error / scale).square().div(self.nu).log1p().sum(1) * (self.nu + 1) / 2
        return tails + error.shape[1] * (scale.log() + self.constant)


def log_cosh(u: Tensor) -> Tensor:
    """Return `log cosh u`, finite and to full relative precision for every finite u."""
    near = u.abs() < STRAIGHT
    # the branch not taken must stay finite for the gradient
    curved = (torch.where(near, u, 0) / 2).sinh().square().mul(2).log1p()
    return torch.where(near, curved, u.abs() - math.log(2))
