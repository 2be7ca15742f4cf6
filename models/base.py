"""The variational autoencoder every architecture specialises."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn

from models.options import InvalidOption

# Inside these bounds nothing changes. Above 20, exp(logvar) in the KL divergence heads for
# float32's overflow and one image would make a whole run non-finite; below -30 the standard
# deviation (3e-7) is already lost beside a mean of order one.
LOGVAR_BOUNDS = (-30.0, 20.0)


@dataclass(frozen=True)
class Record:
    """The tensors of one forward pass, float32 (float64 for a float64 model)."""

    mu: Tensor  # (B, Z) mean of the posterior
    logvar: Tensor  # (B, Z) log-variance of the posterior
    latent: Tensor  # (B, Z) sample of the posterior
    logits: Tensor  # (B, C, H, W) decoder output before the sigmoid
    recon: Tensor  # (B, C, H, W) in [0, 1]


class VAE(nn.Module):
    """A VAE with a diagonal Gaussian posterior and a sigmoid output (Kingma & Welling 2014).

    **To write a model**, subclass this, take your options as keyword-only arguments with
    defaults, call `super().__init__(image_shape=..., latent_size=...)` and set
    `self.encoder`, images `(B, C, H, W)` in [0, 1] -> `(B, 2 * latent_size)`, means first, then
    log-variances, and `self.decoder`, latent `(B, latent_size)` -> logits `(B, C, H, W)`.
    """

    encoder: nn.Module
    decoder: nn.Module

    def __init__(self, *, image_shape: tuple[int, int, int], latent_size: int) -> None:
        super().__init__()
        if len(image_shape) != 3 or any(side < 1 for side in image_shape):
            raise InvalidOption(f"image_shape is {image_shape!r}; give three positive (C, H, W)")
        self.image_shape = image_shape
        self.latent_size = positive("latent_size", latent_size)

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the posterior's mean and log-variance, each `(B, latent_size)`."""
        mu, logvar = _full_precision(self.encoder(images)).chunk(2, dim=1)
        return mu, logvar.clamp(*LOGVAR_BOUNDS)

    def decode(self, latent: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits and reconstruction in [0, 1], each `(B, C, H, W)`."""
        logits = _full_precision(self.decoder(latent))
        return logits, logits.sigmoid()

    def forward(self, images: Tensor, generator: Generator | None = None) -> Record:
        """Encode, draw one latent sample per image from `generator`, and decode."""
        mu, logvar = self.encode(images)
        latent = mu + (logvar / 2).exp() * standard_normal(mu, generator)
        logits, recon = self.decode(latent)
        return Record(mu=mu, logvar=logvar, latent=latent, logits=logits, recon=recon)

    def sample(self, n: int, generator: Generator | None = None) -> Tensor:
        """Decode `n` draws from N(0, I): images `(n, C, H, W)` in [0, 1]."""
        like = next(self.parameters()).new_empty(n, self.latent_size)
        return self.decode(standard_normal(like, generator))[1]


def standard_normal(like: Tensor, generator: Generator | None) -> Tensor:
    """Draw N(0, 1) noise with the shape of `like`, on the generator's device, then move it.

    A CPU generator so gives the same noise whatever device the model is on. Without a generator
    the noise comes from torch's global one.
    """
    device = like.device if generator is None else generator.device
    noise = torch.randn(like.shape, generator=generator, device=device, dtype=like.dtype)
    return noise.to(like.device)


@contextmanager
def seeded_initialisation(generator: Generator | None) -> Iterator[None]:
    """Initialise modules on the CPU from `generator` alone; torch's global state is restored.

    `torch.nn` draws initial values from the global generator only, so it is forked and seeded.
    """
    if generator is None:
        yield
        return
    seed = torch.randint(2**62, (), generator=generator, device=generator.device).item()
    with torch.random.fork_rng(devices=[]):
        # torch.manual_seed would also reseed the accelerators, which the fork does not restore.
        torch.default_generator.manual_seed(int(seed))
        yield


def positive(name: str, value: int) -> int:
    """Return `value` if it is a positive integer, else raise `InvalidOption`."""
    if value < 1:
        raise InvalidOption(f"{name} is {value!r}; give a positive integer")
    return value


def _full_precision(values: Tensor) -> Tensor:
    """Leave autocast here: the KL divergence and the losses need float32."""
    return values.to(torch.promote_types(values.dtype, torch.float32))
