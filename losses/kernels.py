"""Blur kernels: fixed ones, and a network that predicts one per image."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import linear, relu6
from torch.nn.utils import skip_init

from losses.options import InvalidOption

SMALL_SIDE, SMALL_KERNEL = 128, 11
LARGE_SIDE, LARGE_KERNEL = 256, 41


def default_size(height: int, width: int) -> int:
    """Return the side of a kernel for images of this size: 11 to 128 pixels, 41 from 256 on.

    Source: Bredell et al. 2023, section 4.4, which has images of 64 and of 256 pixels. Ours: the
    shorter side counts, odd sides follow a line in between, and a smaller image gets the largest
    odd side that fits.
    """
    shorter = min(height, width)
    position = (shorter - SMALL_SIDE) / (LARGE_SIDE - SMALL_SIDE)
    steps = (LARGE_KERNEL - SMALL_KERNEL) / 2 * min(max(position, 0.0), 1.0)
    return min(SMALL_KERNEL + 2 * round(steps), shorter - 1 + shorter % 2)


def side(size: int | None, height: int, width: int) -> int:
    """Return `size`, by default `default_size`, or raise `InvalidOption` where it cannot work."""
    usual = default_size(height, width)
    if size is None:
        return usual
    if size < 1 or size % 2 == 0:
        raise InvalidOption(f"size is {size!r}; give an odd positive integer such as {usual}")
    if size > min(height, width):
        raise InvalidOption(
            f"a kernel of size={size} is larger than images of {height}x{width}; set size={usual}"
        )
    return size


def gaussian(size: int, variance: float) -> Tensor:
    """Return `exp(-r^2 / (2 variance))` with unit sum, `(size, size)` in float64."""
    check_variance(variance)
    offsets = torch.arange(size, dtype=torch.float64) - size // 2
    profile = torch.softmax(-(offsets**2) / (2 * variance), 0)
    return torch.outer(profile, profile)


def check_variance(variance: float) -> None:
    """Raise `InvalidOption` for a variance that no kernel has."""
    if not 1e-6 <= variance <= 1e6:
        raise InvalidOption(f"variance is {variance!r}; give a positive number such as 2.0")


def delta(size: int) -> Tensor:
    """Return the kernel that blurs nothing, `(size, size)` in float64."""
    kernel = torch.zeros(size, size, dtype=torch.float64)
    kernel[size // 2, size // 2] = 1
    return kernel


class KernelGenerator(nn.Module):
    """The network G that predicts the blur of an image from its latent.

    Linear, ReLU6, linear, then weights that are non-negative with unit sum: `softmax` of the
    outputs, or their absolute values over the sum of these (`abs`). `generator` draws the initial
    weights, uniform within 1 / sqrt(inputs) as `nn.Linear` does.

    Source: Bredell et al. 2023, appendix A (two linear layers, 1000 hidden units); activation and
    normalisation as in its authors' W_DIP (2021).
    """

    def __init__(
        self,
        latent_size: int,
        hidden: int,
        size: int,
        normalisation: Literal["softmax", "abs"],
        generator: Generator,
    ) -> None:
        super().__init__()
        self.size, self.normalisation = size, normalisation
        self.hidden = _layer(latent_size, hidden, generator)
        self.output = _layer(hidden, size * size, generator)

    def forward(self, latent: Tensor) -> Tensor:
        """Return kernels `(B, size, size)` of latents `(B, Z)`, in the latents' dtype."""
        outputs = _apply(self.output, relu6(_apply(self.hidden, latent)))
        if self.normalisation == "softmax":
            weights = outputs.softmax(1)
        else:
            smallest = torch.finfo(outputs.dtype).tiny
            weights = outputs.abs() / outputs.abs().sum(1, keepdim=True).clamp_min(smallest)
        return weights.unflatten(1, (self.size, self.size))


def _layer(inputs: int, outputs: int, generator: Generator) -> nn.Linear:
    # nn.Linear would draw from the global generator
    layer = skip_init(nn.Linear, inputs, outputs, device=torch.get_default_device())
    bound = 1 / math.sqrt(inputs)
    for parameter in layer.parameters():
        drawn = torch.empty(parameter.shape, device=generator.device)
        parameter.data.copy_(drawn.uniform_(-bound, bound, generator=generator))
    return layer


def _apply(layer: nn.Linear, inputs: Tensor) -> Tensor:
    # float64 latents get float64 kernels from float32 weights
    return linear(inputs, layer.weight.to(inputs.dtype), layer.bias.to(inputs.dtype))
