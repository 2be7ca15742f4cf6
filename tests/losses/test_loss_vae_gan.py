"""VAE-GAN against plain torch layers, and in the trainer: who learns from what."""

import itertools
import math

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

import losses
import models
from harness.checkpoint import Checkpoint
from harness.errors import Interrupted
from harness.protocol import Protocol
from harness.train import Job, Trainer
from losses.base import MissingContext
from losses.discriminator import BatchNorm, Convolution, Discriminator, Linear
from losses.options import InvalidOption
from losses.sum import WeightedSum

SHAPE = (1, 16, 16)
REPORT = {"gan_weight": 1, "prior_samples": False, "margin": None, "eps": 0}


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def make(shape=SHAPE, seed=0, **options):
    options = {"width": 2} | options
    return losses.build("vae-gan", image_shape=shape, generator=seeded(seed), **options)


def images(n=3, shape=SHAPE, dtype=torch.float32, seed=1):
    return torch.rand(3, n, *shape, generator=seeded(seed), dtype=dtype)


def plain(discriminator):
    """Return the same network of torch's own layers, and the index of the layer compared."""
    layers = []
    for layer in itertools.chain(discriminator.lower, discriminator.upper):
        if isinstance(layer, BatchNorm):
            spatial = layer is not list(discriminator.upper)[-3]
            kind = nn.BatchNorm2d if spatial else nn.BatchNorm1d
            layers.append(kind(len(layer.weight), eps=1e-6 if spatial else 1e-5, momentum=0.1))
            layers[-1].load_state_dict(layer.state_dict(), strict=False)
        else:
            layers.append(layer)
    strided = [i for i, m in enumerate(layers) if isinstance(m, nn.Conv2d) and m.stride == (2, 2)]
    return nn.Sequential(*layers), strided[2]


def probabilities(network, *parts):
    return network(2 * torch.cat(parts) - 1).squeeze(1).sigmoid().split([len(p) for p in parts])


def trainer(loss, *, steps=1, size=16, grow=2, checkpoint=None, stop=lambda: False, **keys):
    digits = (load_digits().images[: steps * size] * 15).astype(np.uint8).repeat(grow, 1)
    digits = digits.repeat(grow, 2)
    keys = {"epochs": 1, "batch": size, "latent": 4, "trials": 3, "seeds": 1, "lr": 1e-3} | keys
    model = models.build(
        "larsen", image_shape=(1, 8 * grow, 8 * grow), latent_size=4, width=2, generator=seeded(4)
    )
    job = Job(Protocol(**keys), 0.1, keys["epochs"], ("digits", "larsen", 0), torch.device("cpu"))
    return Trainer(job, model, loss, digits[:, None], checkpoint=checkpoint, stop=stop)


def state_of(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def same(first, second):
    return all(torch.equal(value, second[name]) for name, value in first.items())


# The network


@pytest.mark.parametrize(
    ("shape", "filters", "hidden"),
    [
        ((1, 32, 32), [32, 128, 192, 256], 4096),
        ((3, 64, 64), [32, 128, 256, 256], 16384),
        ((3, 28, 28), [32, 128, 192, 256], 4096),
        ((3, 128, 64), [32, 128, 256, 256, 256], 256 * 8 * 4),
        ((3, 256, 256), [32, 128, 256, 256, 256, 256], 16384),
    ],
    ids=str,
)
def test_layers_of_each_size(shape, filters, hidden):
    with torch.device("meta"):
        network = Discriminator(shape, 32, None)
        features = network.features(torch.empty(2, *shape))
        assert network(torch.empty(2, *shape)).shape == (2,)
    convolutions = [m for m in network.modules() if isinstance(m, Convolution)]
    assert [m.out_channels for m in convolutions] == filters
    assert [m.stride for m in convolutions] == [(1, 1)] + [(2, 2)] * (len(filters) - 1)
    assert [m.in_features for m in network.modules() if isinstance(m, Linear)] == [hidden, 512]
    assert features.shape == (2, 256, -(-shape[1] // 8), -(-shape[2] // 8))


def test_parameters_counted_by_hand():
    with torch.device("meta"):
        network = Discriminator((3, 32, 32), 32, None)
    convolutions = 25 * (3 * 32 + 32 * 128 + 128 * 192 + 192 * 256) + 32
    linear = 4096 * 512 + 512 + 1
    norms = 2 * (128 + 192 + 256 + 512)
    assert sum(p.numel() for p in network.parameters()) == convolutions + linear + norms


def test_the_features_end_before_batch_norm_and_relu():
    network = make().companion
    assert len(network.lower) == 9  # recon_depth of the source's code
    assert isinstance(network.lower[-1], Convolution)
    assert [type(m) for m in network.upper[:2]] == [BatchNorm, nn.ReLU]


def test_initial_values_come_from_the_generator_alone():
    before = torch.get_rng_state()
    first, again, other = (make(seed=s).state_dict() for s in (0, 0, 1))
    assert torch.equal(before, torch.get_rng_state())
    assert same(first, again)
    assert not torch.equal(first["companion.lower.0.weight"], other["companion.lower.0.weight"])


# Values


@pytest.mark.parametrize("training", [True, False])
def test_the_energy_is_that_of_plain_layers_on_both_images_together(training):
    loss = make().train(training)
    # statistics other than those of a fresh network
    loss.train().companion_loss(*images(), images()[1])
    loss.train(training)
    recon, target, _ = images()
    network, last = plain(loss.companion)
    network.train(training)
    found = loss(recon, target, None)
    features = network[: last + 1](2 * torch.cat([recon, target]) - 1).flatten(1)
    expected = (features[:3] - features[3:]).square().sum(1) / 2
    torch.testing.assert_close(found, expected)
    assert expected.min() > 0


@pytest.mark.parametrize("saturating", [True, False])
@pytest.mark.parametrize("eps", [0, 1e-3])
@pytest.mark.parametrize("prior_samples", [True, False])
def test_the_game_is_that_of_plain_layers(saturating, eps, prior_samples):
    options = {"saturating": saturating, "eps": eps, "prior_samples": prior_samples}
    loss = make(gan_weight=3.0, margin=None, **options)
    recon, target, generated = images()
    fakes = [recon, generated] if prior_samples else [recon]
    network, _ = plain(loss.companion)
    real, *fake = probabilities(network, target, *fakes)
    decoder = sum((1 - d + eps).log() if saturating else -(d + eps).log() for d in fake)
    found = loss.decoder_loss(recon, target, None, generated)
    torch.testing.assert_close(found, 3 * decoder)
    costs = -(real + eps).log().mean(), -(1 - torch.cat(fake) + eps).log().mean()
    torch.testing.assert_close(
        loss.companion_loss(recon, target, None, generated), costs[0] + costs[1]
    )


def test_without_eps_the_discriminator_minimises_the_cross_entropy_of_its_logits():
    loss = make(**REPORT)
    recon, target, generated = images()
    with torch.no_grad():
        loss.companion.upper[-1].bias.fill_(60)  # 1 - D underflows
    network, _ = plain(loss.companion)
    logits = network(2 * torch.cat([target, recon]) - 1).squeeze(1)
    labels = torch.tensor([1.0] * 3 + [0.0] * 3)
    expected = 2 * binary_cross_entropy_with_logits(logits, labels)
    found = loss.companion_loss(recon, target, None, generated)
    assert found.item() == pytest.approx(expected.item(), rel=1e-5) and found > 50


def test_only_the_companions_step_moves_the_running_statistics():
    loss = make()
    recon, target, generated = images()
    before = state_of(loss)
    loss(recon, target, None)
    loss.decoder_loss(recon, target, None, generated)
    loss.eval().companion_loss(recon, target, None, generated)
    assert same(before, loss.state_dict())
    network, _ = plain(loss.companion)
    network(2 * torch.cat([target, recon, generated]) - 1)
    loss.train().companion_loss(recon, target, None, generated).backward()
    norms = [m for m in network if isinstance(m, nn.BatchNorm2d | nn.BatchNorm1d)]
    ours = [m for m in loss.companion.modules() if isinstance(m, BatchNorm)]
    for found, expected in zip(ours, norms, strict=True):
        torch.testing.assert_close(found.running_mean, expected.running_mean)
        torch.testing.assert_close(found.running_var, expected.running_var)


def test_in_training_a_batch_is_coupled_but_its_order_is_free():
    loss = make()
    assert loss.batch_coupled and WeightedSum([(1.0, loss)]).batch_coupled
    recon, target, _ = images(4)
    together, order = loss(recon, target, None), torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(loss(recon[order], target[order], None), together[order])
    assert not torch.allclose(loss(recon[:2], target[:2], None), together[:2], rtol=1e-3)
    assert not loss.eval().batch_coupled
    alone = torch.cat([loss(*(v[i : i + 1] for v in (recon, target)), None) for i in range(4)])
    torch.testing.assert_close(alone, loss(recon, target, None))
    assert loss.train().batch_coupled


@pytest.mark.parametrize("training", [True, False])
def test_float64_images_are_computed_with_in_float64(training):
    loss = make().train(training)
    recon, target, generated = images(dtype=torch.float64)
    single = loss(recon.float(), target.float(), None)
    assert 0 < (loss(recon, target, None) - single).abs().max() < 1e-4 * single.max()
    assert loss.decoder_loss(recon, target, None, generated).dtype == torch.float64
    loss.companion_loss(recon, target, None, generated).backward()
    assert all(p.grad.dtype == p.dtype == torch.float32 for p in loss.parameters())


def test_gradients_are_those_of_the_value():
    loss = make((1, 5, 4), margin=None)
    recon, target, generated = images(2, (1, 5, 4), torch.float64)
    given = (recon.requires_grad_(), generated.requires_grad_())
    assert torch.autograd.gradcheck(lambda y: loss(y, target, None), given[:1])
    assert torch.autograd.gradcheck(
        lambda y, p: loss.decoder_loss(y, target, None, p) / loss.gan_weight, given
    )


# Who learns


@pytest.mark.parametrize(
    ("real", "fake", "discriminator", "decoder"),
    [
        (0.69, 0.69, True, True),
        (0.2, 0.69, False, True),  # the discriminator is winning
        (0.69, 0.2, False, True),
        (1.2, 0.69, True, False),  # it is losing
        (0.69, 1.2, True, False),
        (0.2, 1.2, True, True),  # neither would learn: both do
        (0.34, 1.02, True, True),
    ],
)
def test_who_learns_follows_the_sources_rule(real, fake, discriminator, decoder):
    costs = torch.tensor(real), torch.tensor(fake)
    found = [bool(learns) for learns in make()._who_learns(*costs)]
    assert found == [discriminator, decoder]
    assert all(make(margin=None)._who_learns(*costs))


@pytest.mark.parametrize(("fake_cost", "decoder"), [(2.0, False), (0.1, True)])
def test_whoever_rests_has_a_gradient_of_zero(fake_cost, decoder):
    loss = make(prior_samples=False)
    loss._costs = lambda real, fake: (real.mean() * 0 + 0.69, fake.mean() * 0 + fake_cost)
    recon, target, generated = images()
    recon.requires_grad_()
    loss.decoder_loss(recon, target, None, generated).sum().backward()
    assert recon.grad.any() == decoder
    value = loss.companion_loss(recon.detach(), target, None, generated)
    assert (value.item() == 0) == decoder


@pytest.mark.parametrize("saturating", [True, False])
def test_the_decoder_learns_to_pass_for_real(saturating):
    loss = make(saturating=saturating, gan_weight=1.0, margin=None).eval()
    recon, target, generated = (v.requires_grad_() for v in images())
    loss.decoder_loss(recon, target, None, generated).sum().backward()
    for fakes in (recon, generated):
        with torch.no_grad():
            better = fakes - 1e-2 * fakes.grad / fakes.grad.norm()
            assert (loss.companion(better) - loss.companion(fakes)).sum() > 0


# In the trainer


def test_the_main_step_gives_the_discriminator_no_gradient():
    loss = make()
    before = {name: value.detach().clone() for name, value in loss.named_parameters()}
    run = trainer(loss)
    seen = []
    run.steps.optimizer.register_step_pre_hook(
        lambda *_: seen.extend(p.grad for p in loss.companion.parameters())
    )
    run.steps.companion_optimizer.register_step_pre_hook(
        lambda *_: seen.append(same(before, dict(loss.named_parameters())))
    )
    run.run()
    *gradients, untouched = seen
    assert gradients and all(gradient is None for gradient in gradients)
    assert untouched
    assert not torch.equal(before["companion.lower.0.weight"], loss.companion.lower[0].weight)


def test_the_game_does_not_reach_the_encoder():
    light, heavy = (trainer(make(gan_weight=w), optimizer="sgd") for w in (0.0, 100.0))
    for run in (light, heavy):
        run.run()
    for name, parameter in light.model.encoder.named_parameters():
        assert torch.equal(parameter, heavy.model.encoder.get_parameter(name)), name
    last, other = (list(run.model.decoder.parameters())[-2] for run in (light, heavy))
    assert not torch.equal(last, other)


@pytest.mark.parametrize("options", [{}, REPORT], ids=str)
@pytest.mark.slow
def test_a_hundred_steps_stay_finite(options):
    loss = make((1, 8, 8), **options)
    result = trainer(loss, steps=25, size=8, grow=1, epochs=4).run()
    assert result.status == "ok"
    assert all(map(math.isfinite, result.curve_energy))
    assert all(value.isfinite().all() for value in loss.state_dict().values())


def test_with_sharpness_it_is_a_sum_with_one_companion():
    terms = [(1.0, make(**REPORT)), (1.0, losses.build("sharpness", image_shape=SHAPE))]
    whole = WeightedSum(terms)
    before = state_of(whole)
    recon, target, _ = images()
    expected = terms[0][1](recon, target, None) + terms[1][1](recon, target, None)
    torch.testing.assert_close(whole(recon, target, None), expected)
    assert trainer(whole, steps=4).run().status == "ok"
    assert not same(before, whole.state_dict())
    assert whole.companion_groups()[0]["lr"] == pytest.approx(3.90625e-4)


def test_the_discriminator_is_in_the_checkpoint(tmp_path):
    loss = make()
    keys = set(loss.state_dict())
    assert {"companion.lower.0.weight", "companion.lower.3.running_var"} <= keys
    saved = Checkpoint(tmp_path / "checkpoint", "this run")
    answers = iter([False, True])
    run = trainer(loss, steps=2, checkpoint=saved, stop=lambda: next(answers))
    with pytest.raises(Interrupted):
        run.run()
    state = saved.load()
    assert state is not None and set(state["loss"]) == keys
    fresh = make(seed=9)
    fresh.load_state_dict(state["loss"])
    assert same(fresh.state_dict(), loss.state_dict())
    assert not same(fresh.state_dict(), make().state_dict())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gan_weight": -1.0}, "gan_weight is -1.0; give a number from 0 up such as 19999"),
        ({"gan_weight": math.inf}, "gan_weight is inf"),
        ({"margin": 0.0}, "margin is 0.0; give a positive number such as 0.35, or none"),
        ({"eps": -1e-3}, "eps is -0.001; give 0 for plain cross entropy, or 0.001"),
        ({"eps": math.nan}, "eps is nan"),
        ({"width": 0}, "width is 0; give a positive integer such as 32"),
        ({"saturating": "no"}, "saturating is 'no'; give bool"),
    ],
    ids=str,
)
def test_what_cannot_work_is_refused_in_a_sentence(options, message):
    with pytest.raises(InvalidOption, match=message):
        make(**options)


def test_it_is_built_for_one_shape():
    with pytest.raises(MissingContext, match="VAEGAN needs image_shape"):
        losses.build("vae-gan")
    recon, target, _ = images()
    with pytest.raises(InvalidOption, match=r"built for images \(1, 16, 8\) but got \(1, 16, 16\)"):
        make((1, 16, 8))(recon, target, None)
