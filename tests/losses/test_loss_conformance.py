"""What every registered loss must do."""

import copy
import math

import pytest
import torch

import losses

SHAPE = (3, 16, 16)
VARIANTS = [(name, {}) for name in losses.REGISTRY] + [
    ("sigma", {"shared": True}),
    ("ssim", {"window": 7}),
]
each_loss = pytest.mark.parametrize(("name", "options"), VARIANTS, ids=str)


def make(name, options, shape=SHAPE, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return losses.build(name, image_shape=shape, latent_size=4, generator=generator, **options)


def images(n=3, shape=SHAPE, dtype=torch.float32, seed=1):
    generator = torch.Generator().manual_seed(seed)
    recon, target = torch.rand(2, n, *shape, generator=generator, dtype=dtype)
    return recon, target, torch.randn(n, 4, generator=generator, dtype=dtype)


@each_loss
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_one_energy_per_image_in_the_dtype_given(name, options, dtype):
    recon, target, latent = images(dtype=dtype)
    energy = make(name, options)(recon, target, latent)
    assert energy.shape == (3,)
    assert energy.dtype == dtype
    assert energy.isfinite().all()


@each_loss
def test_attributes_make_sense(name, options):
    loss = make(name, options)
    low, high = loss.beta_range
    assert 0 < low < high < math.inf
    assert loss.native_scale in (1.0, float(math.prod(SHAPE)))
    assert loss.starts_at >= 0
    assert {id(p) for group in loss.main_groups() for p in group["params"]} <= {
        id(p) for p in loss.parameters()
    }
    loss.start_epoch(0.5)


@each_loss
def test_batch_independence_is_as_declared(name, options):
    loss = make(name, options).eval()
    recon, target, latent = images()
    recon[0] = target[0].lerp(recon[0], 0.1)
    together = loss(recon, target, latent)
    alone = torch.cat([loss(*(v[i : i + 1] for v in (recon, target, latent))) for i in range(3)])
    assert torch.allclose(together, alone, rtol=1e-5) is not loss.batch_coupled


@each_loss
def test_worse_reconstructions_cost_more(name, options):
    loss = make(name, options).eval()
    noise, target, latent = images()
    energy = [loss(target.lerp(noise, t), target, latent) for t in (0.0, 0.05, 0.2, 0.5, 1.0)]
    assert torch.stack(energy).diff(dim=0).gt(0).all()


@each_loss
def test_gradients_are_finite_at_the_extremes(name, options):
    loss = make(name, options)
    noise = images(1)[0]
    values = [torch.zeros(1, *SHAPE), torch.ones(1, *SHAPE), torch.full((1, *SHAPE), 0.5), noise]
    for target in values:
        for value in values:
            recon = value.clone().requires_grad_()
            energy = loss(recon, target, torch.zeros(1, 4))
            energy.sum().backward()
            assert energy.isfinite().all()
            assert recon.grad.isfinite().all()


@each_loss
def test_identical_images_among_others_leave_gradients_finite(name, options):
    recon, target, latent = images()
    recon[1] = target[1]
    recon.requires_grad_()
    make(name, options)(recon, target, latent).sum().backward()
    assert recon.grad.isfinite().all()
    assert recon.grad[0].abs().sum() > 0


@each_loss
def test_gradients_are_those_of_the_value(name, options):
    shape = (2, 7, 8)
    options = options | ({"window": 7} if name == "ssim" else {})
    loss = make(name, options, shape)
    recon, target, latent = images(2, shape, torch.float64)
    recon = (0.1 + 0.8 * recon).requires_grad_()
    assert torch.autograd.gradcheck(lambda y: loss(y, target, latent), (recon,))


@each_loss
def test_randomness_comes_from_the_generator_alone(name, options):
    before = torch.get_rng_state()
    recon, target, latent = images()
    first, again = (make(name, options)(recon, target, latent) for _ in range(2))
    assert torch.equal(first, again)
    evaluated = make(name, options).eval()
    assert torch.equal(evaluated(recon, target, latent), evaluated(recon, target, latent))
    assert torch.equal(before, torch.get_rng_state())


@each_loss
def test_state_and_copies_keep_the_value(name, options):
    loss = make(name, options)
    other = make(name, options, seed=7)
    other.load_state_dict(loss.state_dict(), strict=True)
    recon, target, latent = images()
    expected = loss.eval()(recon, target, latent)
    assert torch.equal(other.eval()(recon, target, latent), expected)
    assert torch.equal(copy.deepcopy(loss)(recon, target, latent), expected)


@each_loss
def test_builds_and_runs_without_data_on_the_meta_device(name, options):
    with torch.device("meta"):
        loss = make(name, options)
        recon, target, latent = (torch.empty_like(v) for v in images())
    assert loss(recon.to("meta"), target.to("meta"), latent.to("meta")).shape == (3,)
