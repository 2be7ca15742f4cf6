"""SSIM in float64, where skimage's value is reached to the last digits."""

import pytest
import torch
from patterns import pattern
from skimage.metrics import structural_similarity

import losses
from losses.structural import BandedProduct, LocalMean

LATENT = torch.zeros(2, 4)


def test_float64_in_is_float64_out():
    x, y = (v.double() for v in pattern(2, 3, 64, 64))
    loss = losses.build("ssim", image_shape=(3, 64, 64))
    ours = 1 - loss(y, x, LATENT) / loss.native_scale
    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    theirs = [
        structural_similarity(a.numpy(), b.numpy(), channel_axis=0, data_range=1, **settings)
        for a, b in zip(x, y, strict=True)
    ]
    assert ours.tolist() == pytest.approx(theirs, rel=1e-12)
    assert ours.mean().item() == pytest.approx(0.8045859, abs=5e-8)


@pytest.mark.parametrize("shape", [(3, 40, 50), (1, 11, 30)])
def test_it_equals_the_packages(shape):
    pytorch_msssim, piq = (pytest.importorskip(name) for name in ("pytorch_msssim", "piq"))
    x, noise = torch.rand(2, 2, *shape, generator=torch.Generator().manual_seed(0)).double()
    y = x.lerp(noise, 0.3)
    loss = losses.build("ssim", image_shape=shape)
    ours = 1 - loss(y, x, LATENT) / loss.native_scale
    theirs = pytorch_msssim.ssim(y, x, data_range=1, size_average=False)
    assert torch.allclose(ours, theirs, rtol=2e-6)  # their window is float32
    assert torch.allclose(ours, piq.ssim(y, x, data_range=1.0, reduction="none"), rtol=2e-6)


@pytest.mark.parametrize("shape", [(150, 64), (74, 139), (65, 200)])
def test_tiles_give_the_product_and_its_gradient(shape):
    local_mean = LocalMean(*shape, window=11, sigma=1.5)
    rows, columns = local_mean.vertical, local_mean.horizontal
    images = torch.rand(2, 1, *shape, generator=torch.Generator().manual_seed(0)).double()
    weights = torch.rand(2, 1, len(rows), columns.shape[1], dtype=torch.float64)
    results = []
    for product in (BandedProduct.apply, lambda x, a, b: a @ x @ b):
        x = images.clone().requires_grad_()
        value = product(x, rows, columns)
        results.append((value, torch.autograd.grad((value * weights).sum(), x)[0]))
    assert torch.allclose(results[0][0], results[1][0], rtol=1e-12)
    assert torch.allclose(results[0][1], results[1][1], rtol=1e-12)


def test_tiles_can_be_differentiated_twice():
    local_mean = LocalMean(80, 12, window=5, sigma=1.5)
    x = torch.rand(1, 1, 80, 12, dtype=torch.float64, requires_grad=True)
    (first,) = torch.autograd.grad(local_mean(x).square().sum() / 2, x, create_graph=True)
    (second,) = torch.autograd.grad(first[0, 0, 40, 6], x)
    rows, columns = local_mean.vertical, local_mean.horizontal
    expected = torch.outer((rows.T @ rows)[40], (columns @ columns.T)[6])
    assert torch.allclose(second[0, 0], expected)
