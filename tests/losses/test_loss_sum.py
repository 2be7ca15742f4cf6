"""Sums forward every hook of their terms."""

import copy
import math
from typing import Unpack

import pytest
import torch
from torch import Tensor, nn

import losses
from losses.base import Context, ReconstructionLoss
from losses.sum import InvalidWeight, WeightedSum


class Critic(ReconstructionLoss):
    """A loss with every hook, its values easy to add up by hand."""

    beta_range = (0.5, 40.0)
    native_scale = 12.0
    companion_lr = 3e-4

    def __init__(self, *, size: int = 2, **context: Unpack[Context]) -> None:
        super().__init__(**context)
        self.log_scale = nn.Parameter(torch.zeros(()))
        self.companion = nn.Linear(size, 1)
        self.heard: list[float] = []

    def main_parameters(self):
        return [self.log_scale]

    def start_epoch(self, progress: float) -> None:
        self.heard.append(progress)

    def decoder_loss(
        self, recon: Tensor, target: Tensor, latent: Tensor, generated: Tensor
    ) -> Tensor:
        return recon.flatten(1).sum(1) + generated.sum()

    def companion_loss(
        self, recon: Tensor, target: Tensor, latent: Tensor, generated: Tensor
    ) -> Tensor:
        return self.companion(latent).mean() + generated.mean()

    def forward(
        self, recon: Tensor, target: Tensor, latent: Tensor, *, logits: Tensor | None = None
    ) -> Tensor:
        assert logits is not None
        return logits.flatten(1).sum(1)


class Late(ReconstructionLoss):
    beta_range = (0.2, 30.0)
    starts_at = 3.0
    batch_coupled = True
    main_lr = 0.5

    def __init__(self, **context: Unpack[Context]) -> None:
        super().__init__(**context)
        self.shape = nn.Parameter(torch.ones(2))

    def main_parameters(self):
        return [self.shape]

    def decoder_loss(
        self, recon: Tensor, target: Tensor, latent: Tensor, generated: Tensor
    ) -> Tensor:
        return generated.mean()

    def forward(
        self, recon: Tensor, target: Tensor, latent: Tensor, *, logits: Tensor | None = None
    ) -> Tensor:
        return recon.new_ones(len(recon))


class Pretrained(ReconstructionLoss):
    requires = ("vgg19",)


@pytest.fixture
def tensors():
    generator = torch.Generator().manual_seed(0)
    recon, target, generated = torch.rand(3, 4, 3, 2, 2, generator=generator)
    return recon, target, torch.randn(4, 2, generator=generator), generated


def test_energies_add_up(tensors):
    recon, target, latent, _ = tensors
    total = WeightedSum([(2.0, losses.build("l2")), (0.5, losses.build("l1")), (3, Critic())])
    logits = recon.logit()
    difference = (recon - target).flatten(1)
    expected = (
        difference.square().sum(1) + 0.5 * difference.abs().sum(1) + 3 * logits.flatten(1).sum(1)
    )
    assert torch.allclose(total(recon, target, latent, logits=logits), expected)


def test_attributes_are_merged():
    total = WeightedSum([(2.0, Critic()), (0.1, Critic()), (1.0, Late())])
    # Energies add, and so do the weights at which coding a unit pays.
    assert total.beta_range == pytest.approx((2 * 0.5 + 0.1 * 0.5 + 0.2, 2 * 40 + 0.1 * 40 + 30))
    assert math.isnan(total.native_scale)
    assert total.starts_at == 3.0
    assert total.batch_coupled is True
    assert total.density is False
    assert WeightedSum([(2.0, Critic()), (1.0, Critic())]).native_scale == 12.0
    pretrained = Pretrained(weights={"vgg19": "there"})
    assert WeightedSum([(1.0, pretrained), (2.0, pretrained)]).requires == ("vgg19",)


def test_a_sum_of_densities_is_no_density():
    total = WeightedSum([(1.0, losses.build("sigma"))])
    assert losses.build("sigma").density is True
    assert total.density is False
    assert total.batch_coupled is False


def test_optimiser_groups_keep_their_learning_rates():
    critic, late, other = Critic(), Late(), Critic(size=3)
    other.companion_lr = 7e-4
    total = WeightedSum([(1.0, critic), (2.0, late), (3.0, other), (1.0, losses.build("l2"))])
    assert [group["lr"] for group in total.main_groups()] == [1e-3, 0.5, 1e-3]
    assert total.main_groups()[1]["params"][0] is late.shape
    assert len(list(total.main_parameters())) == 3
    assert [group["lr"] for group in total.companion_groups()] == [3e-4, 7e-4]
    torch.optim.Adam(total.main_groups() + total.companion_groups())


def test_hooks_are_none_where_no_term_has_one():
    total = WeightedSum([(1.0, losses.build("l2")), (2.0, losses.build("l1"))])
    assert total.companion is None
    assert total.companion_loss is None
    assert total.decoder_loss is None
    assert total.main_groups() == total.companion_groups() == []


def test_decoder_losses_are_weighted(tensors):
    recon, target, latent, generated = tensors
    total = WeightedSum([(2.0, Critic()), (10.0, Late()), (5.0, losses.build("l2"))])
    expected = 2 * (recon.flatten(1).sum(1) + generated.sum()) + 10 * generated.mean()
    assert torch.allclose(total.decoder_loss(recon, target, latent, generated), expected)


def test_companion_losses_are_not_weighted(tensors):
    recon, target, latent, generated = tensors
    first, second = Critic(), Critic()
    total = WeightedSum([(2.0, first), (9.0, second), (1.0, Late())])
    expected = first.companion(latent).mean() + second.companion(latent).mean()
    assert torch.allclose(
        total.companion_loss(recon, target, latent, generated), expected + 2 * generated.mean()
    )


def test_every_term_hears_the_time():
    first, second = Critic(), Critic()
    nested = WeightedSum([(1.0, first), (1.0, WeightedSum([(1.0, second)]))])
    nested.start_epoch(1.5)
    assert first.heard == second.heard == [1.5]


def test_the_state_holds_every_tensor_once():
    total = WeightedSum([(1.0, Critic()), (2.0, Late()), (3.0, Critic())])
    assert sorted(total.state_dict()) == [
        "terms.0.companion.bias",
        "terms.0.companion.weight",
        "terms.0.log_scale",
        "terms.1.shape",
        "terms.2.companion.bias",
        "terms.2.companion.weight",
        "terms.2.log_scale",
    ]
    assert len(list(total.parameters())) == 7
    assert sum(p.numel() for p in total.companion.parameters()) == 6


def test_moving_a_sum_moves_its_companions():
    total = WeightedSum([(1.0, Critic()), (2.0, losses.build("l2"))]).double()
    assert all(p.dtype == torch.float64 for p in total.companion.parameters())
    on_meta = copy.deepcopy(total).to("meta")
    assert all(p.device.type == "meta" for p in on_meta.companion.parameters())


def test_a_copy_shares_nothing_with_the_original(tensors):
    recon, target, latent, generated = tensors
    total = WeightedSum([(1.0, Critic())])
    twin = copy.deepcopy(total)
    assert twin.companion[0] is twin.terms[0].companion
    with torch.no_grad():
        twin.companion[0].bias += 1
    change = twin.companion_loss(recon, target, latent, generated) - total.companion_loss(
        recon, target, latent, generated
    )
    assert change.item() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("weight", [0.0, -1.0, math.nan, math.inf])
def test_weights_must_be_positive_and_finite(weight):
    with pytest.raises(InvalidWeight, match=f"is {weight}; give a positive finite number"):
        WeightedSum([(weight, losses.build("l2"))])


def test_a_sum_needs_terms():
    with pytest.raises(ValueError, match="no terms"):
        WeightedSum([])


def test_a_loss_must_define_forward(tensors):
    recon, target, latent, _ = tensors
    with pytest.raises(NotImplementedError, match="ReconstructionLoss does not define forward"):
        ReconstructionLoss()(recon, target, latent)


def test_a_sum_couples_a_batch_when_a_term_does_now():
    """VAE-GAN's batch norm couples images in training alone."""
    gan = losses.build("vae-gan", image_shape=(1, 16, 16), width=4)
    total = WeightedSum([(1.0, losses.build("l2")), (1.0, gan)])
    assert total.train().batch_coupled
    assert not total.eval().batch_coupled
    assert total.train().batch_coupled


def test_snapshots_of_several_terms_stand_side_by_side():
    def blur(seed):
        generator = torch.Generator().manual_seed(seed)
        return losses.build(
            "blur", image_shape=(1, 8, 8), latent_size=2, generator=generator, hidden=4
        )

    first, second, latent = blur(0), blur(1), torch.ones(3, 2)
    found = WeightedSum([(1.0, first), (1.0, losses.build("l2")), (2.0, second)]).snapshot(latent)
    assert found.keys() == {"kernels_1", "kernels_3"}
    assert torch.equal(found["kernels_1"], first.snapshot(latent)["kernels"])
    assert torch.equal(found["kernels_3"], second.snapshot(latent)["kernels"])
    assert not torch.equal(found["kernels_1"], found["kernels_3"])
    alone = WeightedSum([(1.0, losses.build("l2")), (2.0, second)]).snapshot(latent)
    assert alone.keys() == {"kernels"}
