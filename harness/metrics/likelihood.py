"""The Gaussian likelihood of images around their reconstructions, in nats on [0, 1].

Any reconstruction loss can be judged by it: σ is fitted once, by the same rule for all. The form of
a published table is here too, with its warning.
"""

import math
from typing import Any

import torch
from torch import Tensor

from harness.metrics.precision import float64

ELBO_SIGNATURE = "elbo|gaussian|sigma=optimal|floor=8bit|range=1|nats|constants|per-image|v1"
ELBO_BPD_SIGNATURE = "-elbo|gaussian|sigma=optimal|floor=8bit|bits/dim|8-bit=+8|per-image|v1"
NLL_SIGNATURE = "nll|gaussian|sigma=optimal|floor=8bit|range=1|nats|constants|per-image|v1"
SIGMA_SIGNATURE = "sigma|root-mean-square-error|floor=8bit|range=1|v1"
PAPER_SIGNATURE = (
    "nll-paper|bredell-table-6|range=2|constants=none|+kl|"
    "never comparable across likelihoods|per-image|v1"
)

# The standard deviation of rounding to 8 bits; a density finer than the data's grid has no meaning
# and, for a perfect reconstruction, no bound.
SIGMA_FLOOR = 1 / (255 * math.sqrt(12))
BITS = 8.0  # log2 of the 256 steps of an 8-bit value
PAPER_EPSILON = 0.5


def gaussian_nll(sse: Tensor, d: int, sigma: float) -> Tensor:
    """Return -log N(x; y, σ²I) of each image, D/2 log(2πσ²) + SSE/(2σ²).

    `sse`: `(B,)`, the summed squared error of images in [0, 1]; `d`: pixels times channels;
    `sigma`: standard deviation on the same range. Returns `(B,)` float64 in nats, all constants
    kept; at the σ of `optimal_sigma` it is the column `nll_sigma`. Raises ValueError unless `sigma`
    is positive.
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


def bits_per_dim(nats: Tensor, d: int) -> Tensor:
    """Return nats of an image as bits for each of its `d` values, nats / (D log 2).

    `nats`: `(B,)`; of the KL divergence it is the rate. Returns `(B,)` float64. Raises ValueError
    unless `d` is positive.
    """
    if d <= 0:
        raise ValueError(f"d is {d}; pass pixels times channels.")
    return float64(nats) / (d * math.log(2))


def elbo_bpd(elbo: Tensor, d: int) -> Tensor:
    """Return the negative evidence lower bound in bits for each value of an 8-bit image.

    -ELBO / (D log 2) + 8: the density on [0, 1] becomes one of 256 times the value, where a step of
    the grid is 1 wide, so that a density is about a probability. For flat densities on [0, 1] it is
    8. `elbo`: `(B,)` in nats on [0, 1], from `elbo_sigma`; `d`: pixels times channels. Returns
    `(B,)` float64; lower is better. Raises ValueError unless `d` is positive.
    """
    return bits_per_dim(-float64(elbo), d) + BITS


@torch.no_grad()
def nll_paper(loss: Any, recon: Tensor, target: Tensor, latent: Tensor, kl: Tensor) -> Tensor:
    """Return Bredell et al.'s "-log p" of each image: reconstruction term plus KL divergence.

    On [-1, 1] and without constants the reconstruction term is 1/2 Σ Δ², a Gaussian with σ = 1, for
    any loss but one that offers `paper_nll`, as `blur` does: that one's, with ε = 0.5 and its own
    trained kernels. **Never compare it across likelihoods**: one column of the table leaves out
    D/2 log 2π that belongs to a σ no model would choose, the other joins the weight of one
    covariance to the determinant of another. Compare `elbo_sigma` instead.

    Args:
        loss: the trained loss, in evaluation mode.
        recon: `(B, C, H, W)` in [0, 1], decoded from `latent`.
        target: `(B, C, H, W)` in [0, 1].
        latent: `(B, Z)`, the posterior's sample.
        kl: `(B,)` in nats.

    Returns `(B,)` float64. Source: Bredell et al. 2023, table 6, whose "<" is that of a bound.
    """
    # The loss stays on its device, so Apple's, which has no float64, keeps what it has.
    exact = recon.dtype if recon.device.type == "mps" else torch.float64
    recon, target, latent = recon.to(exact), target.to(exact), latent.to(exact)
    own = _paper_term(loss)
    if own is None:
        energy = (2 * (recon - target)).square().flatten(1).sum(1) / 2
    else:
        energy = own.paper_nll(recon, target, latent, epsilon=PAPER_EPSILON)
    return float64(energy) + float64(kl)


def nll_paper_signature(loss: Any) -> str:
    """Return the signature of `nll_paper`, which differs between losses of different forms."""
    own = _paper_term(loss)
    form = "sigma=1" if own is None else f"{own.paper_form}|eps={PAPER_EPSILON}"
    return f"{PAPER_SIGNATURE}|{form}"


def _paper_term(loss: Any) -> Any | None:
    """Return the loss, or the one term of a sum, that has a form of its own in the paper."""
    found = [part for part in loss.modules() if hasattr(type(part), "paper_nll")]
    return found[0] if len(found) == 1 else None
