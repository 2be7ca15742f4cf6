"""Ways to spoil an image, each by one strength: what a loss may or may not see."""

import io
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Generator, Tensor

from harness.probe import cosines

Path = Callable[[Tensor], Tensor]
"""Strengths `(..., B)` to images `(..., B, C, H, W)` in [0, 1]; strength 0 changes nothing."""


@dataclass(frozen=True)
class Perturbation:
    """A family of changes of growing strength.

    `begin(images, generator)` takes images `(B, C, H, W)` in [0, 1] and returns their path.
    """

    name: str
    label: str  # as in "most sensitive to LABEL"
    unit: str  # of the strength
    strongest: float
    begin: Callable[[Tensor, Generator], Path]


# Cycles per pixel: waves longer than 16 pixels, those between, and those shorter than 4.
LOW, HIGH = 1 / 16, 1 / 4
# Those tried, mild to strong; between two of them the path is a straight line.
QUALITIES = (95, 90, 85, 80, 75, 70, 60, 50, 40, 30, 25, 20, 15, 10, 8, 6, 4, 2, 1)


def _per_image(strength: Tensor) -> Tensor:
    return strength[..., None, None, None]


def _noise(images: Tensor, generator: Generator) -> Path:
    draws = torch.randn(images.shape, generator=generator)
    return lambda strength: (images + _per_image(strength) * draws).clamp(0, 1)


def _filter(images: Tensor, transfer: Callable[[Tensor], Tensor]) -> Path:
    """Multiply cosine coefficients by what `transfer` makes of strengths `(..., 1, 1, 1)`."""
    coefficients = cosines.analyse(images)
    return lambda strength: cosines.synthesise(coefficients * transfer(_per_image(strength))).clamp(
        0, 1
    )


def _blur(images: Tensor, generator: Generator) -> Path:
    vertical, horizontal = cosines.frequencies(*images.shape[-2:])
    squared = vertical.square() + horizontal.square()
    # the Fourier transform of a Gaussian of standard deviation sigma
    return _filter(images, lambda sigma: torch.exp(-2 * (math.pi * sigma) ** 2 * squared))


def _band(low: float, high: float) -> Callable[[Tensor, Generator], Path]:
    def begin(images: Tensor, generator: Generator) -> Path:
        radius = torch.hypot(*cosines.frequencies(*images.shape[-2:]))
        inside = ((radius > low) & (radius <= high)).to(images.dtype)
        return _filter(images, lambda share: 1 - share * inside)

    return begin


def _shift(images: Tensor, generator: Generator) -> Path:
    coefficients = cosines.analyse(images)
    return lambda pixels: cosines.shifted(coefficients, pixels).clamp(0, 1)


def _phase(images: Tensor, generator: Generator) -> Path:
    height, width = images.shape[-2:]
    spectrum = torch.fft.rfft2(images)
    # Angles of white noise have the symmetry of a real image's; one field for all channels keeps
    # the colours together. Frequencies that are their own mirror image must stay real.
    draws = torch.randn(len(images), 1, height, width, generator=generator)
    angle = torch.fft.rfft2(draws).angle()
    own = torch.zeros(angle.shape[-2:], dtype=torch.bool)
    own[
        :: height // 2 if height % 2 == 0 else height, :: width // 2 if width % 2 == 0 else width
    ] = 1
    angle = angle.masked_fill(own, 0.0)

    def path(share: Tensor) -> Tensor:
        turned = spectrum * torch.polar(torch.ones(()), _per_image(share) * angle)
        return torch.fft.irfft2(turned, s=(height, width)).clamp(0, 1)

    return path


def _contrast(images: Tensor, generator: Generator) -> Path:
    mean = images.mean((-2, -1), keepdim=True)
    return lambda share: images + _per_image(share) * (mean - images)


def _brightness(images: Tensor, generator: Generator) -> Path:
    values = images.flatten(1)
    dark, bright = (torch.quantile(values, q, dim=1) for q in (0.01, 0.99))
    # Up or down, whichever cuts off less at the end of the range.
    sign = torch.where(1 - bright >= dark, 1.0, -1.0)
    return lambda shift: (images + _per_image(sign * shift)).clamp(0, 1)


def _jpeg(images: Tensor, generator: Generator) -> Path:
    if images.shape[1] not in (1, 3):
        return lambda strength: images.expand(*strength.shape, *images.shape[1:])
    stack = torch.stack([images, *(_decoded(images, quality) for quality in QUALITIES)])
    knots = torch.tensor([0.0, *(100.0 - quality for quality in QUALITIES)])
    columns = torch.arange(len(images))

    def path(strength: Tensor) -> Tensor:
        after = torch.searchsorted(knots, strength.contiguous()).clamp(1, len(knots) - 1)
        share = (strength - knots[after - 1]) / (knots[after] - knots[after - 1])
        return torch.lerp(stack[after - 1, columns], stack[after, columns], _per_image(share))

    return path


def _decoded(images: Tensor, quality: int) -> Tensor:
    """Compress 8-bit images with Pillow's default colour subsampling and read them back."""
    pixels = (images * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    found = []
    for each in pixels:
        stream = io.BytesIO()
        Image.fromarray(each.squeeze(-1) if each.shape[-1] == 1 else each).save(
            stream, "JPEG", quality=quality
        )
        found.append(np.atleast_3d(np.asarray(Image.open(stream))))
    return torch.from_numpy(np.stack(found)).permute(0, 3, 1, 2).to(images.dtype) / 255


NOISE = "noise"
PERTURBATIONS = (
    Perturbation(NOISE, "white noise", "standard deviation", 1.0, _noise),
    Perturbation("blur", "blur", "σ of the Gaussian, pixels", 16.0, _blur),
    Perturbation("high", "lost high frequencies", "share removed", 1.0, _band(HIGH, math.inf)),
    Perturbation("middle", "lost middle frequencies", "share removed", 1.0, _band(LOW, HIGH)),
    Perturbation("low", "lost low frequencies", "share removed", 1.0, _band(0.0, LOW)),
    Perturbation("shift", "shift", "pixels down and right", 8.0, _shift),
    Perturbation("phase", "scrambled phase", "share of a random angle", 1.0, _phase),
    Perturbation("jpeg", "JPEG", "100 - quality", 100.0 - QUALITIES[-1], _jpeg),
    Perturbation("contrast", "lower contrast", "share removed", 1.0, _contrast),
    Perturbation("brightness", "brightness", "units of [0, 1]", 0.5, _brightness),
)
