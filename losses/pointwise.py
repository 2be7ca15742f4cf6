"""Losses that compare pixel with pixel."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import softplus

from losses.base import ReconstructionLoss

LOGIT_MARGIN = 1e-7
"""Keeps the logit of a reconstruction finite where its logits are not given."""
SERIES_UNTIL = 0.125
"""Where the series of log(sinh h / h) is cut; five terms are exact there in float64."""


class L2(ReconstructionLoss):
    """Half the squared error, `1/2 sum (x - y)^2`.

    The negative log-likelihood of a Gaussian with sigma 1 without its constant
    `D/2 log(2 pi)`, hence not marked as a density. Source: Kingma & Welling 2014.
    """

    # A principal component of the data with variance lambda is coded while lambda > beta (Lucas
    # et al. 2019). On 32x32x3 faces 0.01 codes 400 of them, 0.3 the first 43, 1 the first 18;
    # generation is best near 0.3. At 1 a short training run on photographs leaves only colours.
    beta_range = (0.015, 0.45)

    def forward(
        self, recon: Tensor, target: Tensor, latent: Tensor, *, logits: Tensor | None = None
    ) -> Tensor:
        """Return the energy of each image, `(B,)`."""
        return (recon - target).square().flatten(1).sum(1) / 2


class L1(ReconstructionLoss):
    """The absolute error, `sum |x - y|`.

    The negative log-likelihood of a Laplace density with b = 1 without its constant `D log 2`.
    Source: Zhao et al. 2017.
    """

    # Three to five times l2's: on 32x32x3 faces and photographs that spends the same rate, KL in
    # nats.
    beta_range = (0.05, 1.8)

    def forward(
        self, recon: Tensor, target: Tensor, latent: Tensor, *, logits: Tensor | None = None
    ) -> Tensor:
        """Return the energy of each image, `(B,)`."""
        return (recon - target).abs().flatten(1).sum(1)


class CrossEntropy(ReconstructionLoss):
    """Bernoulli cross entropy with soft targets, `sum -x log p - (1 - x) log(1 - p)`.

    Its minimum is the entropy of the target, not 0, and it is no likelihood unless the images are
    binary. Uses `logits` when given, else `logit(clamp(recon, 1e-7, 1 - 1e-7))`. Source: Kingma &
    Welling 2014.
    """

    # Three to five times l2's: the curvature 1 / (p (1 - p)) is at least four times l2's, and on
    # 32x32x3 faces and photographs this spends the same rate, KL in nats.
    beta_range = (0.05, 1.8)

    def forward(
        self, recon: Tensor, target: Tensor, latent: Tensor, *, logits: Tensor | None = None
    ) -> Tensor:
        """Return the energy of each image, `(B,)`."""
        logits = _logits(recon, logits)
        # -x log p - (1 - x) log(1 - p) with p = sigmoid(l), without a logarithm of zero
        return (softplus(logits) - target * logits).flatten(1).sum(1)


class ContinuousBernoulli(ReconstructionLoss):
    """Continuous Bernoulli negative log-likelihood, in nats on [0, 1] images.

    `sum -x log p - (1 - x) log(1 - p) - log C(p)` with x the target, p the decoder's output and
    `C(p) = 2 artanh(1 - 2p) / (1 - 2p)`, 2 at p = 1/2: cross entropy with the constant that makes
    it a density in x on [0, 1]. With the logit l of p,

    `sum log(sinh(l/2) / (l/2)) + (1/2 - x) l`,

    which has a series at l = 0 and no logarithm of zero far out. The source's series around p = 1/2
    is of second order in p for |p - 1/2| < 0.001, which is less exact. Unbounded in both
    directions: minus infinity for black and white pixels as p goes to 0 and 1.

    p is not the mean of the density, which is `p / (2p - 1) + 1 / (2 artanh(1 - 2p))` and always
    nearer to 1/2. Since the best mean is the target, the best p lies further from 1/2 than the
    target (0.94 for 0.7), and a picture of p has more contrast than the image it reconstructs.

    Uses `logits` when given, else `logit(clamp(recon, 1e-7, 1 - 1e-7))`. Source: Loaiza-Ganem &
    Cunningham 2019.
    """

    # ce's, tuned by training, times the ratio of gradients at blurred photographs, 5.5.
    beta_range = (0.28, 10.0)
    density = True

    def forward(
        self, recon: Tensor, target: Tensor, latent: Tensor, *, logits: Tensor | None = None
    ) -> Tensor:
        """Return the energy of each image, `(B,)`."""
        logits = _logits(recon, logits)
        return (log_sinhc(logits / 2) + (0.5 - target) * logits).flatten(1).sum(1)


def log_sinhc(h: Tensor) -> Tensor:
    """Return `log(sinh h / h)`, 0 at 0, finite for every finite h."""
    size = h.abs()
    near = size < SERIES_UNTIL
    s = h.clamp(-SERIES_UNTIL, SERIES_UNTIL).square()
    series = s * (1 / 6 + s * (-1 / 180 + s * (1 / 2835 + s * (-1 / 37800 + s / 467775))))
    # sinh h = exp(h) (1 - exp(-2h)) / 2; the branch not taken must stay finite for the gradient
    size = torch.where(near, SERIES_UNTIL, size)
    return torch.where(near, series, size + (-torch.expm1(-2 * size) / (2 * size)).log())


def _logits(recon: Tensor, logits: Tensor | None) -> Tensor:
    if logits is not None:
        return logits
    return recon.clamp(LOGIT_MARGIN, 1 - LOGIT_MARGIN).logit()
