"""Gaussian likelihoods whose standard deviation follows the errors."""

from __future__ import annotations

import math
from typing import Unpack

import torch
from torch import Tensor

from losses.base import Context, ReconstructionLoss
from losses.options import check_floor


class Sigma(ReconstructionLoss):
    """Gaussian negative log-likelihood at its optimal sigma, in nats on [0, 1] images.

    `SSE / (2 s^2) + D log s + D/2 log(2 pi)` with D = C*H*W and all constants, where s is

    - the root mean squared error of the image itself (`shared=False`), so that without a floor
      the energy is `D/2 (log(2 pi MSE) + 1)`; or
    - that of the whole batch (`shared=True`), which couples the images of a batch.

    Either way s is fitted to the images it scores, so the values are profile likelihoods,
    which without a floor no sigma fixed beforehand can beat.

    `floor` clips log s softly from below, `floor + softplus(log s - floor)`, which is
    `s + exp(floor)`: the energy of a perfect reconstruction stays finite. At the default -6 this
    adds 0.0025 to s. With None the energy of a perfect reconstruction is minus infinity and its
    gradient not finite.

    The gradient flows through s. Where s is the optimum this changes nothing, since the sum of
    the energies it was fitted to does not vary with s to first order there; under the floor s
    is not the optimum, and only the total derivative is the gradient of the value returned. At a
    perfect reconstruction, where the root has no derivative, it is 0.

    Source: Rybkin et al. 2021 (sigma-VAE), optimal sigma; per image: BS-VAE 2024. Raises
    `InvalidOption` for a floor that is no log sigma of images.
    """

    # In nats, so 1 is the evidence lower bound. Generation is best at a lower rate: on 32x32x3
    # faces 11 spends the rate of l2's best weight 0.3, and about four times 11 does at 64x64x3.
    beta_range = (0.3, 12.0)
    density = True

    def __init__(
        self, *, shared: bool = False, floor: float | None = -6.0, **context: Unpack[Context]
    ) -> None:
        super().__init__(**context)
        check_floor(floor)
        self.shared = self.batch_coupled = shared
        self.smallest = 0.0 if floor is None else math.exp(floor)

    def forward(
        self, recon: Tensor, target: Tensor, latent: Tensor, *, logits: Tensor | None = None
    ) -> Tensor:
        """Return the energy of each image, `(B,)`."""
        error = (recon - target).flatten(1)
        size = error.shape[1]
        sigma = self._root_mean_square(error) + self.smallest
        constant = size / 2 * math.log(2 * math.pi)
        return error.square().sum(1) / (2 * sigma**2) + size * sigma.log() + constant

    def _root_mean_square(self, error: Tensor) -> Tensor:
        # vector_norm, unlike sqrt, has the gradient 0 at 0
        if self.shared:
            return torch.linalg.vector_norm(error) / math.sqrt(error.numel())
        return torch.linalg.vector_norm(error, dim=1) / math.sqrt(error.shape[1])
