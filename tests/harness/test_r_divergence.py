"""Divergence is found at its very step, and is a result with a cause."""

import math
from pathlib import Path

import contract_losses as losses_
import pytest
import tiny
import torch

import losses
from harness.cell import run_cell
from harness.store import Store
from harness.train import EXPLODED


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("step", [0, 3, 4, 7])
def test_a_non_finite_energy_diverges_at_its_step(step: int, value: float) -> None:
    """Steps count from 0 over all epochs of four; the run ends with that epoch."""
    trained = tiny.trainer(losses_.Breaks(at=step, value=value), keys={"epochs": 4}).run()
    assert (trained.status, trained.diverged_step) == ("diverged", step)
    assert trained.epochs == step // 4 + 1
    assert trained.images_seen == 64 * trained.epochs


@pytest.mark.parametrize("sign", [1, -1])
def test_a_finite_explosion_is_divergence_too(sign: int) -> None:
    """Above 10^4 times the first objective plus one per value; below it is not."""
    first = losses_.Plain()
    tiny.trainer(first, keys={"epochs": 1}).run()
    bound = EXPLODED * (first.energies[0] + 256)
    beyond = losses_.Breaks(at=2, value=sign * 2 * bound / first.energies[2])
    within = losses_.Breaks(at=3, value=sign * 0.5 * bound / first.energies[3])
    trained = tiny.trainer(beyond, keys={"epochs": 1}).run()
    assert (trained.status, trained.diverged_step) == ("diverged", 2)
    assert tiny.trainer(within, keys={"epochs": 1}).run().status == "ok"


def test_parameters_that_turn_nan_after_the_last_step_are_seen() -> None:
    """No later objective shows them, so the parameters themselves are looked at."""
    loss = losses_.BrokenGradient(at=7)
    trained = tiny.trainer(loss, keys={"epochs": 2}).run()
    assert all(map(math.isfinite, loss.energies)) and len(loss.energies) == 8
    assert (trained.status, trained.diverged_step) == ("diverged", 7)


def test_a_nan_gradient_within_shows_at_the_next_step() -> None:
    """The first objective that is not finite is that of the step after."""
    trained = tiny.trainer(losses_.BrokenGradient(at=4), keys={"epochs": 4}).run()
    assert (trained.status, trained.diverged_step, trained.epochs) == ("diverged", 5, 2)


def test_a_huge_learning_rate_diverges_by_itself() -> None:
    """A real divergence, not a planted one."""
    keys = {"lr": 1e6, "optimizer": "sgd", "epochs": 3}
    assert tiny.trainer(losses.build("l2"), keys=keys).run().status == "diverged"


def test_a_learned_parameter_that_turns_nan_diverges_the_run() -> None:
    """The loss's own parameters end in the energy, and so in the objective."""
    loss = losses_.Learned()
    with torch.no_grad():
        loss.log_scale.fill_(math.nan)
    trained = tiny.trainer(loss, keys={"epochs": 1}).run()
    assert (trained.status, trained.diverged_step) == ("diverged", 0)


def register(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = losses.Entry("breaks", "contract_losses", "Breaks", "pointwise", "a test")
    monkeypatch.setitem(losses.REGISTRY, "breaks", entry)


def test_all_trials_diverged_leaves_diverged_finals_with_their_cause(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Each trial keeps its step; the finals say why there are none; nothing runs again."""
    register(monkeypatch)
    cell = tiny.tiny_cell("breaks[at=3]", epochs=4, tuning_epochs=2, seeds=2)
    run_cell(tiny.assignment(cell, tmp_path))
    store = Store(tmp_path / "tiny")
    rows = store.rows()
    tuned, finals = (rows[rows["stage"] == stage] for stage in ("tune", "final"))
    assert list(tuned["status"]) == ["diverged"] * 3
    assert list(tuned["diverged_step"]) == [3] * 3
    assert tuned["cause"].str.fullmatch(r"the objective was not finite or exploded at step 3").all()
    assert list(finals["status"]) == ["diverged"] * 2 and set(finals["seed"]) == {0, 1}
    assert set(finals["cause"]) == {"none of the 3 tuning trials gave a finite frd_gen"}
    assert finals["beta"].isna().all() and rows["psnr"].isna().all()
    run_cell(tiny.assignment(cell, tmp_path))
    assert len(store.rows()) == len(rows) == 5


def test_a_diverged_final_keeps_its_curve_and_no_metrics(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A fixed beta, and a loss that breaks in the second of four epochs."""
    register(monkeypatch)
    cell = tiny.tiny_cell("breaks[at=6]", epochs=4, beta=0.5)
    run_cell(tiny.assignment(cell, tmp_path))
    [row] = Store(tmp_path / "tiny").rows().to_dict("records")
    assert (row["stage"], row["status"], row["diverged_step"]) == ("final", "diverged", 6)
    assert row["epochs"] == 2 and len(row["curve_energy"]) == 2
    assert math.isfinite(row["curve_energy"][0]) and math.isnan(row["curve_energy"][1])
    assert not list((tmp_path / "tiny" / "_models").iterdir())
