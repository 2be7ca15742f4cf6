"""The short-time Fourier loss, against the sheet and slow transcriptions of both its forms."""

import math

import numpy as np
import pytest
import torch
from patterns import pattern

import losses
from losses import pieces
from losses.options import InvalidOption

LATENT = torch.zeros(5, 4)
TERM_ALONE = {"base": "none", "lambda_freq": 1.0}
PHASE = TERM_ALONE | {"phase": 1.0, "amplitude": 0.0}
AMPLITUDE = TERM_ALONE | {"phase": 0.0, "amplitude": 1.0}
NO_EPS = {"eps": 1e-12}


def images(shape=(2, 13, 15), n=3, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x, y = torch.rand(2, n, *shape, generator=generator, dtype=dtype)
    return x, 0.7 * x + 0.3 * y


def energy(x, y, **options):
    return losses.build("stft", image_shape=tuple(x.shape[1:]), **options)(y, x, LATENT)


@pytest.mark.parametrize(
    ("options", "golden"),
    [
        (PHASE, [39.35664, 35.88961]),
        (AMPLITUDE, [8.620278, 9.602834]),
        (TERM_ALONE, [36.28300, 33.26094]),
    ],
)
def test_goldens_of_the_released_form(options, golden):
    x, y = pattern(2, 1, 28, 28)
    assert energy(x, y, variant="released", **options).tolist() == pytest.approx(golden, rel=1e-6)


@pytest.mark.parametrize(
    ("options", "golden"),
    [
        (PHASE, [510.5818, 501.3631]),
        (AMPLITUDE, [133.0827, 131.3068]),
        (PHASE | {"wrapped": False}, [661.197, 786.267]),
    ],
)
def test_goldens_of_the_papers_form(options, golden):
    x, y = (v.double() for v in pattern(2, 1, 28, 28))
    assert energy(x, y, **options, **NO_EPS).tolist() == pytest.approx(golden, rel=1e-6)


def round_the_circle(angle):
    return np.abs((angle + np.pi) % (2 * np.pi) - np.pi)


def windows(image, window, stride):
    height, width = image.shape
    for top in range(0, height - window + 1, stride):
        for left in range(0, width - window + 1, stride):
            yield image[top : top + window, left : left + window]


def by_numpy(x, y, window, stride, *, hann=True, wrapped=True, weighting="none", eps=1e-6):
    line = 1 - np.cos(2 * np.pi * np.arange(window) / window)
    taper = np.outer(line, line) / 4 if hann else 1.0
    fy, fx = np.meshgrid(np.fft.fftfreq(window), np.fft.rfftfreq(window), indexing="ij")
    weight = np.sqrt(fy**2 + fx**2) / np.sqrt(0.5)
    phase = amplitude = 0.0
    for plane_x, plane_y in zip(x, y, strict=True):
        pairs = zip(windows(plane_x, window, stride), windows(plane_y, window, stride), strict=True)
        for a, b in pairs:
            X, Y = (np.fft.fft2(v * taper)[:, : window // 2 + 1] for v in (a, b))
            error = np.angle(Y + eps) - np.angle(X + eps)
            error = round_the_circle(error) if wrapped else np.abs(error)
            factor = {"none": 1.0, "target": np.abs(X), "mask": np.abs(X) >= 1e-3}[weighting]
            phase += (weight * factor * error).sum()
            amplitude += (weight * np.abs(np.abs(Y) - np.abs(X))).sum()
    return 0.9 * phase + 0.1 * amplitude


@pytest.mark.parametrize(
    "options",
    [
        {"window": 8, "stride": 3},
        {"window": 5, "stride": 2},
        {"window": 13, "stride": 1},
        {"window": 8, "stride": 3, "hann": False},
        {"window": 8, "stride": 3, "wrapped": False},
        {"window": 8, "stride": 3, "phase_weighting": "target"},
        {"window": 8, "stride": 3, "phase_weighting": "mask"},
        {"window": 8, "stride": 3, "eps": 0.1},
    ],
    ids=str,
)
def test_the_papers_form_by_numpy(options):
    x, y = images()
    x[:, :, :8, :8] *= 1e-4  # nearly empty blocks for the mask
    named = {"phase_weighting": "weighting"}
    given = {named.get(key, key): value for key, value in options.items()}
    expected = [by_numpy(a, b, **given) for a, b in zip(x.numpy(), y.numpy(), strict=True)]
    assert energy(x, y, **TERM_ALONE, **options).tolist() == pytest.approx(expected, rel=1e-9)


def released_by_numpy(x, y, window, stride, eps=1e-6):
    """Follow the release: channels last, the transform over width and channels."""
    half = window // 2
    line = np.linspace(0, 1, half)
    total = 0.0
    for top in range(0, x.shape[1] - window + 1, stride):
        for left in range(0, x.shape[2] - window + 1, stride):
            box = np.s_[:, top : top + window, left : left + window]
            X, Y = (np.fft.fft2(v[box].transpose(1, 2, 0))[:half, :half] for v in (x, y))
            phase = np.abs(np.angle(Y + eps) - np.angle(X + eps))
            amplitude = np.abs(np.abs(Y) - np.abs(X))
            total += ((0.9 * phase + 0.1 * amplitude) * np.outer(line, line)[..., None]).sum()
    return total


@pytest.mark.parametrize("channels", [1, 3])
def test_the_released_form_by_numpy(channels):
    x, y = images((channels, 13, 15))
    expected = [released_by_numpy(a, b, 8, 3) for a, b in zip(x.numpy(), y.numpy(), strict=True)]
    found = energy(x, y, **TERM_ALONE, window=8, stride=3, variant="released")
    assert found.tolist() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("base", ["ssim", "l1", "l2", "ce"])
def test_the_base_is_the_loss_of_that_name(base):
    x, y = images((1, 20, 18))
    logits = y.clamp(0.1, 0.9).logit() + 0.5
    build = {"image_shape": (1, 20, 18)}
    pixel = losses.build(base, **build)(y, x, LATENT, logits=logits)
    term = energy(x, y, base="none")
    found = losses.build("stft", base=base, **build)(y, x, LATENT, logits=logits)
    assert torch.allclose(found, pixel + term, rtol=1e-12)


def test_ssim_by_default_and_lambda_freq_scales_the_term():
    x, y = images((3, 16, 20))
    pixel = losses.build("ssim", image_shape=(3, 16, 20))(y, x, LATENT)
    once, thrice = (energy(x, y, lambda_freq=factor) - pixel for factor in (0.1, 0.3))
    assert torch.allclose(thrice, 3 * once)


def test_the_default_weight_gives_the_share_of_the_release():
    x, y = (v.double() for v in pattern(2, 1, 28, 28))
    released = 0.0015 / 500 * 784 * energy(x, y, variant="released", **TERM_ALONE)
    ours = energy(x, y, base="none")
    assert ours.mean().item() == pytest.approx(released.mean().item(), rel=0.05)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"wrapped": False},
        {"phase_weighting": "target"},
        {"phase_weighting": "mask"},
        {"variant": "released"},
        {"base": "ce", "hann": False},
    ],
    ids=str,
)
def test_gradcheck(options):
    shape = (1, 6, 7)
    x, y = images(shape, n=1)
    base = {} if "base" in options else {"ssim_window": 5}
    options = {"window": 4, "stride": 2, "lambda_freq": 0.1} | base | options
    loss = losses.build("stft", image_shape=shape, **options)
    y = (0.1 + 0.8 * y).requires_grad_()
    assert torch.autograd.gradcheck(lambda v: loss(v, x, LATENT), (y,))


@pytest.mark.parametrize("values_on_cpu", [1, 2**40])
def test_pieces_change_neither_value_nor_gradient(monkeypatch, values_on_cpu):
    x, y = images((3, 20, 20), n=5)
    weights = torch.arange(1.0, 6.0, dtype=torch.float64)
    monkeypatch.setattr(pieces, "VALUES_ON_CPU", values_on_cpu)
    loss = losses.build("stft", image_shape=(3, 20, 20), **TERM_ALONE)
    recon = y.clone().requires_grad_()
    value = loss(recon, x, LATENT)
    (gradient,) = torch.autograd.grad(weights @ value, recon)
    whole = y.clone().requires_grad_()
    expected = loss._frequency_term(whole, x)
    assert torch.allclose(value, expected, rtol=1e-12)
    assert torch.allclose(gradient, torch.autograd.grad(weights @ expected, whole)[0], rtol=1e-9)
    with torch.no_grad():
        assert torch.allclose(loss(y, x, LATENT), expected, rtol=1e-12)


def test_a_target_that_wants_a_gradient_gets_it():
    x, y = images((1, 16, 16))
    x.requires_grad_()
    y.requires_grad_()
    energy(x, y, **AMPLITUDE).sum().backward()
    assert x.grad.abs().sum() > 0
    assert y.grad.abs().sum() > 0


def test_the_graph_reaches_what_made_the_reconstruction():
    x, y = images((1, 16, 16))
    scale = torch.ones((), dtype=torch.float64, requires_grad=True)
    energy(x, scale * y, **AMPLITUDE).sum().backward()
    step = 1e-6
    ahead, behind = (energy(x, (1 + s) * y, **AMPLITUDE).sum() for s in (step, -step))
    assert scale.grad.item() == pytest.approx(((ahead - behind) / (2 * step)).item(), rel=1e-5)


@pytest.mark.parametrize("weighting", ["none", "target", "mask"])
def test_identical_images_cost_nothing_and_pull_nowhere(weighting):
    x, _ = images((3, 20, 20), dtype=torch.float32)
    x[1] = 0.25
    recon = x.clone().requires_grad_()
    value = energy(x, recon, phase_weighting=weighting, base="l2")
    value.sum().backward()
    assert value.abs().max() == 0
    assert recon.grad.abs().max() == 0


def test_weighted_phases_ignore_empty_targets():
    x, y = torch.zeros(2, 1, 1, 16, 16, dtype=torch.float64)
    y[..., 4:9, 6] = 1
    assert energy(x, y, **PHASE).item() > 1
    for weighting in ("target", "mask"):
        assert energy(x, y, **PHASE, phase_weighting=weighting).item() == 0


@pytest.mark.parametrize("variant", ["paper", "released"])
@pytest.mark.parametrize("target", [0.0, 0.3, 1.0])
def test_flat_and_vanishing_images_leave_gradients_finite(variant, target):
    x = torch.full((3, 1, 16, 16), target)
    recon = torch.stack([torch.zeros_like(x[0]), torch.full_like(x[0], 1e-30), x[0] / 2])
    recon.requires_grad_()
    energy(x, recon, variant=variant).sum().backward()
    assert recon.grad.isfinite().all()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"window": 17}, "window is 17; give a number from 2 to the image's 16 pixels"),
        ({"window": 1}, "window is 1"),
        ({"window": 3, "variant": "released"}, "from 4 to"),
        ({"stride": 0}, "stride is 0"),
        ({"phase": -0.1}, "phase is -0.1"),
        ({"amplitude": math.inf}, "amplitude is inf"),
        ({"lambda_freq": -1.0}, "lambda_freq is -1.0"),
        ({"eps": 0.0}, "eps is 0.0"),
        ({"ssim_window": 17}, "ssim_window is 17"),
        ({"base": "psnr"}, "'ssim' or 'l1' or 'l2' or 'ce' or 'none'"),
        ({"phase_weighting": "all"}, "'none' or 'target' or 'mask'"),
    ],
)
def test_bad_options(options, words):
    with pytest.raises(InvalidOption, match=words):
        losses.build("stft", image_shape=(3, 16, 18), **options)


def test_images_of_another_shape_are_refused():
    x, y = images((3, 16, 18))
    with pytest.raises(InvalidOption, match="built for images"):
        losses.build("stft", image_shape=(3, 18, 16))(y, x, LATENT)


def test_small_images_need_a_small_ssim_window_unless_the_base_is_another():
    x, y = images((1, 8, 8))
    assert energy(x, y, window=4, ssim_window=7).isfinite().all()
    assert energy(x, y, window=4, base="l2").isfinite().all()


@pytest.mark.parametrize(("base", "scale"), [("ssim", 768), ("l1", 1), ("none", 1)])
def test_the_native_scale_is_the_pixel_losss_whose_weight_in_the_paper_is_1(base, scale):
    assert losses.build("stft", image_shape=(3, 16, 16), base=base).native_scale == scale
    assert losses.build("dft", image_shape=(3, 16, 16)).native_scale == 768


@pytest.mark.parametrize("base", ["ssim", "l2", "ce"])
def test_the_base_brings_its_range_of_beta(base):
    shape = {"image_shape": (3, 16, 16)}
    ranges = [losses.build(name, **shape).beta_range for name in (base, "ssim")]
    assert losses.build("stft", base=base, **shape).beta_range == ranges[0]
    low, high = losses.build("stft", base="none", **shape).beta_range
    assert (20 * low, 20 * high) == pytest.approx(ranges[1])
