"""The discriminator of Larsen et al. 2016."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

BLOCKS = 3  # strided convolutions up to the layer that compares images
LARGEST_SIDE = 8  # of what the linear layers see


class Discriminator(nn.Module):
    """Tell images from reconstructions, and describe them on the way.

    At 32x32: 5x5 convolution of 32 filters, ReLU; 5x5 convolutions of stride 2 with 128, 192 and
    256 filters, each followed by batch norm and ReLU; linear to 512, batch norm, ReLU; linear to
    one logit. At 64x64: 128, 256 and 256 filters. Other sizes, ours: the filters of 32x32 while
    both sides are below 64; from 128 pixels on further strided blocks of 256 filters, until no
    side is above 8. Strides halve and round up, so every size fits. `width` stands for the first
    32, the other numbers scale with it. Images in [0, 1] are shown as [-1, 1], the source's range.

    Batch norm uses the statistics of the images passed together when training and running averages
    (0.9 old, 0.1 new) in evaluation; the averages move only where `learn_statistics` is set.
    Parameters are float32 and computed with in the images' precision. Initial values are PyTorch's,
    drawn from `generator` alone.
    """

    def __init__(
        self, image_shape: tuple[int, int, int], width: int, generator: Generator | None
    ) -> None:
        super().__init__()
        channels, *sides = image_shape
        middle = 6 if max(sides) < 64 else 8
        filters = [width, 4 * width, middle * width, 8 * width]
        sides = [-(-side // 2**BLOCKS) for side in sides]
        while max(sides) > LARGEST_SIDE:
            filters.append(8 * width)
            sides = [-(-side // 2) for side in sides]
        with drawing_from(generator):
            first = [Convolution(channels, width, 5, padding=2), nn.ReLU()]
            blocks = [strided(*pair) for pair in pairwise(filters)]
            hidden = [
                nn.Flatten(),
                Linear(filters[-1] * sides[0] * sides[1], 16 * width, bias=False),
                BatchNorm(16 * width, eps=1e-5),
                nn.ReLU(),
                Linear(16 * width, 1),
            ]
        # Larsen's ninth module: the third strided convolution, before its batch norm and ReLU.
        layers = [*first, *(layer for block in blocks for layer in block), *hidden]
        compared = len(first) + 3 * BLOCKS - 2
        self.lower, self.upper = nn.ModuleList(layers[:compared]), nn.ModuleList(layers[compared:])
        # What CPUs convolve faster and tensor cores want.
        self.to(memory_format=torch.channels_last)

    def features(self, images: Tensor, *, learn_statistics: bool = False) -> Tensor:
        """Return what the third strided convolution puts out, `(B, F, H/8, W/8)`."""
        shown = (2 * images - 1).contiguous(memory_format=torch.channels_last)
        return _run(self.lower, shown, learn_statistics)

    def forward(self, images: Tensor, *, learn_statistics: bool = False) -> Tensor:
        """Return the logit of being real, `(B,)`."""
        features = self.features(images, learn_statistics=learn_statistics)
        return _run(self.upper, features, learn_statistics).squeeze(1)


class Convolution(nn.Conv2d):
    """A convolution that computes in its input's precision."""

    def forward(self, input: Tensor) -> Tensor:
        """Convolve `(B, C, H, W)`."""
        bias = None if self.bias is None else self.bias.to(input.dtype)
        return self._conv_forward(input, self.weight.to(input.dtype), bias)


class Linear(nn.Linear):
    """A linear layer that computes in its input's precision."""

    def forward(self, input: Tensor) -> Tensor:
        """Map `(B, inputs)` to `(B, outputs)`."""
        bias = None if self.bias is None else self.bias.to(input.dtype)
        return functional.linear(input, self.weight.to(input.dtype), bias)


class BatchNorm(nn.Module):
    """Batch normalisation whose running statistics move only when told to."""

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, *, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, input: Tensor, learn_statistics: bool = False) -> Tensor:
        """Normalise `(B, C, ...)` per channel."""
        weight, bias = self.weight.to(input.dtype), self.bias.to(input.dtype)
        if self.training and not learn_statistics:
            return functional.batch_norm(input, None, None, weight, bias, True, eps=self.eps)
        # Copies: the backward pass may need the averages that this call is about to replace.
        mean, var = (v.to(input.dtype, copy=True) for v in (self.running_mean, self.running_var))
        result = functional.batch_norm(input, mean, var, weight, bias, self.training, eps=self.eps)
        if self.training:
            self.running_mean.copy_(mean)
            self.running_var.copy_(var)
        return result


def strided(before: int, after: int) -> list[nn.Module]:
    """Return a 5x5 convolution of stride 2 with its batch norm and ReLU."""
    convolution = Convolution(before, after, 5, stride=2, padding=2, bias=False)
    return [convolution, BatchNorm(after, eps=1e-6), nn.ReLU()]


@contextmanager
def drawing_from(generator: Generator | None) -> Iterator[None]:
    """Initialise modules on the CPU from `generator` alone; torch's global state is restored."""
    if generator is None:
        yield
        return
    seed = torch.randint(2**62, (), generator=generator, device=generator.device).item()
    with torch.random.fork_rng(devices=[]):
        # torch.manual_seed would also reseed the accelerators, which the fork does not restore.
        torch.default_generator.manual_seed(int(seed))
        yield


def _run(layers: nn.ModuleList, values: Tensor, learn_statistics: bool) -> Tensor:
    for layer in layers:
        normalises = isinstance(layer, BatchNorm)
        values = layer(values, learn_statistics) if normalises else layer(values)
    return values
