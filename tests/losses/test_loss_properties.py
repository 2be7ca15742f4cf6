"""Every loss over sizes, channels and batches drawn at random, and under autocast."""

import functools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import losses
from losses import structural

LATENT = 4
SMALL = {"vae-gan": {"width": 4}, "blur": {"hidden": 16}}
NETWORK_FREE = [name for name in losses.REGISTRY if not losses.find(name).required(3)]
VARIANTS = {
    "sigma-shared": ("sigma", {"shared": True}),
    "ffl-log": ("ffl", {"log_matrix": True, "ave_spectrum": True}),
    "blur-gaussian": ("blur", {"kernel": "gaussian"}),
    "blur-determinant": ("blur", {"epsilon": 0.5, "hidden": 16}),
    "blur-exact": ("blur", {"likelihood": "wiener-exact", "hidden": 16}),
    "stft-l1": ("stft", {"base": "l1", "phase_weighting": "target"}),
    "stft-released": ("stft", {"variant": "released"}),
    "sharpness-c": ("sharpness", {"variant": "c"}),
    "adaptive-pixel": ("adaptive", {"representation": "pixel"}),
    "adaptive-dct": ("adaptive", {"representation": "dct"}),
}
each_loss = pytest.mark.parametrize("name", [*NETWORK_FREE, *VARIANTS])
# 16 and more for a window of the short-time transform.
sides = st.integers(16, 40)


@functools.lru_cache(maxsize=64)
def build(name, shape):
    generator = torch.Generator().manual_seed(0)
    loss, options = VARIANTS.get(name, (name, SMALL.get(name, {})))
    return losses.build(loss, image_shape=shape, latent_size=LATENT, generator=generator, **options)


def batch(n, shape, seed):
    generator = torch.Generator().manual_seed(seed)
    noise, target = torch.rand(2, n, *shape, generator=generator)
    # Alike: where images are anticorrelated, multi-scale SSIM is 0 and flat, as in its source.
    recon = target.lerp(noise, 0.4)
    return recon, target, torch.randn(n, LATENT, generator=generator)


@each_loss
@settings(max_examples=10, deadline=None, derandomize=True, database=None)
@given(n=st.integers(1, 3), channels=st.sampled_from([1, 3]), height=sides, width=sides)
def test_any_size_gives_finite_energies_and_gradients(name, n, channels, height, width):
    if name.startswith("watson"):  # blocks of 8x8
        height, width = height // 8 * 8, width // 8 * 8
    shape = (channels, height, width)
    loss = build(name, shape)
    recon, target, latent = batch(n, shape, seed=7)
    recon.requires_grad_()
    energy = loss(recon, target, latent)
    assert energy.shape == (n,)
    energy.sum().backward()
    assert energy.isfinite().all() and recon.grad.isfinite().all()
    assert recon.grad.abs().sum() > 0


@each_loss
def test_autocast_changes_nothing(name):
    shape = (3, 32, 32)
    loss = build(name, shape).eval()
    images = batch(2, shape, seed=1)
    expected = loss(*images)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = loss(*images)
    assert found.dtype == torch.float32
    assert torch.allclose(found, expected, rtol=1e-6)


@each_loss
def test_images_in_half_precision_are_scored_in_full(name):
    shape = (3, 32, 32)
    loss = build(name, shape).eval()
    recon, target, latent = (v.bfloat16() for v in batch(2, shape, seed=1))
    expected = loss(recon.float(), target.float(), latent.float())
    assert torch.equal(loss(recon, target, latent), expected)


@each_loss
def test_gradients_are_those_of_the_value(name):
    shape = (1, 16, 16)
    loss = build(name, shape)
    if loss.stopped_gradient:
        pytest.skip("holds a factor of its value constant: see its own test")
    recon, target, latent = (v.double() for v in batch(2, shape, seed=3))
    loss.eval()
    recon.requires_grad_()
    assert torch.autograd.gradcheck(lambda y: loss(y, target, latent), (recon,), fast_mode=True)


@pytest.mark.parametrize("name", ["ssim", "ms-ssim"])
def test_matrix_products_are_full_inside_a_loss_alone_and_backward_too(name, monkeypatch):
    seen = []
    tiles = structural._tiles

    def watched(*sizes):
        seen.append(torch.get_float32_matmul_precision())
        return tiles(*sizes)

    monkeypatch.setattr(structural, "_tiles", watched)
    recon, target, latent = batch(2, (3, 32, 32), seed=1)
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("high")
        energy = build(name, (3, 32, 32))(recon.requires_grad_(), target, latent)
        forward = len(seen)
        energy.sum().backward()
        assert torch.get_float32_matmul_precision() == "high"
    finally:
        torch.set_float32_matmul_precision(before)
    assert len(seen) > forward > 0
    assert set(seen) == {"highest"}
