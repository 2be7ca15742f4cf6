"""The Gaussian likelihood of images around their reconstructions, in nats on [0, 1].

Any reconstruction loss can be judged by it: σ is fitted once, by the same rule for all.
"""

import math

from torch import Tensor

from harness.metrics.precision import float64

ELBO_SIGNATURE = "elbo|gaussian|sigma=optimal|floor=8bit|range=1|nats|constants|per-image|v1"
SIGMA_SIGNATURE = "sigma|root-mean-square-error|floor=8bit|range=1|v1"

# The standard deviation of rounding to 8 bits; a density finer than the data's grid has no meaning
# and, for a perfect reconstruction, no bound.
SIGMA_FLOOR = 1 / (255 * math.sqrt(12))


def gaussian_nll(sse: Tensor, d: int, sigma: float) -> Tensor:
    """Return -log N(x; y, σ²I) of each image, D/2 log(2πσ²) + SSE/(2σ²).

    `sse`: `(B,)`, the summed squared error of images in [0, 1]; `d`: pixels times channels;
    `sigma`: standard deviation on the same range. Returns `(B,)` float64 in nats, all constants
    kept. Raises ValueError unless `sigma` is positive.
    """
    if sigma <= 0:
        raise ValueError(f"sigma is {sigma}; pass a positive standard deviation on [0, 1].")
    return d / 2 * math.log(2 * math.pi * sigma**2) + float64(sse) / (2 * sigma**2)


def optimal_sigma(sse_total: float, values: int) -> float:
    """Return the σ of highest likelihood, the root mean squared error over all values.

    `sse_total`: squared error summed over images in [0, 1]; `values`: number of images times
    pixels times channels. Never below 1/(255√12), the rounding of 8-bit data. Source: Rybkin et
    al. 2021 (σ-VAE). Raises ValueError unless `values` is positive.
    """
    if values <= 0:
        raise ValueError(
            f"The number of values is {values}; pass images times pixels times channels."
        )
    # A NaN comes first so that max hands it on.
    return max(math.sqrt(sse_total / values), SIGMA_FLOOR)


def elbo_sigma(sse: Tensor, kl: Tensor, d: int, sigma: float) -> Tensor:
    """Return the Gaussian evidence lower bound, -(D/2 log(2πσ²) + SSE/(2σ²) + KL), per image.

    `sse`, `kl`: `(B,)`; `d` and `sigma` as in `gaussian_nll`. Returns `(B,)` float64 in nats on
    [0, 1]; higher is better. Raises ValueError as `gaussian_nll` does.
    """
    return -(gaussian_nll(sse, d, sigma) + float64(kl))
