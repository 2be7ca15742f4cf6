"""The VAE of Dalal's STFT loss."""

from __future__ import annotations

import math

from torch import nn

from models.base import VAE, positive
from models.blocks import check_sides
from models.options import InvalidOption

SMALLEST_SIDE = 8  # two unpadded 3x3 convolutions of stride 2 need seven pixels


class Dalal(VAE):
    """Two strided convolutions and three transposed ones, without batch norm.

    Encoder: 3x3 convolutions of stride 2 without padding, 32 and 64 filters, each followed by a
    ReLU; linear to mean and log-variance. Decoder: linear to 32 channels at a quarter of each side,
    3x3 transposed convolutions of stride 2 with 64 and 32 filters, ReLU after all three; 3x3
    transposed convolution. 69,989 parameters for 1x28x28 images and the source's latent size 2.
    `width` stands for the 32.

    Transposed convolutions are cut at the bottom and on the right, as TensorFlow's "same" padding
    does. The release puts out logits in training and scoring but shows samples through a sigmoid;
    here every model ends in a sigmoid, so its published PSNR is not comparable.

    Source: the released code of Dalal 2024, class VAE1; initial values are PyTorch's, not Keras's.
    Raises `InvalidOption` when a side is not divisible by 4 or is below 8.
    """

    def __init__(
        self, *, image_shape: tuple[int, int, int], latent_size: int, width: int = 32
    ) -> None:
        super().__init__(image_shape=image_shape, latent_size=latent_size)
        channels, height, image_width = image_shape
        check_sides(height, image_width, 4)
        if min(height, image_width) < SMALLEST_SIDE:
            raise InvalidOption(
                f"images are {height}x{image_width}; give sides of at least {SMALLEST_SIDE} pixels"
            )
        wide = 2 * positive("width", width)
        seen = [_halved(_halved(side)) for side in (height, image_width)]
        quarter = (width, height // 4, image_width // 4)
        self.encoder = nn.Sequential(
            nn.Conv2d(channels, width, 3, stride=2),
            nn.ReLU(),
            nn.Conv2d(width, wide, 3, stride=2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(wide * math.prod(seen), 2 * latent_size),
        )
        self.decoder = nn.Sequential(
            nn.Linear(latent_size, math.prod(quarter)),
            nn.ReLU(),
            nn.Unflatten(1, quarter),
            *_doubling(width, wide),
            *_doubling(wide, width),
            nn.ConvTranspose2d(width, channels, 3, padding=1),
        )


def _halved(side: int) -> int:
    return (side - 3) // 2 + 1


def _doubling(before: int, after: int) -> list[nn.Module]:
    # A negative pad cuts the last row and column of 2n + 1.
    cut = nn.ZeroPad2d((0, -1, 0, -1))
    return [nn.ConvTranspose2d(before, after, 3, stride=2), cut, nn.ReLU()]
