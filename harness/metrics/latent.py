"""What the latent code carries: its divergence from the prior and the units in use."""

import torch
from torch import Tensor

from harness.metrics.precision import float64

KL_SIGNATURE = "kl|diagonal-gaussian|standard-normal-prior|sum-latent|nats|per-image|v1"
RATE_SIGNATURE = "rate|kl|standard-normal-prior|bits/dim|per-image|v1"
ACTIVE_UNITS_SIGNATURE = "active-units|var-x-of-mu>0.01|v1"

THRESHOLD = 0.01


def kl_divergence(mu: Tensor, logvar: Tensor) -> Tensor:
    """Return KL(N(μ, exp(logvar)) ‖ N(0, I)) of each image, ½ Σ (μ² + exp(logvar) - 1 - logvar).

    `mu`, `logvar`: `(B, ...)` of one shape. Returns `(B,)` float64 in nats. Source: Kingma and
    Welling 2014, appendix B. Raises ValueError when the shapes differ.
    """
    if mu.shape != logvar.shape:
        raise ValueError(
            f"mu has shape {tuple(mu.shape)} and logvar {tuple(logvar.shape)}; pass equal shapes."
        )
    mean, log_variance = float64(mu).flatten(1), float64(logvar).flatten(1)
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)


class ActiveUnits:
    """Count the latent units whose posterior mean varies over images by more than 0.01.

    Source: Burda et al. 2016 (IWAE). Memory does not grow with the images seen.
    """

    def __init__(self) -> None:
        """Start with no images."""
        self._count = 0
        self._mean = torch.zeros(0, dtype=torch.float64)
        self._scatter = torch.zeros(0, dtype=torch.float64)

    def update(self, mu: Tensor) -> None:
        """Add the posterior means of a batch, `(B, ...)`; trailing axes are units.

        Raises ValueError when the number of units changes between batches.
        """
        values = float64(mu.detach()).flatten(1).cpu()
        if self._count == 0:
            self._mean = torch.zeros(values.shape[1], dtype=torch.float64)
            self._scatter = torch.zeros_like(self._mean)
        if values.shape[1] != self._mean.numel():
            raise ValueError(
                f"This batch has {values.shape[1]} latent units and the ones before it "
                f"{self._mean.numel()}; keep one accumulator per model."
            )
        if len(values):
            self._merge(len(values), values.mean(0), values.var(0, correction=0) * len(values))

    def _merge(self, count: int, mean: Tensor, scatter: Tensor) -> None:
        # Chan, Golub and LeVeque 1983: no cancellation, whatever the means.
        total, step = self._count + count, mean - self._mean
        self._scatter += scatter + step.square() * (self._count * count / total)
        self._mean += step * (count / total)
        self._count = total

    def variance(self) -> Tensor:
        """Return the variance over images of each unit's posterior mean, `(units,)` float64.

        Divides by the number of images. Raises ValueError before the first image.
        """
        if self._count == 0:
            raise ValueError("No images were given; call update before asking for active units.")
        return self._scatter / self._count

    def active(self, threshold: float = THRESHOLD) -> int:
        """Return the number of units whose variance exceeds `threshold`; raises as `variance`."""
        return int((self.variance() > threshold).sum())
