import math

import pytest
import torch
from torch.distributions import Normal

from harness import components
from harness.metrics import likelihood


def test_unit_sigma_golden(pattern) -> None:
    target, recon = pattern(2, 3, 64, 64)
    sse = (recon.double() - target.double()).square().sum((1, 2, 3))
    values = likelihood.gaussian_nll(sse, 3 * 64 * 64, 1.0)
    assert values.tolist() == pytest.approx([11307.1937, 11307.2897], abs=1e-4)


def test_optimal_sigma_golden(pattern) -> None:
    target, recon = pattern(2, 3, 64, 64)
    sse = (recon.double() - target.double()).square().sum((1, 2, 3))
    sigma = likelihood.optimal_sigma(float(sse.sum()), target.numel())
    assert sigma == pytest.approx(0.0499430, abs=1e-7)
    nll = likelihood.gaussian_nll(sse, 3 * 64 * 64, sigma).mean()
    assert float(nll) == pytest.approx(-19389.66, abs=0.01)


def test_equals_torch_distributions() -> None:
    target, recon = torch.rand(2, 3, 2, 5, 5, dtype=torch.float64, generator=_generator())
    sse = (recon - target).square().sum((1, 2, 3))
    expected = -Normal(recon, 0.3).log_prob(target).sum((1, 2, 3))
    torch.testing.assert_close(likelihood.gaussian_nll(sse, 50, 0.3), expected)


def test_optimal_sigma_is_where_the_likelihood_peaks() -> None:
    sse = torch.tensor([3.0, 5.0])
    best = likelihood.optimal_sigma(8.0, 200)
    at_best = likelihood.gaussian_nll(sse, 100, best).sum()
    for sigma in (0.99 * best, 1.01 * best):
        assert likelihood.gaussian_nll(sse, 100, sigma).sum() > at_best


def test_elbo_subtracts_the_divergence() -> None:
    values = likelihood.elbo_sigma(torch.tensor([2.0]), torch.tensor([7.0]), 4, 0.5)
    by_hand = -(2 * math.log(2 * math.pi * 0.25) + 2.0 / 0.5 + 7.0)
    assert values.tolist() == pytest.approx([by_hand])
    assert values.dtype == torch.float64


def test_a_perfect_reconstruction_has_a_finite_elbo() -> None:
    sigma = likelihood.optimal_sigma(0.0, 10)
    assert sigma == pytest.approx(1 / 255 / 12**0.5)
    assert torch.isfinite(likelihood.elbo_sigma(torch.zeros(1), torch.zeros(1), 10, sigma)).all()


def test_nan_is_handed_on() -> None:
    sigma = likelihood.optimal_sigma(math.nan, 10)
    assert math.isnan(sigma)
    assert likelihood.gaussian_nll(torch.ones(1), 10, sigma).isnan().all()


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match=r"sigma is 0\.0"):
        likelihood.gaussian_nll(torch.ones(1), 10, 0.0)
    with pytest.raises(ValueError, match="number of values is 0"):
        likelihood.optimal_sigma(1.0, 0)


def test_bits_per_dim_by_hand() -> None:
    nats = torch.tensor([0.0, 12 * math.log(2), -6 * math.log(2)])
    found = likelihood.bits_per_dim(nats, 12)
    assert found.tolist() == pytest.approx([0.0, 1.0, -0.5]) and found.dtype == torch.float64
    with pytest.raises(ValueError, match="d is 0; pass pixels times channels"):
        likelihood.bits_per_dim(nats, 0)


def test_elbo_bpd_is_near_the_code_length_of_8_bit_values() -> None:
    """A flat density needs 8 bits; a Gaussian about those of the steps that it covers."""
    assert likelihood.elbo_bpd(torch.zeros(1), 48).tolist() == [8.0]
    values = torch.arange(48, dtype=torch.float64) + 100  # the 8-bit value n covers n to n + 1
    mean, sigma, kl = 0.5, 0.1, 7.0
    x = (values + 0.5) / 256
    elbo = likelihood.elbo_sigma((x - mean).square().sum()[None], torch.tensor([kl]), 48, sigma)
    normal = Normal(mean, sigma)
    mass = normal.cdf((values + 1) / 256) - normal.cdf(values / 256)
    bits = (kl / math.log(2) - mass.log2().sum()) / 48
    assert float(likelihood.elbo_bpd(elbo, 48)) == pytest.approx(float(bits), abs=1e-3)


@pytest.mark.parametrize("name", ["l2", "ssim", "l2 + sigma"])
def test_the_papers_form_of_an_ordinary_decoder(pattern, name: str) -> None:
    """Half the squared error on [-1, 1], the sheet's values, plus the divergence."""
    target, recon = pattern(2, 3, 64, 64)
    loss = components.build_loss(components.resolve_loss(name), (3, 64, 64), 4)
    kl = torch.tensor([10.0, 20.0])
    found = likelihood.nll_paper(loss, recon, target, torch.zeros(2, 4), kl)
    assert found.tolist() == pytest.approx([71.1079, 81.4920], abs=1e-4)
    assert found.dtype == torch.float64
    assert likelihood.nll_paper_signature(loss).endswith("|sigma=1")


@pytest.mark.parametrize("name", ["blur[kernel=gaussian]", "0.5*blur[kernel=gaussian] + l1"])
def test_the_papers_form_of_blur(pattern, name: str) -> None:
    """The sheet's quadratic term at variance 2 and C = 0.025, and three times its determinant."""
    target, recon = pattern(2, 3, 64, 64)
    loss = components.build_loss(components.resolve_loss(name), (3, 64, 64), 4)
    kl = torch.tensor([10.0, 20.0])
    found = likelihood.nll_paper(loss, recon, target, torch.zeros(2, 4), kl)
    expected = [105.3096 - 3 * 2370.77 + 10, 106.0184 - 3 * 2370.77 + 20]
    assert found.tolist() == pytest.approx(expected, abs=0.02)
    signature = likelihood.nll_paper_signature(loss)
    assert "never comparable across likelihoods" in signature
    assert signature.endswith("|wiener|C=0.025|kernels=fixed|eps=0.5")


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)
