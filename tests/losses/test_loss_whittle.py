"""The fixed-spectrum Gaussian against dense Gaussians and its running mean by hand."""

import copy
import math

import numpy as np
import pytest
import torch
from patterns import pattern
from scipy.linalg import dft
from scipy.stats import multivariate_normal

import losses
from losses.options import InvalidOption


def noise(shape, n=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(2, n, *shape, generator=generator, dtype=torch.float64)


def make(shape, **options):
    return losses.build("fixed-spectrum", image_shape=shape, **options)


def coloured(n, shape, rng):
    """Smooth errors, `(n, *shape)`."""
    errors = rng.normal(size=(n, *shape))
    frequency = np.hypot(*np.meshgrid(*(np.fft.fftfreq(s) for s in shape[1:]), indexing="ij"))
    spectrum = np.fft.fft2(errors) * np.exp(-6 * frequency)
    return torch.from_numpy(0.1 * np.fft.ifft2(spectrum).real)


def full_plane(half, width):
    """Return the variances of all frequencies from those of the half plane."""
    channels, height, _ = half.shape
    full = np.empty((channels, height, width))
    for v in range(height):
        for u in range(width):
            seen = (v, u) if u <= width // 2 else (-v % height, width - u)
            full[:, v, u] = half[:, seen[0], seen[1]]
    return full


@pytest.mark.parametrize("shape", [(1, 4, 4), (2, 3, 5), (2, 4, 3), (1, 1, 6)])
def test_it_is_the_dense_gaussian(shape):
    channels, height, width = shape
    loss = make(shape, floor=None)
    history, _ = noise(shape, n=20)
    zeros = torch.zeros_like(history)
    loss(history, zeros, None)
    loss.eval()
    x, y = noise(shape, seed=1)
    fourier = np.kron(dft(height, scale="sqrtn"), dft(width, scale="sqrtn"))
    variances = full_plane(loss.spectrum.double().numpy(), width)
    expected = np.zeros(3)
    for channel in range(channels):
        covariance = fourier.conj().T @ np.diag(variances[channel].ravel()) @ fourier
        assert np.abs(covariance.imag).max() < 1e-7
        error = (y - x)[:, channel].flatten(1).numpy()
        expected -= multivariate_normal.logpdf(error, cov=covariance.real)
    # the float32 spectrum is symmetric to seven digits only
    assert loss(y, x, None).tolist() == pytest.approx(expected.tolist(), rel=2e-6)


def test_a_white_spectrum_is_the_plain_gaussian():
    x, y = pattern(2, 3, 64, 64)
    ours = make((3, 64, 64), init=1.0, floor=None)(y, x, None)
    assert ours.tolist() == pytest.approx([11307.1937, 11307.2897], rel=1e-6)
    half = make((3, 64, 63), init=0.25, floor=None)(y[..., :63], x[..., :63], None)
    error = (y - x)[..., :63].double().flatten(1)
    expected = 2 * error.square().sum(1) + error.shape[1] / 2 * math.log(2 * math.pi * 0.25)
    assert torch.allclose(half.double(), expected, rtol=1e-6)


def test_the_floor_is_white_noise_added():
    x, y = (v.float() for v in noise((1, 8, 8)))
    with_floor = make((1, 8, 8), init=0.04, floor=math.log(0.1))(y, x, None)
    assert torch.allclose(with_floor, make((1, 8, 8), init=0.05, floor=None)(y, x, None))


def test_a_batch_enters_after_it_is_scored():
    loss, fresh = make((2, 6, 5)), make((2, 6, 5)).eval()
    x, y = noise((2, 6, 5))
    first = loss(y, x, None)
    assert torch.equal(first, fresh(y, x, None))
    assert not torch.allclose(loss(y, x, None), first)
    # in training too, an image costs the same among other images
    alone, among = copy.deepcopy(loss), copy.deepcopy(loss)
    assert torch.allclose(alone(y[:1], x[:1], None), among(y, x, None)[:1], rtol=1e-12)


def test_the_running_mean_by_hand():
    loss = make((1, 4, 4), decay=0.6)
    powers, expected = [], None
    for step in range(1, 6):
        x, y = noise((1, 4, 4), n=2, seed=step)
        powers.append(np.abs(np.fft.rfft2((y - x).numpy()) / 4) ** 2)
        loss(y, x, None)
        now = powers[-1].mean(0)
        rate = max(1 / step, 0.4)
        expected = now if expected is None else (1 - rate) * expected + rate * now
        np.testing.assert_allclose(loss.spectrum, expected, rtol=1e-5)
        if step == 2:
            np.testing.assert_allclose(loss.spectrum, np.mean(powers, axis=(0, 1)), rtol=1e-5)


def test_evaluation_learns_nothing():
    loss = make((1, 8, 8)).eval()
    before = copy.deepcopy(loss.state_dict())
    x, y = noise((1, 8, 8))
    loss(y, x, None)
    assert all(torch.equal(before[name], value) for name, value in loss.state_dict().items())


def test_the_state_carries_the_spectrum():
    loss, other = make((1, 8, 8)), make((1, 8, 8))
    x, y = noise((1, 8, 8))
    loss(y, x, None)
    other.load_state_dict(loss.state_dict())
    for _ in range(2):  # the second value also depends on the count of batches
        assert torch.equal(loss(y, x, None), other(y, x, None))
    assert set(loss.state_dict()) == {"spectrum", "batches"}


def test_the_spectrum_found_beats_the_best_white_one_on_coloured_errors():
    rng = np.random.default_rng(0)
    shape = (1, 16, 16)
    loss = make(shape)
    for _ in range(20):
        errors = coloured(32, shape, rng)
        loss(errors, torch.zeros_like(errors), None)
    held_out = coloured(64, shape, rng)
    ours = loss.eval()(held_out, torch.zeros_like(held_out), None).mean()
    sigma = losses.build("sigma", shared=True, floor=None)
    white = sigma(held_out, torch.zeros_like(held_out), None).mean()
    assert ours < white - 50


def test_on_white_errors_it_costs_what_they_cost():
    generator = torch.Generator().manual_seed(0)
    errors = 0.1 * torch.randn(4000, 1, 8, 8, generator=generator, dtype=torch.float64)
    loss = make((1, 8, 8), floor=None)
    loss(errors[:3500], torch.zeros_like(errors[:3500]), None)
    ours = loss.eval()(errors[3500:], torch.zeros_like(errors[3500:]), None).mean()
    entropy = 64 / 2 * math.log(2 * math.pi * math.e * 0.01)
    assert ours.item() == pytest.approx(entropy, abs=1.0)


def test_gradients_with_the_spectrum_held():
    loss = make((2, 5, 6))
    x, y = noise((2, 5, 6))
    loss(y, x, None)
    loss.eval()
    y.requires_grad_()
    assert torch.autograd.gradcheck(lambda v: loss(v, x, None), (y,))


def test_learning_does_not_disturb_the_gradient_of_the_step():
    x, y = noise((1, 6, 6))
    learning, held = make((1, 6, 6)), make((1, 6, 6)).eval()
    grads = []
    for loss in (learning, held):
        recon = y.clone().requires_grad_()
        loss(recon, x, None).sum().backward()
        grads.append(recon.grad)
    assert torch.equal(*grads)


def test_perfect_reconstructions_cost_a_finite_number():
    x, _ = noise((1, 8, 8))
    loss = make((1, 8, 8))
    for _ in range(3):
        value = loss(x, x, None)
    expected = 64 / 2 * math.log(2 * math.pi * math.exp(-12))
    assert value.tolist() == pytest.approx([expected] * 3, rel=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"decay": 1.0}, "decay is 1.0; give a number from 0 to under 1"),
        ({"decay": math.nan}, "decay is nan"),
        ({"init": 0.0}, "init is 0.0; give a positive number such as 0.01"),
        ({"floor": math.inf}, "floor is inf; give a log scale from -50 to 10, or none"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InvalidOption, match=message):
        make((1, 8, 8), **options)


def test_images_of_another_shape_are_refused():
    x, y = noise((1, 8, 8))
    with pytest.raises(InvalidOption, match="built for images"):
        make((1, 8, 9))(y, x, None)
