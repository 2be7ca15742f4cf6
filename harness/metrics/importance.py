"""The importance-weighted bound: how much of log p(x) the evidence lower bound gives away."""

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor

from harness.metrics.likelihood import gaussian_nll
from harness.metrics.precision import float64

SAMPLES = 50

Decode = Callable[[Tensor], Tensor]
"""Latents `(B, Z)` to reconstructions `(B, C, H, W)` in [0, 1]."""


def iwae_signature(k: int = SAMPLES) -> str:
    """Return the signature of `iwae` with `k` samples."""
    return f"iwae|k={k}|gaussian|sigma=optimal|floor=8bit|range=1|nats|constants|per-image|v1"


@torch.no_grad()
def iwae(
    decode: Decode,
    mu: Tensor,
    logvar: Tensor,
    target: Tensor,
    sigma: float,
    *,
    k: int = SAMPLES,
    generator: Generator | None = None,
) -> Tensor:
    """Return log (1/k) Σ_i p(x|z_i) p(z_i) / q(z_i|x) of each image, z_i drawn from q(z|x).

    With k = 1 the evidence lower bound by one sample; its expectation does not fall as k grows and
    tends to log p(x). Samples are decoded one after the other, so memory is that of one batch
    whatever `k` is.

    Args:
        decode: gives the mean of the Gaussian p(x|z).
        mu: `(B, Z)`, the posterior's mean.
        logvar: `(B, Z)`, its log-variance.
        target: `(B, C, H, W)` in [0, 1].
        sigma: standard deviation of p(x|z) on [0, 1].
        k: number of samples.
        generator: draws the noise, on its own device; None takes torch's global one.

    Returns `(B,)` float64 in nats on [0, 1], all constants kept. Source: Burda et al. 2016 (IWAE),
    the bound L_k. Raises ValueError unless `k` and `sigma` are positive and the shapes agree.
    """
    if k < 1:
        raise ValueError(f"k is {k}; pass a positive number of samples such as {SAMPLES}.")
    if mu.shape != logvar.shape or len(mu) != len(target):
        raise ValueError(
            f"mu has shape {tuple(mu.shape)}, logvar {tuple(logvar.shape)} and the images "
            f"{tuple(target.shape)}; pass one mean and one log-variance for each image."
        )
    drawn = [_log_weight(decode, mu, logvar, target, sigma, generator) for _ in range(k)]
    return torch.stack(drawn).logsumexp(0) - math.log(k)


def _log_weight(
    decode: Decode,
    mu: Tensor,
    logvar: Tensor,
    target: Tensor,
    sigma: float,
    generator: Generator | None,
) -> Tensor:
    """Return log p(x|z) + log p(z) - log q(z|x) of one z for each image, `(B,)` float64."""
    device = mu.device if generator is None else generator.device
    noise = torch.randn(mu.shape, generator=generator, device=device, dtype=mu.dtype).to(mu.device)
    latent = mu + (logvar / 2).exp() * noise
    error = float64(decode(latent)) - float64(target)
    sse = error.square().flatten(1).sum(1)
    # log p(z) - log q(z|x), where the 2π of the two Gaussians cancel
    prior = (float64(noise).square() + float64(logvar) - float64(latent).square()).flatten(1).sum(1)
    return prior / 2 - gaussian_nll(sse, target[0].numel(), sigma)
