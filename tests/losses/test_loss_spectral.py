"""Losses on the whole image's spectrum, against the sheet and slow transcriptions."""

import math

import numpy as np
import pytest
import torch
from patterns import pattern

import losses
from losses.options import InvalidOption

LATENT = torch.zeros(4, 4)
SIZES = [(3, 12, 10), (1, 9, 14), (2, 11, 7)]


def images(shape, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x, y = torch.rand(2, 2, *shape, generator=generator, dtype=dtype)
    return x, 0.7 * x + 0.3 * y


def energy(name, x, y, **options):
    return losses.build(name, image_shape=tuple(x.shape[1:]), **options)(y, x, LATENT)


def numpy_spectra(x, y, **settings):
    return (np.fft.fft2(v.numpy(), **settings) for v in (x, y))


def angles(spectrum):
    """Return phases, pi where rounding leaves a negative real number on either side of -pi."""
    imaginary = np.where(np.abs(spectrum.imag) < 1e-12, 0.0, spectrum.imag)
    return np.arctan2(imaginary, spectrum.real)


def round_the_circle(angle):
    return np.abs((angle + np.pi) % (2 * np.pi) - np.pi)


@pytest.mark.parametrize("shape", SIZES)
def test_spectral_is_the_sum_over_the_full_plane(shape):
    x, y = images(shape)
    X, Y = numpy_spectra(x, y, norm="ortho")
    complex_modulus = np.abs(Y - X).sum((1, 2, 3))
    logarithms = np.abs(np.log(1 + np.abs(Y)) - np.log(1 + np.abs(X))).sum((1, 2, 3))
    assert energy("spectral", x, y).tolist() == pytest.approx(complex_modulus, rel=1e-12)
    assert energy("spectral", x, y, variant="log-amplitude").tolist() == pytest.approx(
        logarithms, rel=1e-12
    )


def test_spectral_of_one_wave_by_hand():
    # a cosine of amplitude a over D pixels has two bins of a sqrt(D) / 2
    x = torch.zeros(1, 1, 8, 16, dtype=torch.float64)
    y = x + 0.2 * torch.cos(2 * math.pi * 3 * torch.arange(16, dtype=torch.float64) / 16)
    assert energy("spectral", x, y).item() == pytest.approx(0.2 * math.sqrt(8 * 16))
    x = torch.full_like(x, 0.5)
    assert energy("spectral", x, x - 0.25).item() == pytest.approx(0.25 * math.sqrt(8 * 16))


def test_log_amplitude_is_blind_to_shifts_and_the_complex_variant_is_not():
    x, _ = images((3, 12, 10))
    moved = x.roll((2, 3), (2, 3))
    assert energy("spectral", x, moved, variant="log-amplitude").max() < 1e-10
    assert energy("spectral", x, moved).min() > 1


def test_fourier_golden():
    x, y = (v.double() for v in pattern(2, 3, 64, 64))
    value = energy("fourier", x, y).mean().item() / (3 * 64 * 64)
    assert value == pytest.approx((0.1015936 + 1.183382) / 2, rel=1e-6)


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("window", [True, False])
@pytest.mark.parametrize("wrapped", [True, False])
def test_fourier_is_the_mean_over_the_full_plane(shape, window, wrapped):
    x, y = images(shape)
    taper = torch.ones(shape[1:], dtype=torch.float64)
    if window:
        m, n = (torch.arange(side, dtype=torch.float64) / side for side in shape[1:])
        rows, columns = (1 - torch.cos(2 * math.pi * v) for v in (m, n))
        taper = rows[:, None] * columns / 4
    X, Y = numpy_spectra(x * taper, y * taper)
    amplitude = np.abs(np.abs(Y) - np.abs(X)).mean((1, 2, 3))
    angle = angles(Y) - angles(X)
    phase = (round_the_circle(angle) if wrapped else np.abs(angle)).mean((1, 2, 3))
    expected = math.prod(shape) * (amplitude + phase) / 2
    found = energy("fourier", x, y, window=window, wrapped=wrapped)
    assert found.tolist() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("shape", [(3, 12, 10), (1, 8, 9)])
def test_fourier_on_the_literal_half(shape):
    x, y = images(shape)
    X, Y = numpy_spectra(x, y)
    error = np.abs(np.abs(Y) - np.abs(X)) + round_the_circle(np.angle(Y) - np.angle(X))
    _, U, V = shape
    expected = math.prod(shape) / 2 * 2 / (U * V) * error[:, :, : U // 2].sum((2, 3)).mean(1)
    found = energy("fourier", x, y, window=False, plane="half")
    assert found.tolist() == pytest.approx(expected, rel=1e-9)


def test_fourier_phase_of_a_shift_by_hand():
    # unwindowed, a shift by one pixel turns bin v by 2 pi v / 8: mean of 0 1 2 3 4 3 2 1 pi/4
    x, _ = images((1, 4, 8))
    found = energy("fourier", x, x.roll(1, 3), window=False) / (4 * 8)
    assert found.tolist() == pytest.approx([math.pi / 4] * 2)


def dft_by_numpy(x, y, phase, amplitude):
    _, _, height, width = x.shape
    columns = width // 2 + 1
    X, Y = (F[..., :columns] for F in numpy_spectra(x, y))
    fy, fx = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)
    weight = np.sqrt(fy**2 + fx**2) / np.sqrt(0.5)
    error = phase * round_the_circle(np.angle(Y) - np.angle(X))
    return ((error + amplitude * np.abs(np.abs(Y) - np.abs(X))) * weight).sum((1, 2, 3))


@pytest.mark.parametrize("shape", [(3, 12, 14), (1, 13, 11)])
def test_dft_is_ssim_and_one_window(shape):
    x, y = images(shape)
    frequency = dft_by_numpy(x, y, 0.8, 0.3)
    expected = energy("ssim", x, y).numpy() + 0.05 * frequency
    found = energy("dft", x, y, phase=0.8, amplitude=0.3, lambda_freq=0.05)
    assert found.tolist() == pytest.approx(expected, rel=1e-6)


def test_dft_is_stft_with_one_window_of_the_images_size():
    x, y = images((3, 16, 16))
    stft = energy("stft", x, y, window=16, hann=False, lambda_freq=0.1)
    assert torch.allclose(energy("dft", x, y, lambda_freq=0.1), stft, rtol=1e-12)


CASES = [
    ("spectral", {}),
    ("spectral", {"variant": "log-amplitude"}),
    ("fourier", {}),
    ("fourier", {"window": False, "wrapped": False, "plane": "half"}),
    ("dft", {"ssim_window": 5, "lambda_freq": 0.1}),
]


@pytest.mark.parametrize(("name", "options"), CASES)
def test_gradcheck(name, options):
    x, y = (v[:1] for v in images((1, 6, 7)))
    loss = losses.build(name, image_shape=(1, 6, 7), **options)
    assert torch.autograd.gradcheck(lambda v: loss(v, x, LATENT), (y.requires_grad_(),))


@pytest.mark.parametrize(("name", "options"), CASES)
def test_identical_images_cost_nothing_and_pull_nowhere(name, options):
    x, _ = images((3, 12, 12), torch.float32)
    x[1] = 0.25
    recon = x.clone().requires_grad_()
    loss = losses.build(name, image_shape=(3, 12, 12), **options)
    value = loss(recon, x, LATENT)
    value.sum().backward()
    assert value.abs().max() < 1e-4
    assert recon.grad.abs().max() < 1e-3


@pytest.mark.parametrize(("name", "options"), CASES)
@pytest.mark.parametrize("target", [0.0, 0.3, 1.0])
def test_flat_and_vanishing_images_leave_gradients_finite(name, options, target):
    x = torch.full((3, 1, 12, 12), target)
    recon = torch.stack([torch.zeros_like(x[0]), torch.full_like(x[0], 1e-30), x[0] / 2])
    recon.requires_grad_()
    losses.build(name, image_shape=(1, 12, 12), **options)(recon, x, LATENT).sum().backward()
    assert recon.grad.isfinite().all()


@pytest.mark.parametrize(("name", "options"), CASES)
def test_an_image_does_not_see_its_batch_mates(name, options):
    x, y = images((3, 12, 10))
    loss = losses.build(name, image_shape=(3, 12, 10), **options)
    alone = torch.cat([loss(y[i : i + 1], x[i : i + 1], LATENT) for i in range(2)])
    assert torch.allclose(loss(y, x, LATENT), alone, rtol=1e-12)


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("spectral", {"variant": "power"}, "'complex' or 'log-amplitude'"),
        ("fourier", {"plane": "quarter"}, "'full' or 'half'"),
        ("dft", {"phase": -1.0}, "phase is -1.0"),
        ("dft", {"amplitude": math.nan}, "amplitude is nan"),
        ("dft", {"lambda_freq": 0.0}, "lambda_freq is 0.0"),
        ("dft", {"ssim_window": 13}, "ssim_window is 13"),
        ("dft", {"ssim_window": 4}, "ssim_window is 4"),
    ],
)
def test_bad_options(name, options, words):
    with pytest.raises(InvalidOption, match=words):
        losses.build(name, image_shape=(3, 12, 12), **options)


@pytest.mark.parametrize("name", ["fourier", "dft"])
def test_images_of_another_shape_are_refused(name):
    x, y = images((3, 12, 14))
    with pytest.raises(InvalidOption, match="built for images"):
        losses.build(name, image_shape=(3, 14, 12))(y, x, LATENT)
