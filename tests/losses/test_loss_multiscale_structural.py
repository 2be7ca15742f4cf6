"""MS-SSIM against pytorch-msssim, a transcription in NumPy, and its rule for small images."""

import math

import numpy as np
import pytest
import torch
from patterns import pattern
from scipy.signal import convolve2d

import losses
from losses.multiscale_structural import STRAIGHT_BELOW, WEIGHTS, power
from losses.options import InvalidOption

LATENT = torch.zeros(2, 4)


def similarities(target, recon, **options):
    loss = losses.build("ms-ssim", image_shape=tuple(target.shape[1:]), **options)
    return 1 - loss(recon, target, LATENT).double() / loss.native_scale


def blurred(shape, n=2, seed=0):
    x = torch.rand(n, *shape, generator=torch.Generator().manual_seed(seed))
    y = torch.nn.functional.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)
    return x, y


def by_numpy(x, y, scales, window):
    """Wang et al. 2003, eq. 7, of one channel, as written."""
    offsets = np.arange(window) - window // 2
    line = np.exp(-(offsets**2) / (2 * 1.5**2))
    kernel = np.outer(line, line) / line.sum() ** 2

    def mean(image):
        return convolve2d(image, kernel, mode="valid")

    def halve(image):
        image = np.pad(image, [(0, side % 2) for side in image.shape], mode="edge")
        return (image[::2, ::2] + image[1::2, ::2] + image[::2, 1::2] + image[1::2, 1::2]) / 4

    result, total = 1.0, sum(WEIGHTS[:scales])
    for scale in range(scales):
        mx, my = mean(x), mean(y)
        cov = mean(x * y) - mx * my
        variances = mean(x * x) - mx**2 + mean(y * y) - my**2
        value = (2 * cov + 9e-4) / (variances + 9e-4)
        if scale == scales - 1:
            value = value * (2 * mx * my + 1e-4) / (mx**2 + my**2 + 1e-4)
        result *= max(value.mean(), 0.0) ** (WEIGHTS[scale] / total)
        x, y = halve(x), halve(y)
    return result


def test_the_golden():
    ours = similarities(*pattern(1, 3, 256, 256))
    assert ours.item() == pytest.approx(0.9911793, rel=2e-6)


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((3, 176, 192), {}),
        ((3, 192, 176), {"scales": 3}),
        ((1, 64, 80), {"scales": 3, "window": 3}),
        ((3, 96, 96), {"scales": 2, "window": 5, "sigma": 1.0}),
    ],
)
def test_it_equals_pytorch_msssim(shape, options):
    package = pytest.importorskip("pytorch_msssim")
    x, y = blurred(shape)
    weights = WEIGHTS[: options.get("scales", 5)]
    theirs = package.ms_ssim(
        x.double(),
        y.double(),
        data_range=1,
        size_average=False,
        win_size=options.get("window", 11),
        win_sigma=options.get("sigma", 1.5),
        weights=[weight / sum(weights) for weight in weights],
    )
    assert torch.allclose(similarities(x, y, **options), theirs, rtol=1e-5)
    # their window is float32
    assert torch.allclose(similarities(x.double(), y.double(), **options), theirs, rtol=5e-6)


@pytest.mark.parametrize(
    ("shape", "scales", "window"),
    [
        ((1, 165, 161), 5, 11),
        ((1, 160, 161), 3, 11),
        ((3, 64, 64), 3, 11),
        ((1, 41, 50), 3, 11),
        ((1, 40, 50), 3, 9),
        ((3, 32, 32), 3, 7),
        ((1, 28, 28), 3, 7),
        ((1, 24, 24), 3, 5),
        ((1, 17, 19), 3, 5),
        ((1, 16, 16), 2, 7),
        ((1, 9, 9), 2, 5),
        ((1, 8, 12), 1, 7),
        ((1, 2, 2), 1, 1),
    ],
)
def test_the_rule_for_scales_and_window(shape, scales, window):
    x, y = (v.double() for v in blurred(shape))
    expected = [
        np.mean([by_numpy(a, b, scales, window) for a, b in zip(i, j, strict=True)])
        for i, j in zip(x.numpy(), y.numpy(), strict=True)
    ]
    chosen = similarities(x, y)
    assert chosen.tolist() == pytest.approx(expected, rel=1e-9)
    assert torch.equal(chosen, similarities(x, y, scales=scales, window=window))


def test_a_window_given_alone_decides_the_scales():
    x, y = blurred((1, 32, 32))
    assert torch.equal(similarities(x, y, window=11), similarities(x, y, window=11, scales=2))


def test_one_scale_is_ssim():
    x, y = pattern(2, 3, 32, 32)
    ssim = losses.build("ssim", image_shape=(3, 32, 32))
    expected = 1 - ssim(y, x, LATENT) / ssim.native_scale
    ours = similarities(x, y, scales=1, window=11)
    assert torch.allclose(ours.float(), expected, atol=1e-6)


def test_identical_images_cost_nothing_and_opposite_ones_everything():
    x = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    assert similarities(x, x).tolist() == pytest.approx([1, 1], abs=1e-6)
    y = (1 - x).requires_grad_()
    loss = losses.build("ms-ssim", image_shape=(3, 64, 64))
    value = loss(y, x, LATENT)
    value.sum().backward()
    assert value.tolist() == [3 * 64 * 64] * 2
    assert y.grad.isfinite().all()


@pytest.mark.parametrize("exponent", [*WEIGHTS, 1.0])
def test_powers_are_exact_above_the_cut_and_straight_below(exponent):
    base = torch.tensor([STRAIGHT_BELOW, 0.01, 0.5, 1.0], dtype=torch.float64)
    assert torch.allclose(power(base, exponent), base**exponent, rtol=1e-14)
    base = torch.tensor([-0.5, 0.0, 0.25, 0.5, 1 - 1e-9], dtype=torch.float64)
    expected = base.clamp(min=0) * STRAIGHT_BELOW**exponent
    assert torch.allclose(power(base * STRAIGHT_BELOW, exponent), expected, rtol=1e-12)
    base = torch.tensor([-0.2, 2e-4, 9e-4, 1.1e-3, 0.3], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda t: power(t, exponent), base, eps=1e-8, rtol=1e-4)


def test_gradients_are_finite_where_a_similarity_is_nearly_0():
    x, noise = torch.rand(2, 8, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    loss = losses.build("ms-ssim", image_shape=(3, 32, 32))
    for y in (noise, torch.zeros_like(x), torch.ones_like(x), torch.full_like(x, 0.5), 1 - x, x):
        recon = y.clone().requires_grad_()
        energy = loss(recon, x, LATENT)
        energy.sum().backward()
        assert energy.isfinite().all() and recon.grad.isfinite().all()


def test_gradcheck_over_three_scales():
    x, y = (v.double() for v in blurred((1, 11, 10)))
    loss = losses.build("ms-ssim", image_shape=(1, 11, 10), scales=3, window=3)
    y.requires_grad_()
    assert torch.autograd.gradcheck(lambda v: loss(v, x, LATENT), (y,))


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((3, 64, 64), {"scales": 6}, "scales is 6; give 1 to 5, or none to choose"),
        ((3, 64, 64), {"scales": 0}, "scales is 0"),
        ((3, 64, 64), {"window": 10}, "window is 10; give an odd positive integer"),
        ((3, 64, 64), {"sigma": math.nan}, "sigma is nan"),
        ((3, 32, 40), {"scales": 3, "window": 11}, "becomes 8 at scale 3.*set window=7 or fewer"),
        ((3, 16, 16), {"window": 17}, "becomes 16 at scale 1.*set window=15"),
    ],
)
def test_bad_options(shape, options, message):
    with pytest.raises(InvalidOption, match=message):
        losses.build("ms-ssim", image_shape=shape, **options)


def test_images_of_another_shape_are_refused():
    x, y = pattern(2, 3, 24, 24)
    loss = losses.build("ms-ssim", image_shape=(3, 32, 32))
    with pytest.raises(InvalidOption, match=r"built for images \(3, 32, 32\) but got \(3, 24, 24"):
        loss(y, x, LATENT)


def test_unrelated_and_opposite_images_have_no_gradient():
    """Said in the docstring: `1 - l cs` is then at its maximum and flat."""
    target = torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    recon = (1 - target).requires_grad_()
    loss = losses.build("ms-ssim", image_shape=(1, 32, 32))
    energy = loss(recon, target, torch.zeros(1, 1))
    energy.sum().backward()
    assert energy.item() == pytest.approx(1024) and not recon.grad.any()
