"""Stacks of layers the architectures share."""

from __future__ import annotations

from itertools import pairwise

from torch import nn

from models.options import InvalidOption

SLOPE = 0.01  # Bredell et al. leave it open; this is PyTorch's default.


def check_sides(height: int, width: int, divisor: int) -> None:
    """Raise `InvalidOption` unless both sides are multiples of `divisor`."""
    for side in (height, width):
        if side % divisor:
            below = side // divisor * divisor
            nearest = [str(size) for size in (below, below + divisor) if size]
            raise InvalidOption(
                f"images are {height}x{width} but this model needs sides divisible by {divisor}; "
                f"resize {side} to {' or '.join(nearest)}"
            )


def downscaling(widths: list[int]) -> list[nn.Module]:
    """Return blocks that halve the sides, from `widths[0]` channels through the others."""
    return [
        _normalised(nn.Conv2d(before, after, 3, stride=2, padding=1), after)
        for before, after in pairwise(widths)
    ]


def transposed_upscaling(widths: list[int]) -> list[nn.Module]:
    """Return blocks that double the sides by 4x4 transposed convolutions."""
    return [
        _normalised(nn.ConvTranspose2d(before, after, 4, stride=2, padding=1), after)
        for before, after in pairwise(widths)
    ]


def bilinear_upscaling(widths: list[int]) -> list[nn.Module]:
    """Return blocks that double the sides by interpolation, then convolve 3x3."""
    return [
        nn.Sequential(
            nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False),
            *_normalised(nn.Conv2d(before, after, 3, padding=1), after),
        )
        for before, after in pairwise(widths)
    ]


def perceptron(inputs: int, hidden: int, outputs: int) -> list[nn.Module]:
    """Return two linear layers with a LeakyReLU between."""
    return [nn.Linear(inputs, hidden), nn.LeakyReLU(SLOPE), nn.Linear(hidden, outputs)]


def _normalised(convolution: nn.Module, channels: int) -> nn.Sequential:
    return nn.Sequential(convolution, nn.BatchNorm2d(channels), nn.LeakyReLU(SLOPE))
