"""The loss under examination, and the images that it is examined on."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from losses.base import ReconstructionLoss

Make = Callable[..., Any]


class ImagesOutOfRange(ValueError):
    """The images given are no batch of floats in [0, 1]."""


@dataclass(frozen=True)
class Failure:
    """The loss breaks its contract: what was seen, and how to mend it."""

    message: str
    fix: str


@dataclass(frozen=True)
class Note:
    """Nothing is broken, but its author may want to know."""

    message: str


@dataclass(frozen=True)
class Skipped:
    """The check does not apply here, or cannot be run here."""

    message: str


Outcome = Failure | Note | Skipped | None


class Batch(NamedTuple):
    """Arguments of a loss: images `(B, C, H, W)` in [0, 1], latent `(B, Z)`."""

    recon: Tensor
    target: Tensor
    latent: Tensor

    def rows(self, which: Any) -> Batch:
        """Return the images at these places."""
        return Batch(*(value[which] for value in self))

    def darker(self) -> Batch:
        """Return the batch with images of a fifth of the brightness."""
        return self._replace(recon=0.2 * self.recon, target=0.2 * self.target)

    def asking(self) -> Batch:
        """Return the batch with a copy of `recon` that asks for its gradient."""
        return self._replace(recon=self.recon.clone().requires_grad_())


class Subject:
    """Makes fresh losses, ready for use, and batches to give them."""

    def __init__(
        self,
        make: Make,
        image_shape: tuple[int, int, int] = (3, 16, 16),
        latent_size: int = 4,
        images: Tensor | None = None,
    ) -> None:
        self.make, self.images = make, None if images is None else _checked(images)
        found = image_shape if images is None else tuple(images.shape[1:])
        self.image_shape: tuple[int, int, int] = found  # type: ignore[assignment]
        self.latent_size = latent_size

    @property
    def values(self) -> int:
        """C*H*W."""
        return math.prod(self.image_shape)

    def fresh(self, seed: int | None = 0, **options: Any) -> Any:
        """Return what `make` returns, with a generator of this seed or none."""
        generator = None if seed is None else torch.Generator().manual_seed(seed)
        return self.make(
            image_shape=self.image_shape,
            latent_size=self.latent_size,
            generator=generator,
            **options,
        )

    def loss(self, seed: int = 0) -> ReconstructionLoss:
        """Return a loss in training mode as a trainer prepares it, with every term under way."""
        loss: ReconstructionLoss = self.fresh(seed)
        loss.train()
        loss.requires_grad_(False)
        for group in loss.main_groups():
            for parameter in group["params"]:
                parameter.requires_grad_(True)
        loss.start_epoch(loss.starts_at)
        return loss

    def batch(
        self, count: int = 3, seed: int = 1, dtype: torch.dtype = torch.float32, weight: float = 1.0
    ) -> Batch:
        """Return targets, reconstructions that have this weight of other images, and latents."""
        generator = torch.Generator().manual_seed(seed)
        shape = (count, *self.image_shape)
        recon, target = torch.rand(2, *shape, generator=generator, dtype=torch.float64)
        if self.images is not None:
            chosen = torch.randint(len(self.images), (count,), generator=generator)
            target = self.images[chosen].double()
        latent = torch.randn(count, self.latent_size, generator=generator, dtype=torch.float64)
        return Batch(target.lerp(recon, weight).to(dtype), target.to(dtype), latent.to(dtype))


def _checked(images: Tensor) -> Tensor:
    if images.dim() != 4 or not images.numel():
        raise ImagesOutOfRange(
            f"the images have the shape {tuple(images.shape)}; give some of (N, C, H, W)"
        )
    if not images.is_floating_point():
        raise ImagesOutOfRange(
            f"the images are {str(images.dtype).removeprefix('torch.')}; give floats in [0, 1], "
            "such as bytes divided by 255"
        )
    low, high = float(images.min()), float(images.max())
    if not (low >= 0 and high <= 1):  # a NaN fails, too
        raise ImagesOutOfRange(
            f"the images have values from {low:.4g} to {high:.4g}; give values in [0, 1]"
        )
    return images
