"""The importance-weighted bound against models whose log p(x) is known."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from torch import Tensor
from torch.distributions import Normal

from harness.metrics.importance import iwae, iwae_signature

SIGMA = 0.3
# Orthogonal columns make the posterior of a linear decoder diagonal.
WEIGHT = torch.tensor([[1.0, 2.0], [1.0, -2.0], [0.5, 0.0], [0.0, 0.0]], dtype=torch.float64)
OFFSET = torch.tensor([0.4, 0.5, 0.6, 0.5], dtype=torch.float64)


def decode(latent: Tensor) -> Tensor:
    return (latent @ WEIGHT.to(latent).T + OFFSET.to(latent)).reshape(-1, 1, 2, 2)


def images(count: int = 5) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(count, 1, 2, 2, generator=generator, dtype=torch.float64)


def log_evidence(target: Tensor) -> np.ndarray:
    covariance = (WEIGHT @ WEIGHT.T + SIGMA**2 * torch.eye(4, dtype=torch.float64)).numpy()
    return multivariate_normal(OFFSET.numpy(), covariance).logpdf(target.flatten(1).numpy())


def posterior(target: Tensor) -> tuple[Tensor, Tensor]:
    variance = 1 / (1 + WEIGHT.square().sum(0) / SIGMA**2)
    mu = (target.flatten(1) - OFFSET) @ WEIGHT / SIGMA**2 * variance
    return mu, variance.log().expand_as(mu)


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(3)


@pytest.mark.parametrize("k", [1, 2, 50])
def test_the_true_posterior_gives_log_p_exactly(k: int) -> None:
    """Every weight is then p(x), whatever was drawn."""
    target = images()
    found = iwae(decode, *posterior(target), target, SIGMA, k=k, generator=seeded())
    assert found.dtype == torch.float64
    np.testing.assert_allclose(found, log_evidence(target), rtol=1e-10)


def test_one_sample_is_the_evidence_lower_bound_of_that_sample() -> None:
    target = images()
    mu, logvar = torch.randn(2, 5, 2, generator=torch.Generator().manual_seed(2)).double()
    found = iwae(decode, mu, logvar, target, SIGMA, k=1, generator=seeded())
    latent = mu + (logvar / 2).exp() * torch.randn(5, 2, generator=seeded(), dtype=mu.dtype)
    by_hand = (
        Normal(decode(latent), SIGMA).log_prob(target).sum((1, 2, 3))
        + Normal(0.0, 1.0).log_prob(latent).sum(1)
        - Normal(mu, (logvar / 2).exp()).log_prob(latent).sum(1)
    )
    torch.testing.assert_close(found, by_hand)


def test_several_samples_are_the_logarithm_of_the_mean_weight() -> None:
    target, (mu, logvar), generator = images(), posterior(images()), seeded()
    single = [
        iwae(decode, mu, logvar + 0.5, target, SIGMA, k=1, generator=generator) for _ in range(3)
    ]
    joint = iwae(decode, mu, logvar + 0.5, target, SIGMA, k=3, generator=seeded())
    torch.testing.assert_close(joint, (sum(each.exp() for each in single) / 3).log())


def test_the_bound_rises_with_the_samples_towards_log_p() -> None:
    """Means over 4,000 draws for one image, with a posterior that is off."""
    target = images(1)
    mu, logvar = (each.repeat(4000, 1) for each in posterior(target))
    means = [
        float(
            iwae(decode, mu + 0.1, logvar + 1, target.repeat(4000, 1, 1, 1), SIGMA, k=k,
                 generator=seeded()).mean()
        )
        for k in (1, 5, 50)
    ]  # fmt: skip
    exact = float(log_evidence(target))
    assert means[0] + 0.3 < means[1] < means[2] < exact + 0.02
    assert means[2] > exact - 0.1


def test_float32_models_and_extreme_images_stay_finite() -> None:
    target = images().float()
    found = iwae(decode, torch.full((5, 2), 30.0), torch.zeros(5, 2), target, 1e-3, k=4)
    assert found.dtype == torch.float64 and found.isfinite().all() and (found < -1e6).all()


def test_bad_arguments_are_refused() -> None:
    target, zeros = images(), torch.zeros(5, 2)
    with pytest.raises(ValueError, match="k is 0; pass a positive number"):
        iwae(decode, zeros, zeros, target, SIGMA, k=0)
    with pytest.raises(ValueError, match="pass one mean and one log-variance for each image"):
        iwae(decode, zeros[:4], zeros[:4], target, SIGMA)
    with pytest.raises(ValueError, match=r"sigma is 0\.0"):
        iwae(decode, zeros, zeros, target, 0.0)


def test_the_signature_names_the_samples() -> None:
    assert "|k=50|" in iwae_signature() and "|k=5|" in iwae_signature(5)
    assert math.isfinite(float(iwae(decode, *posterior(images()), images(), SIGMA).mean()))
