"""Deep image structure and texture similarity."""

from __future__ import annotations

from typing import Unpack

import torch
from torch import Tensor

from losses.backbones import Extractor, read_tensors, taken
from losses.base import Context, ReconstructionLoss
from losses.dists_maps import dissimilarities, l2_pool
from losses.networks import IMAGENET, VGG16

TAPS = ("relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3")
CHANNELS = (3, 64, 128, 256, 512, 512)  # the image itself, then the tapped layers


class DISTS(ReconstructionLoss):
    """One minus the similarity of deep structure and texture, times C*H*W.

    `D = 1 - sum_l sum_c [ alpha_lc T(x_lc, y_lc) + beta_lc S(x_lc, y_lc) ]` over the image itself
    and VGG-16's relu1_2, relu2_2, relu3_3, relu4_3, relu5_3, where max pooling is replaced by L2
    pooling, `sqrt(g * f^2 + 1e-12)` with a 3x3 Hann window g and stride 2, and with means mu,
    variances and covariances over all positions of a channel

    - texture `T = (2 mu_x mu_y + c1) / (mu_x^2 + mu_y^2 + c1)`,
    - structure `S = (2 cov_xy + c2) / (var_x + var_y + c2)`, c1 = c2 = 1e-6;

    alpha and beta are learned, not negative, and divided by their total. It is computed as
    `1 - T = (mu_x - mu_y)^2 / (...)` and `1 - S = var_(x-y) / (...)`, which is the same without
    cancellation: exactly 0, with the gradient 0, for identical images. Not a density; symmetric;
    from 0 to at most 2 C*H*W. It tolerates one texture drawn again.

    `min_side`: images whose shorter side is below it are enlarged to it, bilinear (the authors
    rate images of 256). One channel is repeated to three.

    Source: Ding et al. 2020 (DISTS); input normalised by ImageNet's mean and standard
    deviation as in the authors' release. Needs the weights `vgg16` (torchvision's) and `dists`.
    Raises `MissingWeights`, `WrongWeights`, and `InvalidOption` for images it cannot take.
    """

    # l2's times the ratio of gradients at blurred photographs, 27, with random weights.
    beta_range = (0.4, 12.0)
    requires = ("vgg16", "dists")

    def __init__(self, *, min_side: int = 64, **context: Unpack[Context]) -> None:
        super().__init__(**context)
        shape = self.needed_image_shape()
        self.native_scale = float(shape[0] * shape[1] * shape[2])
        self.extractor = Extractor(
            VGG16, TAPS, IMAGENET, self.weights_file("vgg16"), shape, min_side, pool=l2_pool
        )
        path = self.weights_file("dists")
        state = read_tensors(path)
        size = (1, sum(CHANNELS), 1, 1)
        texture, structure = (
            taken(state, name, size, path, "the dists weights").flatten()
            for name in ("alpha", "beta")
        )
        total = texture.sum() + structure.sum()
        self.register_buffer("texture", texture / total, persistent=False)
        self.register_buffer("structure", structure / total, persistent=False)

    def forward(
        self, recon: Tensor, target: Tensor, latent: Tensor, *, logits: Tensor | None = None
    ) -> Tensor:
        """Return the energy of each image, `(B,)`."""
        x, y = self.extractor.rgb(target), self.extractor.rgb(recon)
        pairs = zip((x, *self.extractor.features(x)), (y, *self.extractor.features(y)), strict=True)
        unlike = [dissimilarities(x, y) for x, y in pairs]
        texture = torch.cat([t for t, _ in unlike], 1) @ self._weights("texture", recon)
        structure = torch.cat([s for _, s in unlike], 1) @ self._weights("structure", recon)
        return self.native_scale * (texture + structure)

    def _weights(self, name: str, like: Tensor) -> Tensor:
        return self.get_buffer(name).to(like.dtype)
