"""The continuous Bernoulli against its goldens, quadrature, other software and long doubles."""

import numpy as np
import pytest
import torch
from patterns import pattern
from scipy.integrate import quad

import losses
from losses.pointwise import log_sinhc

LATENT = torch.zeros(1, 4)


def pixels(values):
    return torch.as_tensor(values, dtype=torch.float64).reshape(1, 1, 1, -1)


def energy(name, target, recon, logits=None):
    loss = losses.build(name)
    return loss(pixels(recon), pixels(target), LATENT, logits=logits).item()


@pytest.mark.parametrize(
    ("p", "golden"), [(0.001, 1.934502), (0.1, 1.010339), (0.3, 0.750588), (0.5, 0.693147)]
)
def test_the_log_normaliser_is_the_sheets(p, golden):
    for probability in (p, 1 - p):
        difference = energy("ce", 0.3, probability) - energy(
            "continuous-bernoulli", 0.3, probability
        )
        assert difference == pytest.approx(golden, abs=6e-7)


@pytest.mark.parametrize("logit", [-30.0, -3.0, -0.2, 0.0, 1e-6, 0.2499, 0.2501, 1.0, 12.0])
def test_it_is_a_density_on_the_unit_interval(logit):
    loss = losses.build("continuous-bernoulli")

    def density(x):
        return loss(pixels(0.5), pixels(x), LATENT, logits=pixels(logit)).neg().exp().item()

    assert quad(density, 0, 1, epsabs=1e-12)[0] == pytest.approx(1, abs=1e-10)


def test_it_equals_torchs_distribution():
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(2, 3, 8, 8, generator=generator, dtype=torch.float64)
    logits = 6 * torch.randn(2, 3, 8, 8, generator=generator, dtype=torch.float64)
    logits = torch.where(logits.abs() < 0.1, 0.1, logits)  # theirs is a short series there
    theirs = torch.distributions.ContinuousBernoulli(logits=logits).log_prob(x)
    loss = losses.build("continuous-bernoulli")
    given = loss(torch.zeros_like(x), x, LATENT, logits=logits)
    assert torch.allclose(given, -theirs.flatten(1).sum(1), rtol=1e-10)
    from_recon = loss(logits.clamp(-9, 9).sigmoid(), x, LATENT)
    assert torch.allclose(from_recon, loss(x, x, LATENT, logits=logits.clamp(-9, 9)), rtol=1e-10)


def test_the_pattern():
    x, y = (v.double() for v in pattern(2, 3, 64, 64))
    p = y.clamp(1e-7, 1 - 1e-7)
    constant = torch.log(2 * torch.atanh(1 - 2 * p) / (1 - 2 * p)).flatten(1).sum(1)
    expected = torch.tensor([4927.41, 4927.82], dtype=torch.float64) - constant
    ours = losses.build("continuous-bernoulli")(y, x, LATENT)
    assert torch.allclose(ours, expected, atol=0.01)


def test_log_sinhc_is_exact_across_the_cut():
    h = np.concatenate([np.geomspace(1e-9, 0.12499999, 50), np.geomspace(0.125, 700, 50)])
    exact = np.log(np.sinh(h.astype(np.longdouble)) / h).astype(float)
    ours = log_sinhc(torch.from_numpy(np.concatenate([h, -h]))).numpy()
    np.testing.assert_allclose(ours, np.concatenate([exact, exact]), rtol=1e-12, atol=3e-16)


def test_the_gradient_is_mean_minus_target_everywhere():
    values = [-1000.0, -40.0, -3.0, -0.26, -0.24, -1e-4, 0.0, 1e-4, 0.24, 0.26, 3.0, 1000.0]
    logits = pixels(values).requires_grad_()
    losses.build("continuous-bernoulli")(
        logits.detach().sigmoid(), pixels([0.3] * len(values)), LATENT, logits=logits
    ).sum().backward()
    half = np.array(values, dtype=np.longdouble) / 2
    with np.errstate(all="ignore"):
        langevin = np.where(np.abs(half) < 1e-3, half / 3, 1 / np.tanh(half) - 1 / half)
    expected = (0.5 + langevin / 2 - 0.3).astype(float)
    np.testing.assert_allclose(logits.grad.flatten().numpy(), expected, rtol=1e-10)


def test_it_stays_finite_where_the_sigmoid_is_full():
    for dtype in (torch.float32, torch.float64):
        x = torch.tensor([[[[1.0, 0.0, 1.0, 0.0]]]], dtype=dtype)
        logits = torch.tensor([[[[1e3, -1e3, -1e3, 1e3]]]], dtype=dtype, requires_grad=True)
        value = losses.build("continuous-bernoulli")(x, x, LATENT, logits=logits)
        value.sum().backward()
        assert value.item() == pytest.approx(2000 - 4 * np.log(1000), rel=1e-6)
        assert logits.grad.flatten().tolist() == pytest.approx([-1e-3, 1e-3, -1, 1], abs=2e-3)


def test_the_best_parameter_has_the_target_as_its_mean():
    logits = torch.linspace(0.001, 12, 20001, dtype=torch.float64)
    x = torch.full((20001, 1, 1, 1), 0.7, dtype=torch.float64)
    loss = losses.build("continuous-bernoulli")
    best = logits[loss(x, x, LATENT, logits=logits.reshape(-1, 1, 1, 1)).argmin()]
    p = best.sigmoid().item()
    assert p > 0.9
    assert p / (2 * p - 1) + 1 / (2 * np.arctanh(1 - 2 * p)) == pytest.approx(0.7, abs=1e-4)
