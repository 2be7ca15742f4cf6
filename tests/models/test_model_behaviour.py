"""What every VAE does, whatever its architecture."""

import pytest
import torch
from torch import nn

import models
from models.base import VAE, standard_normal

SHAPE = (3, 32, 32)
each_model = pytest.mark.parametrize("name", models.REGISTRY)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def make(name):
    return models.build(name, image_shape=SHAPE, latent_size=6, width=4, generator=seeded())


def images(n=4):
    return torch.rand(n, *SHAPE, generator=seeded(1))


class Passing(VAE):
    """A model whose encoder puts out its input."""

    def __init__(self):
        super().__init__(image_shape=(1, 1, 2), latent_size=1)
        self.encoder = nn.Flatten()
        self.decoder = nn.Identity()


@each_model
def test_the_latent_is_the_reparametrised_noise(name):
    model = make(name)
    record = model(images(), seeded(3))
    noise = torch.randn(4, 6, generator=seeded(3))
    assert torch.allclose(record.latent, record.mu + torch.exp(record.logvar / 2) * noise)
    assert torch.equal(record.recon, torch.sigmoid(record.logits))
    assert record.recon.min() >= 0 and record.recon.max() <= 1


@each_model
def test_forward_is_encode_then_decode(name):
    model = make(name).eval()
    record = model(images(), seeded(3))
    mu, logvar = model.encode(images())
    assert torch.equal(mu, record.mu) and torch.equal(logvar, record.logvar)
    logits, recon = model.decode(record.latent)
    assert torch.equal(logits, record.logits) and torch.equal(recon, record.recon)


@each_model
def test_noise_comes_from_the_generator_alone(name):
    model = make(name).eval()
    before = torch.get_rng_state()
    first, again = (model(images(), seeded(3)).latent for _ in range(2))
    other = model(images(), seeded(4)).latent
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(before, torch.get_rng_state())


@each_model
def test_samples_depend_on_the_generator_alone(name):
    model = make(name).eval()
    first, again, other = (model.sample(3, seeded(s)) for s in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    latent = torch.randn(3, 6, generator=seeded(3))
    assert torch.equal(first, model.decode(latent)[1])


def test_noise_without_a_generator_is_the_global_one():
    torch.manual_seed(2)
    noise = standard_normal(torch.zeros(3, 2), None)
    torch.manual_seed(2)
    assert torch.equal(noise, torch.randn(3, 2))


@pytest.mark.parametrize("name", [name for name in models.REGISTRY if name != "dalal"])
def test_batch_norm_uses_the_batch_in_training_only(name):
    model = make(name)
    model(images(), seeded())
    alone, together = images()[:2], images()
    assert not torch.allclose(model.encode(alone)[0], model.encode(together)[0][:2], atol=1e-4)
    model.eval()
    assert torch.allclose(model.encode(alone)[0], model.encode(together)[0][:2], atol=1e-5)
    state = {key: value.clone() for key, value in model.state_dict().items()}
    model.encode(together)
    assert all(torch.equal(state[key], value) for key, value in model.state_dict().items())


@each_model
def test_gradients_reach_every_parameter(name):
    model = make(name)
    record = model(images(), seeded())
    (record.recon.square().sum() + record.mu.square().sum() + record.logvar.sum()).backward()
    for parameter_name, parameter in model.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.isfinite().all(), parameter_name
        # a bias before batch norm cannot change anything
        if parameter.ndim > 1:
            assert parameter.grad.abs().sum() > 0, parameter_name


def test_logvar_cannot_overflow():
    statistics = torch.tensor([[0.0, 500.0], [0.0, -500.0], [0.0, 1.5]])
    mu, logvar = Passing().encode(statistics.view(3, 1, 1, 2))
    assert logvar.flatten().tolist() == [20.0, -30.0, 1.5]
    assert (mu.square() + logvar.exp()).isfinite().all()


@each_model
def test_under_autocast_the_record_is_float32(name):
    model = make(name)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        record = model(images(), seeded())
    for field in ("mu", "logvar", "latent", "logits", "recon"):
        assert getattr(record, field).dtype == torch.float32


@each_model
def test_float64_stays_float64(name):
    record = make(name).double()(images().double(), seeded())
    assert record.recon.dtype == record.latent.dtype == torch.float64
