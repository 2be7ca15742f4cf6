"""The loss contract in the trainer: every hook does what it promises, and nothing else."""

import itertools
import math
from pathlib import Path

import contract_losses as losses_
import pytest
import tiny
import torch
from torch import Tensor

import losses
from harness import run
from harness.errors import HarnessError
from harness.seeds import generator
from losses.sum import WeightedSum

SGD = {"optimizer": "sgd", "lr": 1e-3, "epochs": 1, "limit": 64}


def encoder_state(trainer: tiny.Trainer) -> dict[str, Tensor]:
    return tiny.state_of(trainer.model.encoder)


def test_the_objective_is_the_mean_energy_plus_beta_times_the_mean_kl() -> None:
    """One step of plain gradient descent equals the step computed by hand."""
    beta, lr = 0.7, 1e-3
    trainer = tiny.trainer(losses_.Plain(), keys=SGD | {"batch": 64}, beta=beta)
    reference = tiny.model()
    before = tiny.state_of(reference)
    batch = next(iter(trainer.batches.shuffled(generator("order", *tiny.AXES, 0))))
    trainer.run()

    reference.train()
    noise = generator("posterior", *tiny.AXES, 0)
    record = reference(batch, noise)
    energy = ((record.recon - batch) ** 2).sum((1, 2, 3)).mean()
    kl = -0.5 * (1 + record.logvar - record.mu**2 - record.logvar.exp()).sum(1).mean()
    (energy + beta * kl).backward()
    for name, parameter in reference.named_parameters():
        expected = before[name] - lr * parameter.grad
        found = trainer.model.get_parameter(name)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)
    assert trainer.result.curve_energy == pytest.approx([energy.item()], rel=1e-5)
    assert trainer.result.curve_kl == pytest.approx([kl.item()], rel=1e-5)


def test_main_parameters_move_in_the_main_optimiser_at_their_own_rate() -> None:
    """The group's rate is main_lr, times the schedule; a backbone is never trained."""
    loss = losses_.Learned()
    backbone = tiny.state_of(loss.backbone)
    trainer = tiny.trainer(loss, keys={"schedule": "step[every=1,factor=0.5]", "epochs": 2})
    trainer.run()
    ours = [g for g in trainer.steps.optimizer.param_groups if g["params"][0] is loss.log_scale]
    assert [(g["base_lr"], g["lr"]) for g in ours] == [(0.05, 0.025)]
    # Adam's first steps are as long as the rate: four of 0.05, four of 0.025
    assert 0.15 < loss.log_scale.abs().item() <= 0.3 + 1e-6
    assert tiny.same(backbone, tiny.state_of(loss.backbone))
    assert not any(p.requires_grad for p in loss.backbone.parameters())


def test_a_companion_has_its_own_optimiser_and_rate() -> None:
    """It moves by companion_lr, and the main optimiser does not hold it."""
    loss = losses_.Companioned()
    before = tiny.state_of(loss.companion)
    trainer = tiny.trainer(loss, keys={"epochs": 1, "batch": 64, "lr": 0.5})
    trainer.run()
    main = {id(p) for group in trainer.steps.optimizer.param_groups for p in group["params"]}
    assert not main & {id(p) for p in loss.companion.parameters()}
    assert trainer.steps.companion_optimizer is not None
    moved = (loss.companion.weight.detach() - before["weight"]).abs()
    assert float(moved.max()) == pytest.approx(0.01, rel=1e-3)  # one step of Adam


def test_a_companion_sees_detached_inputs_after_the_main_step() -> None:
    """Its inputs carry no graph, and are those of the same iteration's main pass."""
    loss = losses_.Companioned()
    tiny.trainer(loss, keys={"epochs": 1}).run()
    assert len(loss.seen) == 4
    for (recon, target, latent, generated), used, drawn in zip(
        loss.seen, loss.targets, loss.latents, strict=True
    ):
        assert not (recon.requires_grad or latent.requires_grad)
        assert generated is None  # no decoder loss asked for generated images
        assert recon.shape == (16, 1, 16, 16)
        assert torch.equal(target, used) and torch.equal(latent, drawn)


def test_a_companion_step_follows_the_main_step() -> None:
    """The first main step sees the companion's initial values, its gradient a trained model's."""
    order: list[str] = []
    loss = losses_.Companioned()
    trainer = tiny.trainer(loss, keys={"epochs": 1})
    for name, optimizer in (
        ("main", trainer.steps.optimizer),
        ("companion", trainer.steps.companion_optimizer),
    ):
        optimizer.register_step_post_hook(lambda *_, n=name: order.append(n))
    trainer.run()
    assert order == ["main", "companion"] * 4


def test_a_frozen_companion_passes_gradients_to_the_encoder() -> None:
    """During the main step nothing of it requires gradients, yet the encoder learns through it."""
    loss = losses_.Companioned()
    trainer = tiny.trainer(loss, keys=SGD, beta=1e-12)  # no gradient from the divergence
    before = encoder_state(trainer)
    gradients: list[Tensor | None] = []
    trainer.steps.optimizer.register_step_pre_hook(
        lambda *_: gradients.append(loss.companion.weight.grad)
    )
    trainer.run()
    assert loss.frozen == [True] * 4
    for name, parameter in trainer.model.encoder.named_parameters():
        if parameter.ndim > 1:  # batch normalisation takes the gradient of the bias before it
            assert not torch.equal(parameter, before[name]), name
    # what the companion holds at a main step is its own loss's gradient, of the step before
    first, *rest = gradients
    assert first is None and all(found is not None for found in rest)


def test_the_main_step_leaves_no_gradient_in_the_companion() -> None:
    """With companion steps that do nothing the companion stays as it was, bit by bit."""
    loss = losses_.Companioned()
    loss.companion_lr = 0.0
    before = tiny.state_of(loss)
    tiny.trainer(loss, keys={"epochs": 1}).run()
    assert tiny.same(before, tiny.state_of(loss))


def adversarial(weight: float) -> tuple[tiny.Trainer, losses_.Adversarial]:
    loss = losses_.Adversarial(weight=weight)
    trainer = tiny.trainer(loss, keys=SGD | {"batch": 64})
    trainer.run()
    return trainer, loss


def test_a_decoder_loss_cannot_reach_the_encoder() -> None:
    """One step: encoder gradients are the same bits whatever its weight, the decoder's are not."""
    (light, _), (heavy, _) = adversarial(0.0), adversarial(1000.0)
    for name, parameter in light.model.encoder.named_parameters():
        other = heavy.model.encoder.get_parameter(name)
        assert parameter.grad.abs().max() > 0
        assert torch.equal(parameter.grad, other.grad), name
        assert torch.equal(parameter, other), name
    changed = [
        not torch.equal(p.grad, q.grad)
        for p, q in zip(
            light.model.decoder.parameters(), heavy.model.decoder.parameters(), strict=True
        )
    ]
    assert any(changed) and changed[-1]


def test_a_decoder_loss_is_given_generated_images_from_prior_noise() -> None:
    """`generated` decodes N(0, I) of the prior's own generator; `recon` the detached latent."""
    _, loss = adversarial(1.0)
    [(recon, target, latent, generated)] = loss.decoded
    assert not latent.requires_grad and recon.requires_grad and generated.requires_grad
    assert torch.equal(latent, loss.latents[0]) and torch.equal(target, loss.targets[0])
    fresh = tiny.model()
    fresh.train()
    with torch.no_grad():
        noise = torch.randn(64, 4, generator=generator("prior", *tiny.AXES, 0))
        expected = fresh.decode(noise)[1]
    torch.testing.assert_close(generated.detach(), expected, rtol=1e-4, atol=1e-5)
    # the companion is given the same images, detached
    [(_, _, _, passed)] = loss.seen
    assert torch.equal(passed, generated.detach()) and not passed.requires_grad


@pytest.mark.parametrize(
    ("full", "of_run", "expected"),
    [(6, 6, [0, 1, 2, 3, 4, 5]), (6, 3, [0, 2, 4]), (6, 1, [0]), (10, 4, [0, 2.5, 5, 7.5])],
)
def test_progress_counts_epochs_of_the_full_budget(
    full: int, of_run: int, expected: list[float]
) -> None:
    """A tuning trial spends the same share of its epochs in warm-up as the final does."""
    loss = losses_.Plain()
    trained = tiny.trainer(loss, keys={"epochs": full, "batch": 64}, epochs=of_run).run()
    assert loss.progress == expected
    step = full / of_run
    assert trained.curve_epoch == pytest.approx([p + step for p in expected])


def test_the_learning_rate_follows_the_full_budget_too() -> None:
    """In a trial of half the epochs the step comes at half its epochs."""
    loss = losses_.Plain()
    keys = {"epochs": 4, "tuning_epochs": 2, "schedule": "step[every=2,factor=0.1]", "batch": 32}
    trainer = tiny.trainer(loss, keys=keys, epochs=2)
    rates: list[float] = []
    trainer.steps.optimizer.register_step_pre_hook(
        lambda optimizer, *_: rates.append(optimizer.param_groups[0]["lr"])
    )
    trainer.run()
    assert rates == pytest.approx([1e-3, 1e-3, 1e-4, 1e-4])


def test_a_sum_forwards_every_hook_in_training() -> None:
    """Two terms with hooks of their own: both companions and parameters move, both are told."""
    first, second = losses_.Everything(), losses_.Companioned()
    third = losses_.Learned()
    third.main_lr = 0.01
    second.companion_lr = 0.002
    whole = WeightedSum([(1.0, first), (0.5, second), (2.0, third)])
    before = tiny.state_of(whole)
    first.generator = generator("loss")
    trainer = tiny.trainer(whole, keys={"epochs": 2, "tuning_epochs": 1, "batch": 64}, epochs=1)
    trainer.run()
    assert first.progress == second.progress == third.progress == [0]
    moved = {
        name: float((value - before[name]).abs().max())
        for name, value in tiny.state_of(whole).items()
    }
    assert moved["terms.0.companion.weight"] == pytest.approx(1e-2, rel=1e-2)
    assert moved["terms.1.companion.weight"] == pytest.approx(2e-3, rel=1e-2)
    assert moved["terms.0.log_scale"] == pytest.approx(5e-2, rel=1e-2)
    assert moved["terms.2.log_scale"] == pytest.approx(1e-2, rel=1e-2)
    assert moved["terms.2.backbone.weight"] == 0
    assert len(first.decoded) == len(first.seen) == len(second.seen) == 1
    assert torch.equal(first.seen[0][3], second.seen[0][3])  # generated, for both companions
    energies = [loss.energies[0] for loss in (first, second, third)]
    expected = energies[0] + 0.5 * energies[1] + 2 * energies[2]
    assert trainer.result.curve_energy == pytest.approx([expected], rel=1e-5)


def test_a_sums_decoder_loss_takes_its_terms_weight() -> None:
    """Twice the weight in the sum is twice the weight in the loss; the encoder never sees it."""

    def train(outer: float, inner: float) -> tiny.Trainer:
        terms = [(1.0, losses_.Plain()), (outer, losses_.Adversarial(weight=inner))]
        trainer = tiny.trainer(WeightedSum(terms), keys=SGD | {"batch": 64})
        trainer.run()
        return trainer

    doubled, heavier = train(2.0, 1.0), train(2.0, 3.0)
    for p, q in zip(
        doubled.model.encoder.parameters(), heavier.model.encoder.parameters(), strict=True
    ):
        assert torch.equal(p.grad, q.grad)
    last, other = (list(t.model.decoder.parameters())[-1].grad for t in (doubled, heavier))
    assert not torch.equal(last, other)


def test_a_losss_own_randomness_leaves_all_other_draws_alone() -> None:
    """Weighing by random numbers changes the energies, not the order nor the first latents."""
    plain, noisy = losses_.Plain(), losses_.Noisy(generator=generator("loss", 1))
    tiny.trainer(plain, keys={"epochs": 1}).run()
    tiny.trainer(noisy, keys={"epochs": 1}).run()
    assert all(map(torch.equal, plain.targets, noisy.targets))
    assert torch.equal(plain.latents[0], noisy.latents[0])
    assert plain.energies[0] != noisy.energies[0]


def test_the_companions_scale_does_not_hide_the_main_objectives() -> None:
    """A companion whose loss turns NaN is seen as divergence at that step."""

    class Broken(losses_.Companioned):
        def companion_loss(self, *given: Tensor | None) -> Tensor:  # type: ignore[override]
            value = super().companion_loss(*given)  # type: ignore[arg-type]
            return value * math.nan if len(self.seen) == 3 else value

    trained = tiny.trainer(Broken(), keys={"epochs": 1}).run()
    assert (trained.status, trained.diverged_step) == ("diverged", 2)


def test_a_schedule_that_never_starts_is_refused_before_anything_runs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Alone or in a sum, at the budget or beyond; within the budget it is accepted."""
    entry = losses.Entry("late", "contract_losses", "Late", "pointwise", "a test")
    monkeypatch.setitem(losses.REGISTRY, "late", entry)
    for loss, epochs in itertools.product(("late", "l2 + 2*late"), (10, 1000)):
        grid = tiny.tiny_grid(loss, epochs=epochs)
        with pytest.raises(HarnessError, match=r"never starts.*epoch 1000.*raise epochs"):
            run.prepare(grid, run.Options(tmp_path))
    todo = run.prepare(tiny.tiny_grid("late", epochs=1001), run.Options(tmp_path))
    assert [item.cell.loss_spec for item in todo.chosen] == ["late"]
