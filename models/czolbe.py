"""The VAEs of the Watson loss."""

from __future__ import annotations

import math
from itertools import pairwise

from torch import nn

from models.base import VAE, positive
from models.blocks import SLOPE, check_sides


class Czolbe(VAE):
    """3x3 convolutions with max pooling and bilinear upsampling, and wide linear layers.

    Encoder: `blocks` x [convolution, LeakyReLU, 2x2 max pooling, batch norm] with 64, then 128
    filters; convolution to 128, LeakyReLU; linear to `mlp` units, ReLU; linear to mean and
    log-variance. Decoder: linear to `mlp`, ReLU, linear back to 128 channels at the bottleneck,
    ReLU; convolution to 128, LeakyReLU; `blocks` x [bilinear upsampling by 2 with corners aligned,
    convolution to 64, LeakyReLU]; convolution to 64, LeakyReLU; convolution. `width` stands for
    the 64.

    The defaults are its CelebA network, 136.35 M parameters at 3x64x64 with the source's latent
    size 256. Its decoder has no batch norm: the release appends the decoder's two to the list of
    the encoder's layers, after the encoder was built from that list. The MNIST network is
    `czolbe[width=32,mlp=1024,blocks=1,norm=false]`, on images padded with zeros to 32x32 and with
    latent size 2.

    Source: the released code of Czolbe et al. 2020; CelebA: batches of 64, Adam 1e-4 halved every
    20 epochs, 100 epochs; MNIST: batches of 128, Adam 1e-4 halved every 100 epochs, 250 epochs.
    Raises `InvalidOption` when a side is not divisible by `2**blocks`.
    """

    def __init__(
        self,
        *,
        image_shape: tuple[int, int, int],
        latent_size: int,
        width: int = 64,
        mlp: int = 2048,
        blocks: int = 2,
        norm: bool = True,
    ) -> None:
        super().__init__(image_shape=image_shape, latent_size=latent_size)
        channels, height, image_width = image_shape
        check_sides(height, image_width, 2 ** positive("blocks", blocks))
        positive("mlp", mlp)
        wide = 2 * positive("width", width)
        bottleneck = (wide, height >> blocks, image_width >> blocks)
        features = math.prod(bottleneck)
        widths = [channels, width, *[wide] * blocks]
        self.encoder = nn.Sequential(
            *(layer for pair in pairwise(widths[:-1]) for layer in _pooled(*pair, norm)),
            *_convolution(*widths[-2:]),
            nn.Flatten(),
            nn.Linear(features, mlp),
            nn.ReLU(),
            nn.Linear(mlp, 2 * latent_size),
        )
        self.decoder = nn.Sequential(
            nn.Linear(latent_size, mlp),
            nn.ReLU(),
            nn.Linear(mlp, features),
            nn.ReLU(),
            nn.Unflatten(1, bottleneck),
            *_convolution(wide, wide),
            *(layer for block in range(blocks) for layer in _upsampled(width, first=block == 0)),
            *_convolution(width, width),
            nn.Conv2d(width, channels, 3, padding=1),
        )


def _convolution(before: int, after: int) -> list[nn.Module]:
    return [nn.Conv2d(before, after, 3, padding=1), nn.LeakyReLU(SLOPE)]


def _pooled(before: int, after: int, norm: bool) -> list[nn.Module]:
    last = [nn.BatchNorm2d(after)] if norm else []
    return [*_convolution(before, after), nn.MaxPool2d(2), *last]


def _upsampled(width: int, *, first: bool) -> list[nn.Module]:
    larger = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
    return [larger, *_convolution(2 * width if first else width, width)]
