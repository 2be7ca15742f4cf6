"""Losses that compare pixel with pixel."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import softplus

from losses.base import ReconstructionLoss

LOGIT_MARGIN = 1e-7
"""Keeps the logit of a reconstruction finite where its logits are not given."""


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
        if logits is None:
            logits = recon.clamp(LOGIT_MARGIN, 1 - LOGIT_MARGIN).logit()
        # -x log p - (1 - x) log(1 - p) with p = sigmoid(l), without a logarithm of zero
        return (softplus(logits) - target * logits).flatten(1).sum(1)
