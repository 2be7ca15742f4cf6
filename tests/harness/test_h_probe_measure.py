"""What a loss is compared with: noise of the same error, on the same images, in one batch."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

import losses
from harness.probe import measure
from harness.probe.ladder import LEVELS, Rungs
from losses.base import ReconstructionLoss

COUNT = 4
TARGETS = torch.rand(COUNT, 1, 8, 8, generator=torch.Generator().manual_seed(0))
LATENT = torch.zeros(COUNT, 2)


class Coupled(ReconstructionLoss):
    """The squared error over the batch's mean brightness, so that mates count."""

    batch_coupled = True

    def forward(
        self, recon: Tensor, target: Tensor, latent: Tensor, *, logits: Tensor | None = None
    ) -> Tensor:
        return (recon - target).square().flatten(1).sum(1) / target.mean()


def rungs(seed: int, missing: tuple[int, ...] = ()) -> Rungs:
    """Return images spoilt by noise; those `missing` count as not reached, at every level."""
    drawn = torch.randn(TARGETS.shape, generator=torch.Generator().manual_seed(seed))
    noise = torch.stack([level**0.5 * drawn for level in LEVELS])
    reached = torch.ones(len(LEVELS), COUNT, dtype=torch.bool)
    reached[:, list(missing)] = False
    mse = noise.square().mean((2, 3, 4))
    return Rungs(TARGETS + noise, torch.ones_like(mse), mse, reached)


def test_an_image_that_noise_misses_counts_nowhere() -> None:
    ladder = {"noise": rungs(1, missing=(2,)), "blur": rungs(2, missing=(0,))}
    found = measure.react(losses.build("l2"), TARGETS, LATENT, ladder)
    assert {(each.perturbation, each.images) for each in found} == {("noise", 3), ("blur", 2)}
    for each in found:
        chosen = [0, 1, 3] if each.perturbation == "noise" else [1, 3]
        number = LEVELS.index(each.level)
        spoilt = ladder[each.perturbation]
        error = (spoilt.images[number] - TARGETS)[chosen].square().sum((1, 2, 3)).mean()
        noise = (ladder["noise"].images[number] - TARGETS)[chosen].square().sum((1, 2, 3)).mean()
        assert each.energy == pytest.approx(float(error) / 2, rel=1e-5)
        assert each.ratio == pytest.approx(float(error / noise), rel=1e-5)
        assert each.mse == pytest.approx(float(spoilt.mse[number][chosen].mean()), rel=1e-6)


def test_a_level_that_noise_misses_too_often_is_left_out() -> None:
    ladder = {"noise": rungs(1, missing=(0, 1, 2, 3)), "blur": rungs(2)}
    assert measure.react(losses.build("l2"), TARGETS, LATENT, ladder) == ()


def test_a_coupled_loss_is_compared_within_one_batch() -> None:
    """The same noise under two names: the ratio is 1, whatever images are left out."""
    noise = rungs(1)
    ladder = {"noise": noise, "blur": replace(noise, reached=rungs(1, missing=(1, 3)).reached)}
    found = measure.react(Coupled(), TARGETS, LATENT, ladder)
    ratios = [(each.ratio, each.gradient_ratio) for each in found if each.perturbation == "blur"]
    assert len(ratios) == len(LEVELS)
    assert all(pair == pytest.approx((1, 1), rel=1e-6) for pair in ratios)
