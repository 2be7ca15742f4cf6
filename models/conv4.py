"""Architecture A of Bredell et al. 2023."""

from __future__ import annotations

import math

from torch import nn

from models.base import VAE, positive
from models.blocks import check_sides, downscaling, perceptron, transposed_upscaling


class Conv4(VAE):
    """Strided convolutions, a two-layer perceptron and transposed convolutions.

    Encoder: `blocks` x [3x3 convolution of stride 2, batch norm, LeakyReLU], flatten, two linear
    layers with `mlp` units between. Decoder: two linear layers likewise, `blocks` x [4x4 transposed
    convolution of stride 2, batch norm, LeakyReLU], 3x3 convolution. Channels are `width` times
    1, 2, 4, 8, 8, ... and mirrored in the decoder.

    `blocks=None` means 4, and 6 from 256 pixels on. The paper leaves `mlp` open: 2048 gives the
    third of the Watson model's parameters it mentions. Source: Bredell et al. 2023, appendix A.
    Raises `InvalidOption` when a side is not divisible by `2**blocks`.
    """

    def __init__(
        self,
        *,
        image_shape: tuple[int, int, int],
        latent_size: int,
        width: int = 64,
        mlp: int = 2048,
        blocks: int | None = None,
    ) -> None:
        super().__init__(image_shape=image_shape, latent_size=latent_size)
        channels, height, image_width = image_shape
        if blocks is None:
            blocks = 6 if min(height, image_width) >= 256 else 4
        check_sides(height, image_width, 2 ** positive("blocks", blocks))
        positive("mlp", mlp)
        widths = [positive("width", width) * min(2**block, 8) for block in range(blocks)]
        bottleneck = (widths[-1], height >> blocks, image_width >> blocks)
        features = math.prod(bottleneck)
        self.encoder = nn.Sequential(
            *downscaling([channels, *widths]),
            nn.Flatten(),
            *perceptron(features, mlp, 2 * latent_size),
        )
        self.decoder = nn.Sequential(
            *perceptron(latent_size, mlp, features),
            nn.Unflatten(1, bottleneck),
            *transposed_upscaling([widths[-1], *widths[::-1]]),
            nn.Conv2d(widths[0], channels, 3, padding=1),
        )
