"""The focal frequency loss against the sheet, its authors' package and a slow transcription."""

import math

import numpy as np
import pytest
import torch
from patterns import pattern

import losses
from losses.options import InvalidOption

LATENT = torch.zeros(4, 4)
SHAPE = (3, 64, 64)
GOLDEN = [
    ({}, 0.001712163, 0.006848652),
    ({"alpha": 2.0}, 0.001475906, 0.005903622),
    ({"alpha": 0.5}, 0.001958652, 0.007834607),
    ({"log_matrix": True}, 0.001818914, 0.007485426),
    ({"batch_matrix": True}, 0.001688525, 0.006754100),
    ({"patch_factor": 2}, 0.001513454, 0.006053815),
    ({"ave_spectrum": True}, 0.000737878, 0.002951511),
]
EVERY_OPTION = {
    "alpha": 1.5,
    "patch_factor": 2,
    "ave_spectrum": True,
    "log_matrix": True,
    "batch_matrix": True,
}


def build(shape, **options):
    return losses.build("ffl", image_shape=tuple(shape), **options)


def energy(target, recon, **options):
    return build(target.shape[1:], **options)(recon, target, LATENT)


def native(target, recon, **options):
    return energy(target, recon, **options).double().mean().item() / math.prod(target.shape[1:])


def photographs(n=3, shape=(3, 24, 20), dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    x, y = torch.rand(2, n, *shape, generator=generator, dtype=dtype)
    return x, 0.7 * x + 0.3 * y


@pytest.mark.parametrize(("options", "golden", "on_minus_one_to_one"), GOLDEN)
def test_goldens(options, golden, on_minus_one_to_one):
    x, y = pattern(2, *SHAPE)
    assert native(x, y, **options) == pytest.approx(golden, rel=2e-6)
    assert native(2 * x - 1, 2 * y - 1, **options) == pytest.approx(on_minus_one_to_one, rel=2e-6)


@pytest.mark.parametrize(
    "options", [*(options for options, _, _ in GOLDEN), EVERY_OPTION, {"alpha": 0.0}], ids=str
)
@pytest.mark.parametrize("shape", [(3, 24, 20), (1, 10, 14), (1, 9, 15)])
def test_value_and_gradient_are_the_packages(options, shape):
    package = pytest.importorskip("focal_frequency_loss")
    if shape[1] % options.get("patch_factor", 1):
        pytest.skip("odd sides have no two halves")
    x, y = photographs(shape=shape, dtype=torch.float64)
    (mine, theirs) = (y.clone().requires_grad_() for _ in range(2))
    ours = energy(x, mine, **options).mean() / math.prod(shape)
    reference = package.FocalFrequencyLoss(**options)(theirs, x)
    assert ours.item() == pytest.approx(reference.item(), rel=1e-12)
    ours.backward()
    reference.backward()
    assert torch.allclose(mine.grad, theirs.grad, rtol=1e-9, atol=1e-16)


def by_numpy(x, y, parts=2, alpha=1.0):
    total = 0.0
    height, width = x.shape[1] // parts, x.shape[2] // parts
    for channel in y - x:
        for i in range(parts):
            for j in range(parts):
                tile = channel[i * height : (i + 1) * height, j * width : (j + 1) * width]
                size = np.abs(np.fft.fft2(tile, norm="ortho"))
                total += (size**alpha / (size**alpha).max() * size**2).sum()
    return total


@pytest.mark.parametrize("alpha", [0.5, 1.0, 3.0])
def test_each_image_has_the_value_of_the_formula(alpha):
    x, y = photographs(dtype=torch.float64)
    expected = [by_numpy(a, b, alpha=alpha) for a, b in zip(x.numpy(), y.numpy(), strict=True)]
    assert energy(x, y, alpha=alpha, patch_factor=2).tolist() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("patch_factor", [1, 2, 4])
def test_alpha_zero_is_twice_l2(patch_factor):
    x, y = pattern(2, *SHAPE)
    l2 = losses.build("l2", image_shape=SHAPE)(y, x, LATENT)
    assert torch.allclose(energy(x, y, alpha=0.0, patch_factor=patch_factor), 2 * l2, rtol=1e-5)


def test_never_above_the_squared_error_and_quadratic_in_the_scale():
    x, y = photographs()
    squared = (y - x).square().sum((1, 2, 3))
    assert (energy(x, y) < squared).all()
    assert torch.allclose(energy(3 * x, 3 * y), 9 * energy(x, y), rtol=1e-5)


@pytest.mark.parametrize("options", [{"ave_spectrum": True}, {"batch_matrix": True}, EVERY_OPTION])
def test_batch_options_couple_and_permute(options):
    x, y = photographs()
    y[0] = x[0].lerp(y[0], 0.1)
    loss = build(x.shape[1:], **options)
    assert loss.batch_coupled
    together = loss(y, x, LATENT)
    alone = torch.cat([loss(y[i : i + 1], x[i : i + 1], LATENT) for i in range(3)])
    assert not torch.allclose(together, alone, rtol=1e-3)
    order = [2, 0, 1]
    assert torch.allclose(loss(y[order], x[order], LATENT), together[order], rtol=1e-5)


def test_large_exponents_stay_in_the_range_of_float32():
    x, y = photographs(dtype=torch.float64)
    for factor in (1e-5, 1.0, 1e5):
        wanted = energy(factor * x, factor * y, alpha=16.0)
        found = energy((factor * x).float(), (factor * y).float(), alpha=16.0)
        assert torch.allclose(found.double(), wanted, rtol=1e-4)


def test_the_averaged_spectrum_gives_every_image_the_batch_value():
    x, y = photographs()
    assert energy(x, y, ave_spectrum=True).unique().numel() == 1


def test_without_the_flags_images_stand_alone():
    x, y = photographs()
    loss = build(x.shape[1:], patch_factor=2, log_matrix=True)
    assert not loss.batch_coupled
    alone = torch.cat([loss(y[i : i + 1], x[i : i + 1], LATENT) for i in range(3)])
    assert torch.allclose(loss(y, x, LATENT), alone)


def test_gradient_with_the_weight_held_constant():
    x, y = photographs(2, (2, 6, 7), torch.float64)
    loss = build((2, 6, 7))
    y.requires_grad_()
    (found,) = torch.autograd.grad(loss(y, x, LATENT).sum(), y)
    size = torch.fft.fft2(y - x, norm="ortho").abs().detach()
    weight = size / size.amax((2, 3), keepdim=True)

    def with_constant_weight(recon):
        return (weight * torch.fft.fft2(recon - x, norm="ortho").abs().square()).sum()

    assert torch.autograd.gradcheck(with_constant_weight, (y,))
    (expected,) = torch.autograd.grad(with_constant_weight(y), y)
    assert torch.allclose(found, expected)


def test_gradcheck_where_the_weight_is_constant_anyway():
    x, y = photographs(2, (2, 6, 8), torch.float64)
    loss = build((2, 6, 8), alpha=0.0, patch_factor=2)
    assert torch.autograd.gradcheck(lambda v: loss(v, x, LATENT), (y.requires_grad_(),))


@pytest.mark.parametrize("options", [*(options for options, _, _ in GOLDEN), EVERY_OPTION], ids=str)
def test_identical_images_cost_nothing_and_pull_nowhere(options):
    x, y = photographs()
    y[1] = x[1]
    loss = build(x.shape[1:], **options)
    same = x.clone().requires_grad_()
    value = loss(same, x, LATENT)
    value.sum().backward()
    assert value.tolist() == [0, 0, 0]
    assert same.grad.abs().max() == 0
    y.requires_grad_()
    loss(y, x, LATENT).sum().backward()
    assert y.grad.isfinite().all()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"alpha": -0.5}, "alpha is -0.5"),
        ({"alpha": math.inf}, "alpha is inf"),
        ({"alpha": math.nan}, "alpha is nan"),
        ({"patch_factor": 0}, "patch_factor is 0"),
        ({"patch_factor": 5}, "divides the image's 24x20 pixels"),
    ],
)
def test_bad_options(options, words):
    with pytest.raises(InvalidOption, match=words):
        build((3, 24, 20), **options)


def test_images_of_another_shape_are_refused():
    x, y = photographs()
    with pytest.raises(InvalidOption, match="built for images"):
        build((3, 20, 24))(y, x, LATENT)
