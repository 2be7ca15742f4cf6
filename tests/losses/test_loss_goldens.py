"""Values against the reference sheet's pattern, against hand numbers and other software."""

import math

import numpy as np
import pytest
import torch
from patterns import pattern
from scipy.stats import norm
from skimage.metrics import structural_similarity

import losses

SHAPE = (3, 64, 64)
D = math.prod(SHAPE)
LATENT = torch.zeros(2, 4)


def energies(name, target, recon, *, logits=None, **options):
    loss = losses.build(name, image_shape=tuple(target.shape[1:]), **options)
    return loss(recon, target, LATENT, logits=logits).double() / loss.native_scale


def similarity_by_skimage(target, recon, sigma=1.5):
    settings = {"gaussian_weights": True, "sigma": sigma, "use_sample_covariance": False}
    return [
        structural_similarity(
            x.double().numpy(),
            y.double().numpy(),
            channel_axis=0,
            data_range=1,
            **settings,
        )
        for x, y in zip(target, recon, strict=True)
    ]


def test_the_pattern_is_the_sheets():
    x, y = pattern(2, *SHAPE)
    assert x.double().sum().item() == pytest.approx(12289.6000, abs=1e-3)
    assert y.double().sum().item() == pytest.approx(12288.7751, abs=1e-3)
    assert x[0, 0, 0, :3].tolist() == pytest.approx([0.5, 0.5499167, 0.5993347], abs=1e-6)
    assert y[0, 0, 0, :3].tolist() == pytest.approx([0.55, 0.5948026, 0.6389120], abs=1e-6)


@pytest.mark.parametrize(
    ("name", "golden"),
    [
        ("l2", [15.27697, 15.37299]),
        ("l1", [496.357, 498.069]),
        ("ce", [4927.41, 4927.82]),
    ],
)
def test_pointwise_goldens(name, golden):
    assert energies(name, *pattern(2, *SHAPE)).tolist() == pytest.approx(golden, rel=1e-5)


def test_ce_reaches_the_entropy_of_the_target():
    x, _ = pattern(2, *SHAPE)
    assert energies("ce", x, x).tolist() == pytest.approx([4748.03, 4747.35], rel=1e-5)


def test_ce_on_logits_equals_ce_on_the_sigmoid_and_stays_finite_far_out():
    x, y = (v.double() for v in pattern(2, 1, 8, 8))
    y = y.clamp(0.01, 0.99)
    given = energies("ce", x, torch.zeros_like(y), logits=y.logit())
    assert torch.allclose(given, energies("ce", x, y))
    logits = torch.tensor([[[[1000.0, -1000.0]]]])
    right, wrong = torch.tensor([[[[1.0, 0.0]]]]), torch.tensor([[[[0.0, 1.0]]]])
    assert energies("ce", right, right, logits=logits).item() == 0
    assert energies("ce", wrong, right, logits=logits).item() == 2000


def test_ssim_golden():
    similarity = 1 - energies("ssim", *pattern(2, *SHAPE)).mean().item()
    assert similarity == pytest.approx(0.8045878, rel=1e-5)  # pytorch-msssim, float32
    assert similarity == pytest.approx(0.8045859, abs=5e-7)  # skimage, float64


@pytest.mark.parametrize("shape", [(3, 64, 64), (1, 20, 33), (2, 11, 11)])
def test_ssim_equals_skimage(shape):
    noise = np.random.default_rng(0).random((2, 2, *shape), dtype=np.float32)
    x, y = torch.from_numpy(noise)
    y = 0.7 * x + 0.3 * y
    ours = 1 - energies("ssim", x, y)
    assert ours.tolist() == pytest.approx(similarity_by_skimage(x, y), abs=2e-6)


def test_ssim_equals_skimage_on_nearly_flat_bright_images():
    x = torch.from_numpy(np.random.default_rng(1).normal(0.95, 0.002, (2, 3, 32, 32))).float()
    y = torch.full_like(x, 0.95)
    ours = 1 - energies("ssim", x, y)
    assert ours.tolist() == pytest.approx(similarity_by_skimage(x, y), abs=1e-4)


def test_ssim_options_reach_the_window():
    x, y = pattern(2, 3, 24, 24)
    ours = 1 - energies("ssim", x, y, window=9, sigma=1.0)
    # skimage takes its window from sigma: 2 * int(3.5 * 1.0 + 0.5) + 1 = 9
    theirs = similarity_by_skimage(x, y, sigma=1.0)
    assert ours.tolist() == pytest.approx(theirs, abs=2e-6)


def test_ssim_refuses_images_of_another_shape():
    x, y = pattern(2, 3, 24, 24)
    loss = losses.build("ssim", image_shape=(3, 32, 32))
    with pytest.raises(ValueError, match=r"built for images \(3, 32, 32\) but got \(3, 24, 24\)"):
        loss(y, x, LATENT)


def test_shared_sigma_golden():
    x, y = pattern(2, *SHAPE)
    assert energies("sigma", x, y, shared=True, floor=None).mean().item() == pytest.approx(
        -19389.66, rel=1e-6
    )


@pytest.mark.parametrize("shared", [False, True])
def test_sigma_is_a_normalised_gaussian_at_the_root_mean_square(shared):
    x, y = pattern(2, 3, 16, 16)
    error = (y - x).double().flatten(1).numpy()
    spread = np.sqrt((error**2).mean(1, keepdims=True))
    if shared:
        spread = np.sqrt((error**2).mean(keepdims=True))
    for floor, added in ((None, 0.0), (-6.0, math.exp(-6.0)), (-3.0, math.exp(-3.0))):
        expected = -norm.logpdf(error, scale=spread + added).sum(1)
        ours = energies("sigma", x, y, shared=shared, floor=floor)
        assert ours.tolist() == pytest.approx(expected.tolist(), rel=1e-5)


def test_sigma_floor_is_the_sheets_soft_clip():
    log_sigma = torch.tensor([-9.0, -6.0, -3.0, -0.1], dtype=torch.float64)
    clipped = -6 + torch.nn.functional.softplus(log_sigma + 6)
    x = torch.zeros(4, 1, 2, 2, dtype=torch.float64)
    y = log_sigma.exp().view(4, 1, 1, 1).expand_as(x)  # the root mean square of each image
    expected = -norm.logpdf(y.flatten(1).numpy(), scale=clipped.exp().numpy()[:, None]).sum(1)
    assert energies("sigma", x, y).tolist() == pytest.approx(expected.tolist(), rel=1e-12)


def test_the_floor_costs_little_at_usual_errors():
    x, y = pattern(2, *SHAPE)
    # s = .0499430 + exp(-6) = 1.049632 of the optimum: D (1.049632^-2 / 2 - 1/2 + log 1.049632)
    with_floor = energies("sigma", x, y, shared=True).mean().item()
    assert with_floor == pytest.approx(-19389.66 + 27.92, abs=0.05)


@pytest.mark.parametrize("shared", [False, True])
def test_at_the_optimum_the_gradient_through_sigma_adds_nothing(shared):
    x, y = (v.double() for v in pattern(2, 3, 16, 16))
    y.requires_grad_()
    total = energies("sigma", x, y, shared=shared, floor=None).sum()
    (through,) = torch.autograd.grad(total, y)
    error = (y - x).detach()
    dims = (0, 1, 2, 3) if shared else (1, 2, 3)
    with_sigma_fixed = error / error.square().mean(dims, keepdim=True)
    assert torch.allclose(through, with_sigma_fixed)


def test_per_image_sigma_without_floor_is_half_d_log_mse():
    x, y = pattern(2, *SHAPE)
    mse = (y - x).double().square().flatten(1).mean(1)
    expected = D / 2 * (torch.log(2 * math.pi * mse) + 1)
    assert torch.allclose(energies("sigma", x, y, floor=None), expected)
