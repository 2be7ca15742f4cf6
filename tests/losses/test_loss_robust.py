"""Charbonnier, log-cosh and Student's t against goldens, SciPy and their limits."""

import math

import numpy as np
import pytest
import torch
from patterns import pattern
from scipy import stats
from scipy.integrate import quad

import losses
from losses.options import InvalidOption
from losses.robust import log_cosh

SHAPE = (3, 64, 64)
D = math.prod(SHAPE)
LATENT = torch.zeros(2, 4)


def energies(name, target, recon, **options):
    return losses.build(name, **options)(recon, target, LATENT).detach()


@pytest.mark.parametrize(("name", "golden"), [("charbonnier", 0.0405167), ("log-cosh", 0.0114793)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_goldens(name, golden, dtype):
    x, y = (v.to(dtype) for v in pattern(2, *SHAPE))
    assert energies(name, x, y).mean().item() / D == pytest.approx(golden, abs=6e-8)


def test_charbonnier_lies_between_l1_and_its_constant_above():
    x, y = (v.double() for v in pattern(2, *SHAPE))
    l1 = energies("l1", x, y)
    assert (energies("charbonnier", x, y) > l1).all()
    assert torch.allclose(energies("charbonnier", x, y, eps=1e-9), l1)
    assert energies("charbonnier", x, x, eps=0.01).tolist() == pytest.approx([0.01 * D] * 2)


def test_charbonnier_far_inside_is_a_parabola():
    x, y = (v.double() for v in pattern(2, 1, 8, 8))
    eps = 1e3
    above = energies("charbonnier", x, y, eps=eps) - 64 * eps
    assert torch.allclose(above * eps, energies("l2", x, y), rtol=1e-4)


def test_log_cosh_is_exact_for_small_and_large_arguments():
    u = np.concatenate([np.geomspace(1e-9, 19.99, 60), np.geomspace(20, 5000, 30)])
    exact = np.log(np.cosh(u.astype(np.longdouble)))
    small = u < 0.02  # where the long double's own log(cosh) loses digits
    v = u[small].astype(np.longdouble) ** 2
    exact[small] = v / 2 - v**2 / 12 + v**3 / 45 - 17 * v**4 / 2520
    for dtype, tolerance in ((torch.float64, 1e-14), (torch.float32, 1e-6)):
        ours = log_cosh(torch.from_numpy(np.concatenate([u, -u])).to(dtype)).double().numpy()
        expected = np.concatenate([exact, exact]).astype(float)
        np.testing.assert_allclose(ours, expected, rtol=tolerance)


def test_the_gradient_of_log_cosh_is_tanh_and_finite_at_any_argument():
    u = torch.tensor([-1e30, -1e3, -20.0, -2.0, 0.0, 1e-5, 3.0, 1e3, 1e30], requires_grad=True)
    log_cosh(u).sum().backward()
    assert torch.allclose(u.grad, u.detach().tanh())


def test_log_cosh_tends_to_l1_and_to_l2():
    x, y = (v.double() for v in pattern(2, *SHAPE))
    assert torch.allclose(energies("log-cosh", x, y, a=1e7), energies("l1", x, y), rtol=1e-4)
    flat = energies("log-cosh", x, y, a=1e-3) / 1e-3
    assert torch.allclose(flat, energies("l2", x, y), rtol=1e-5)


@pytest.mark.parametrize("options", [{}, {"nu": 1.0, "init": 0.5}, {"nu": 30, "floor": None}])
def test_student_t_is_scipys(options):
    x, y = (v.double() for v in pattern(2, 3, 16, 16))
    loss = losses.build("student-t", **options)
    floor = options.get("floor", -6.0)
    scale = math.exp(loss.log_scale.item()) + (0 if floor is None else math.exp(floor))
    assert scale == pytest.approx(options.get("init", 0.1), abs=0.003)
    log_density = stats.t.logpdf((y - x).numpy(), options.get("nu", 3.0), scale=scale)
    expected = -log_density.reshape(2, -1).sum(1)
    assert loss(y, x, LATENT).tolist() == pytest.approx(expected.tolist(), rel=1e-12)


def test_student_t_is_a_density():
    loss = losses.build("student-t", init=0.3).double()
    y = torch.full((1, 1, 1, 1), 0.4, dtype=torch.float64)

    def density(x):
        return loss(y, torch.full_like(y, x), LATENT).neg().exp().item()

    assert quad(density, -np.inf, np.inf)[0] == pytest.approx(1, abs=1e-8)


def test_student_t_tends_to_the_gaussian():
    x, y = (v.double() for v in pattern(2, *SHAPE))
    ours = energies("student-t", x, y, nu=1e7, init=1.0, floor=None)
    assert ours.tolist() == pytest.approx([11307.1937, 11307.2897], abs=0.02)


def test_the_scale_is_learned_to_its_maximum_likelihood():
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(8, 1, 16, 16, generator=generator)
    noise = 0.02 * np.random.default_rng(0).standard_t(3, x.shape).astype(np.float32)
    y = x + torch.from_numpy(noise)
    _, _, fitted = stats.t.fit(noise.ravel(), fdf=3, floc=0)
    loss = losses.build("student-t")
    groups = loss.main_groups()
    assert [group["lr"] for group in groups] == [1e-2]
    optimiser = torch.optim.Adam(groups)
    for _ in range(400):
        optimiser.zero_grad()
        loss(y, x, LATENT).mean().backward()
        optimiser.step()
    assert math.exp(loss.log_scale.item()) + math.exp(-6) == pytest.approx(fitted, rel=0.01)


def test_a_perfect_reconstruction_costs_a_finite_number():
    x, _ = pattern(2, 3, 16, 16)
    loss = losses.build("student-t")
    with torch.no_grad():
        loss.log_scale.fill_(-200.0)
    value = loss(x, x, LATENT)
    value.sum().backward()
    expected = -768 * stats.t.logpdf(0, 3, scale=math.exp(-6))
    assert value.tolist() == pytest.approx([expected] * 2, rel=1e-5)
    assert loss.log_scale.grad.isfinite()


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("charbonnier", {"eps": 0.0}, "eps is 0.0; give a finite number from 1e-12"),
        ("charbonnier", {"eps": math.inf}, "eps is inf"),
        ("log-cosh", {"a": -1.0}, "a is -1.0; give a positive finite number"),
        ("student-t", {"nu": 0.0}, "nu is 0.0; give degrees of freedom"),
        ("student-t", {"init": math.nan}, "init is nan"),
        (
            "student-t",
            {"floor": math.inf},
            "floor is inf; give a log scale from -50",
        ),
    ],
)
def test_bad_options(name, options, message):
    with pytest.raises(InvalidOption, match=message):
        losses.build(name, **options)


def test_the_smallest_eps_has_finite_gradients_at_identical_images():
    x = torch.zeros(1, 1, 4, 4)
    y = x.clone().requires_grad_()
    losses.build("charbonnier", eps=1e-12)(y, x, LATENT).sum().backward()
    assert torch.equal(y.grad, torch.zeros_like(y))
