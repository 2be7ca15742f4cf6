"""VAE-GAN: images compared by what a discriminator sees in them."""

from __future__ import annotations

import math
from typing import Unpack

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from losses.base import Context, ReconstructionLoss
from losses.discriminator import Discriminator
from losses.options import InvalidOption

EQUILIBRIUM = 0.68  # cost per image of a discriminator that cannot tell, about log 2


class VAEGAN(ReconstructionLoss):
    """Half the squared distance between the features of a discriminator trained along.

    Energy `1/2 sum (Dis_l(x) - Dis_l(y))^2`, Dis_l being what the discriminator's third strided
    convolution puts out, before batch norm and ReLU: the negative log-likelihood of a Gaussian with
    variance 1 on these features, without its constant. With D the discriminator's output, x an
    image, y its reconstruction, p an image decoded from prior noise and beta the weight of the KL
    divergence, three networks minimise

    - encoder: `energy + beta KL`
    - decoder: `energy + gan_weight (log(1 - D(y)) + log(1 - D(p)))`, which is `decoder_loss`
    - discriminator: `-mean log D(x) - mean log(1 - D(y or p))`, which is `companion_loss`

    so the game does not reach the encoder, nor the energy the discriminator. Not a density: the
    features move. 0 for identical images, no upper bound.

    Options:
      gan_weight: weight of the game beside the energy. Larsen's code weighs the decoder's
        gradients by w and 1 - w, which is (1 - w) / w here: 19999 for its w = 5e-5, 999999 for its
        w = 1e-6 on CelebA. With such numbers the decoder follows the game nearly alone and needs
        long training; with 1, the report's, the energy leads.
      prior_samples: whether p takes part; without, only reconstructions are fake.
      saturating: the decoder minimises log(1 - D) as published, or else -log D, whose gradient does
        not vanish when the discriminator wins.
      margin: who learns. With a cost (-mean log of the right answer) of real or of fake images
        under 0.68 - margin the discriminator rests, with one above 0.68 + margin the decoder,
        unless both would. None: both always learn, and the discriminator may soon win for good. To
        rest is to have a gradient of zero, on which Adam still moves by its momentum, and the
        decoder keeps the gradient of its energy; in the source's code a network stands still.
      eps: log(D + eps) in place of log D, as in Larsen's code, which bounds every logarithm; with 0
        plain cross entropy, computed from the logits.
      width: filters of the discriminator's first layer, 32 in the source; smaller is faster.

    **Batch norm.** In training the images that a discriminator sees together are normalised
    together, as in the source: x and y for the energy, x, y and p for the game. So an energy then
    depends on its batch (`batch_coupled`). Under `eval()` running averages take over and it does
    not. The averages move in the companion's step alone; the main step leaves no trace in it.

    **Rates.** `companion_lr` is 0.025 / 64, where the source begins on CelebA; its RMSProp, like
    the Adam used here, takes no notice of a gradient's size. The decoder goes at the protocol's
    rate; the source uses one for all networks, lowers it over time and decays weights by 1e-5.

    **The sharpness report** sets every weight to 1 and shows the discriminator no prior samples:
    `vae-gan[gan_weight=1,prior_samples=false,margin=none,eps=0]`, and this `+ sharpness`, with
    beta = 1. It writes L_GAN = -[log(1 - D(y)) + log D(x)] and gives the decoder -L_GAN, the same
    game.

    Source: Larsen et al. 2016, algorithm 1, and the authors' code where the paper leaves
    numbers open; its algorithm has the discriminator descend a log-likelihood that it should climb.
    The network is described in `losses.discriminator`. Needs `image_shape`; raises `InvalidOption`
    for images of another shape and for options out of range.
    """

    companion_lr = 0.025 / 64
    companion: Discriminator

    def __init__(
        self,
        *,
        gan_weight: float = 19999.0,
        prior_samples: bool = True,
        saturating: bool = True,
        margin: float | None = 0.35,
        eps: float = 1e-3,
        width: int = 32,
        **context: Unpack[Context],
    ) -> None:
        _check(gan_weight, margin, eps, width)
        # At width 8 and gan_weight 1, on photographs of 32x32x3, a short training spends 33 nats at
        # 0.09 and 14 at 0.5; gradients before training grow as the root of the width.
        ratio = math.sqrt(width / 8)
        self.beta_range = (0.02 * ratio, 0.6 * ratio)
        super().__init__(**context)
        self.gan_weight, self.prior_samples, self.saturating = gan_weight, prior_samples, saturating
        self.margin, self.eps = margin, eps
        self.companion = Discriminator(self.needed_image_shape(), width, self.generator)
        self.train(self.training)

    def train(self, mode: bool = True) -> VAEGAN:
        """Set the mode; batch norm couples the images of a batch in training only."""
        self.batch_coupled = mode
        super().train(mode)
        return self

    def forward(
        self, recon: Tensor, target: Tensor, latent: Tensor, *, logits: Tensor | None = None
    ) -> Tensor:
        """Return the energy of each image, `(B,)`; images must have the shape built for."""
        self.check_shape(recon)
        features = self.companion.features(torch.cat([recon, target])).flatten(1)
        ours, theirs = features.chunk(2)
        return (ours - theirs).square().sum(1) / 2

    def decoder_loss(
        self, recon: Tensor, target: Tensor, latent: Tensor, generated: Tensor
    ) -> Tensor:
        """Return what the decoder pays for being found out, `(B,)`."""
        real, fake = self._judge(recon, target, generated)
        per_image = fake.view(-1, len(real))
        if self.saturating:
            value = self._log_probability(-per_image).sum(0)
        else:
            value = -self._log_probability(per_image).sum(0)
        _, decoder_learns = self._who_learns(*self._costs(real.detach(), fake.detach()))
        return self.gan_weight * torch.where(decoder_learns, value, torch.zeros_like(value))

    def companion_loss(
        self, recon: Tensor, target: Tensor, latent: Tensor, generated: Tensor
    ) -> Tensor:
        """Return the discriminator's cost of taking real for fake and fake for real."""
        costs = self._costs(*self._judge(recon, target, generated, learn_statistics=self.training))
        discriminator_learns, _ = self._who_learns(*(cost.detach() for cost in costs))
        value = costs[0] + costs[1]
        return torch.where(discriminator_learns, value, torch.zeros_like(value))

    def _judge(
        self, recon: Tensor, target: Tensor, generated: Tensor, *, learn_statistics: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Return the logits of real and of fake images, judged and normalised together."""
        fakes = [recon, generated] if self.prior_samples else [recon]
        logits = self.companion(torch.cat([target, *fakes]), learn_statistics=learn_statistics)
        return logits[: len(target)], logits[len(target) :]

    def _costs(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        return -self._log_probability(real).mean(), -self._log_probability(-fake).mean()

    def _log_probability(self, logits: Tensor) -> Tensor:
        # log D, and of the negative logits log(1 - D)
        return logsigmoid(logits) if self.eps == 0 else (logits.sigmoid() + self.eps).log()

    def _who_learns(self, real_cost: Tensor, fake_cost: Tensor) -> tuple[Tensor, Tensor]:
        """Decide who learns from this batch: the discriminator, the decoder; never neither."""
        if self.margin is None:
            both = torch.ones_like(real_cost, dtype=torch.bool)
            return both, both
        winning = torch.minimum(real_cost, fake_cost) < EQUILIBRIUM - self.margin
        losing = torch.maximum(real_cost, fake_cost) > EQUILIBRIUM + self.margin
        return ~winning | losing, ~losing | winning


def _check(gan_weight: float, margin: float | None, eps: float, width: int) -> None:
    if not 0 <= gan_weight < math.inf:
        raise InvalidOption(f"gan_weight is {gan_weight}; give a number from 0 up such as 19999")
    if margin is not None and not 0 < margin < math.inf:
        raise InvalidOption(f"margin is {margin}; give a positive number such as 0.35, or none")
    if not 0 <= eps < math.inf:
        raise InvalidOption(f"eps is {eps}; give 0 for plain cross entropy, or 0.001")
    if width < 1:
        raise InvalidOption(f"width is {width}; give a positive integer such as 32")
