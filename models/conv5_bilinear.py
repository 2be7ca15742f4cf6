"""Architecture B of Bredell et al. 2023."""

from __future__ import annotations

import math

from torch import nn

from models.base import VAE, positive
from models.blocks import bilinear_upscaling, check_sides, downscaling

BLOCKS = 5


class Conv5Bilinear(VAE):
    """Strided convolutions, one linear layer each way, and bilinear upsampling.

    Encoder: 5 x [3x3 convolution of stride 2, batch norm, LeakyReLU], flatten, linear. Decoder:
    linear, 5 x [bilinear upsampling by 2, 3x3 convolution, batch norm, LeakyReLU], 3x3
    convolution. Channels are `width` times 1, 2, 4, 8, 16 and mirrored in the decoder.

    Source: Bredell et al. 2023, appendix A. Raises `InvalidOption` when a side is not divisible
    by 32. A 32x32 image leaves one pixel at the bottleneck, where batch norm cannot train on a
    batch of one.
    """

    def __init__(
        self, *, image_shape: tuple[int, int, int], latent_size: int, width: int = 32
    ) -> None:
        super().__init__(image_shape=image_shape, latent_size=latent_size)
        channels, height, image_width = image_shape
        check_sides(height, image_width, 2**BLOCKS)
        widths = [positive("width", width) * 2**block for block in range(BLOCKS)]
        bottleneck = (widths[-1], height >> BLOCKS, image_width >> BLOCKS)
        features = math.prod(bottleneck)
        self.encoder = nn.Sequential(
            *downscaling([channels, *widths]),
            nn.Flatten(),
            nn.Linear(features, 2 * latent_size),
        )
        self.decoder = nn.Sequential(
            nn.Linear(latent_size, features),
            nn.Unflatten(1, bottleneck),
            *bilinear_upscaling([widths[-1], *widths[::-1]]),
            nn.Conv2d(widths[0], channels, 3, padding=1),
        )
