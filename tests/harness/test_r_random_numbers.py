"""Common random numbers: they depend on dataset, model and seed, never on the loss."""

from pathlib import Path
from typing import Any

import contract_losses as losses_
import pytest
import tiny
import torch

from harness import device as devices
from harness import prepared
from harness.attempt import Attempt, Context
from harness.seeds import derive, generator
from harness.store import Store


def context(tmp_path: Path, loss: str, **keys: Any) -> Context:
    cell = tiny.tiny_cell(loss, **keys)
    splits = prepared.load(cell.dataset, tmp_path / "_data").limited(64)
    return Context(
        cell,
        Store(tmp_path / "tiny"),
        splits,
        torch.device("cpu"),
        {},
        "none",
        "fingerprint",
        lambda event: None,
        lambda: False,
    )


def test_seeds_are_a_function_of_the_axes_alone() -> None:
    """Half of the first 64 bits of the SHA-256 of the axes as JSON; axes never run together."""
    assert derive("order", "photos32", "conv4", 0, 1) == 1419919011078979145
    assert len({derive("a", "b"), derive("ab"), derive("a", "b", ""), derive("b", "a")}) == 4
    assert derive("seed", 1) != derive("seed", "1")
    assert 0 <= derive("x") < 2**63


def test_initial_weights_are_equal_across_losses_and_differ_across_seeds(tmp_path: Path) -> None:
    """Whatever the loss draws while it is built."""
    contexts = [context(tmp_path, loss) for loss in ("l2", "ssim", "l2 + 50*ce")]
    first, *others = [tiny.state_of(found.build_model(0)) for found in contexts]
    assert all(tiny.same(first, other) for other in others)
    assert not tiny.same(first, tiny.state_of(contexts[0].build_model(1)))
    assert not tiny.same(first, tiny.state_of(contexts[0].build_model("tune")))


def test_the_global_generator_is_neither_read_nor_moved(tmp_path: Path) -> None:
    """Building, training and evaluating leave torch's global state as it was, and ignore it."""
    results = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        found = context(tmp_path / str(seed), "l2")
        results.append(Attempt(found, "final", 0, 0.1).run())
        assert torch.equal(before, torch.get_rng_state())
    for name in ("psnr", "frd_gen", "elbo_sigma", "curve_energy"):
        assert results[0][name] == results[1][name]


def drawn(loss: losses_.Plain, seed: int) -> losses_.Plain:
    axes = ("digits16", "conv4", seed)
    # a rate of almost nothing: the latents then show the noise alone
    tiny.trainer(loss, keys={"lr": 1e-12, "optimizer": "sgd"}, axes=axes, beta=0.1).run()
    return loss


@pytest.mark.parametrize("other", [losses_.Companioned, losses_.Adversarial, losses_.Learned])
def test_order_and_latent_noise_are_equal_across_losses(other: type[losses_.Plain]) -> None:
    """Eight steps of two epochs: the same images in the same order, the same latent samples."""
    first, second = drawn(losses_.Plain(), 0), drawn(other(), 0)
    assert len(first.targets) == 8
    assert all(map(torch.equal, first.targets, second.targets))
    for latent, expected in zip(second.latents, first.latents, strict=True):
        torch.testing.assert_close(latent, expected, rtol=1e-4, atol=1e-4)


def test_order_and_latent_noise_differ_across_seeds_and_epochs() -> None:
    """The second epoch is another permutation of the same images."""
    first, second = drawn(losses_.Plain(), 0), drawn(losses_.Plain(), 1)
    assert not torch.equal(first.targets[0], second.targets[0])
    assert not torch.allclose(first.latents[0], second.latents[0], atol=1e-2)
    epochs = [torch.cat(first.targets[:4]), torch.cat(first.targets[4:])]
    assert not torch.equal(*epochs)
    assert torch.equal(*(epoch.flatten(1).sum(1).sort().values for epoch in epochs))


def test_trials_share_one_seed_of_their_own(tmp_path: Path) -> None:
    """So that trials differ by beta alone, and no final repeats a trial's draws."""
    found = context(tmp_path, "l2")
    trials = [Attempt(found, "tune", number, 0.1).axes for number in (0, 7)]
    finals = [Attempt(found, "final", number, 0.1).axes for number in (0, 7)]
    assert trials == [("digits16", "conv4[mlp=16,width=4]", "tune")] * 2
    assert finals[0] != finals[1] and not set(finals) & set(trials)


def test_the_losss_generator_has_axes_of_its_own(tmp_path: Path) -> None:
    """Equal for two losses of one seed, unlike those of order and noise."""
    made = [context(tmp_path, loss).build_loss(3)[1] for loss in ("l2", "l1")]
    numbers = [torch.rand(4, generator=one) for one in made]
    assert torch.equal(*numbers)
    for name in ("init", "order", "posterior", "prior"):
        other = generator(name, "digits16", "conv4[mlp=16,width=4]", 3)
        assert not torch.equal(torch.rand(4, generator=other), numbers[0])


def test_configure_gives_float32_its_full_precision() -> None:
    """Matrix products in float32 are exact unless the protocol says otherwise."""
    devices.configure(torch.device("cpu"), "float32")
    assert torch.get_float32_matmul_precision() == "highest"
