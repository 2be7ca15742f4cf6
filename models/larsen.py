"""The encoder and decoder of VAE-GAN."""

from __future__ import annotations

import math
from itertools import pairwise

from torch import nn

from models.base import VAE, positive
from models.blocks import check_sides

BLOCKS = 3
LARGEST_SIDE = 8  # of the bottleneck, in the source's networks and beyond


class Larsen(VAE):
    """Strided 5x5 convolutions and one hidden linear layer each way, batch norm throughout.

    Encoder: 5x5 convolutions of stride 2 with 64, 128 and 256 filters, linear to 1024, each
    followed by batch norm and ReLU; linear to mean and log-variance. Decoder at 32x32: linear to
    256x4x4, 5x5 transposed convolutions of stride 2 with 192, 128 and 32 filters, each followed by
    batch norm and ReLU; 5x5 convolution. At 64x64: linear to 256x8x8, then 256, 128 and 32 filters.
    Layers before a batch norm have no bias. The source's latent size is 128 and its output a tanh;
    here the protocol sets the one and every model ends in a sigmoid.

    Other sizes, ours: the decoder of 32x32 while both sides are below 64; beyond 64 pixels further
    blocks of 256 filters next to the bottleneck until none of its sides is above 8, for a linear
    layer on more would hold nearly all parameters. `width` stands for 64, the other numbers scale
    with it.

    The sharpness report (Reddy and Harsha) names no network for its VAE and VAE-GAN on MNIST. At
    32x32 this one stands in for both: 5000 images a digit, zero-padded from 28 to 32 pixels,
    trained with `l2 + sharpness`, or with the options that `vae-gan` documents for the report.

    Source: Larsen et al. 2016, table 1, and the authors' code; they train on batches of 64 with
    RMSProp and weight decay 1e-5. Raises `InvalidOption` when a side is not divisible by 8, or by
    the power of two that leaves at most 8 pixels. Batch norm after a linear layer cannot train on a
    batch of one.
    """

    def __init__(
        self, *, image_shape: tuple[int, int, int], latent_size: int, width: int = 64
    ) -> None:
        super().__init__(image_shape=image_shape, latent_size=latent_size)
        channels, height, image_width = image_shape
        side = max(height, image_width)
        blocks = max(BLOCKS, math.ceil(math.log2(side / LARGEST_SIDE)))
        check_sides(height, image_width, 2**blocks)
        extra = [4 * positive("width", width)] * (blocks - BLOCKS)
        bottleneck = (4 * width, height >> blocks, image_width >> blocks)
        features, hidden = math.prod(bottleneck), 16 * width
        self.encoder = nn.Sequential(
            *_downscaling([channels, width, 2 * width, 4 * width, *extra]),
            nn.Flatten(),
            *_linear(features, hidden),
            nn.Linear(hidden, 2 * latent_size),
        )
        first = 3 * width if side < 64 else 4 * width
        last = max(width // 2, 1)
        self.decoder = nn.Sequential(
            *_linear(latent_size, features),
            nn.Unflatten(1, bottleneck),
            *_upscaling([4 * width, *extra, first, 2 * width, last]),
            nn.Conv2d(last, channels, 5, padding=2),
        )


def _downscaling(widths: list[int]) -> list[nn.Module]:
    convolutions = [
        nn.Conv2d(before, after, 5, stride=2, padding=2, bias=False)
        for before, after in pairwise(widths)
    ]
    return [_normalised(convolution) for convolution in convolutions]


def _upscaling(widths: list[int]) -> list[nn.Module]:
    convolutions = [
        nn.ConvTranspose2d(before, after, 5, stride=2, padding=2, output_padding=1, bias=False)
        for before, after in pairwise(widths)
    ]
    return [_normalised(convolution) for convolution in convolutions]


def _normalised(convolution: nn.Conv2d | nn.ConvTranspose2d) -> nn.Sequential:
    norm = nn.BatchNorm2d(convolution.out_channels, eps=1e-6)
    return nn.Sequential(convolution, norm, nn.ReLU())


def _linear(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Linear(inputs, outputs, bias=False), nn.BatchNorm1d(outputs), nn.ReLU()]
