"""Snapshots: what a loss shows of itself, of the same images, at the end of epochs."""

from pathlib import Path
from typing import Any

import contract_losses as losses_
import numpy as np
import pytest
import test_r_resume
import tiny
import torch

import losses
from harness.cell import run_cell
from harness.snapshots import Snapshots
from harness.store import Store
from losses.sum import WeightedSum


def read(folder: Path, cell: str, seed: int) -> dict[str, np.ndarray]:
    path = folder / "tiny" / "_images" / f"{cell}.s{seed}.snapshots.npz"
    with np.load(path, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def train(loss: Any, epochs: int, snapshots: Snapshots | None) -> tiny.Trainer:
    trainer = tiny.trainer(loss, keys={"epochs": epochs}, snapshots=snapshots)
    trainer.run()
    return trainer


def test_snapshots_are_of_the_posterior_means_of_the_first_images() -> None:
    """After the last epoch they equal what the trained model says itself."""
    loss, taken = losses_.Showing(), Snapshots(tiny.images(), 3)
    trainer = train(loss, 3, taken)
    found = taken.arrays()
    assert np.array_equal(found["inputs"], tiny.images()[:8])
    assert found["epochs_latent"].tolist() == found["epochs_kernel"].tolist() == [1, 2, 3]
    assert found["snapshot_latent"].shape == (3, 8, 4)
    assert found["snapshot_kernel"].shape == (3, 8, 1, 3, 3)
    assert found["snapshot_kernel"].dtype == np.float32
    with torch.no_grad():
        batch = torch.from_numpy(tiny.images()[:8]).float() / 255
        mu = trainer.model.eval().encode(batch)[0]
    np.testing.assert_array_equal(found["snapshot_latent"][-1], mu.numpy())
    np.testing.assert_array_equal(
        found["snapshot_kernel"][-1, 5], loss.companion.weight.detach()[0].numpy()
    )
    # the companion learns, so what was kept is a copy of its time
    assert not np.array_equal(found["snapshot_kernel"][0], found["snapshot_kernel"][1])
    # what a loss shows only later has epochs of its own
    assert found["epochs_late"].tolist() == [2, 3] and len(found["snapshot_late"]) == 2


def test_snapshots_change_nothing() -> None:
    """The same training, bit by bit, with and without them; in a sum, too."""
    states = []
    for snapshots in (None, Snapshots(tiny.images(), 2)):
        own = torch.Generator().manual_seed(0)
        loss = WeightedSum([(1.0, losses_.Showing()), (2.0, losses_.Noisy(generator=own))])
        trainer = train(loss, 2, snapshots)
        states.append(tiny.state_of(trainer.model) | tiny.state_of(trainer.loss))
    assert tiny.same(*states)
    assert snapshots is not None and snapshots.arrays()["epochs_kernel"].tolist() == [1, 2]


@pytest.mark.parametrize(("epochs", "last"), [(1, [1]), (20, [18, 19, 20]), (100, [90, 95, 100])])
def test_snapshots_are_evenly_spaced(epochs: int, last: list[int]) -> None:
    due = sorted(Snapshots(tiny.images(), epochs).due)
    assert len(due) == min(epochs, 20) and due[-3:] == last


def test_a_loss_without_snapshots_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The model is not even asked for latents; in a sum of such losses neither."""
    taken = Snapshots(tiny.images(), 1)
    monkeypatch.setattr("harness.snapshots.Batches", None)  # would fail when used
    train(WeightedSum([(2.0, losses_.Plain())]), 1, taken)
    assert taken.arrays() == {}


def test_final_models_leave_snapshots_also_when_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One file of the seed, none of the trial; a run in pieces keeps the same arrays."""
    entry = losses.Entry("showing", "contract_losses", "Showing", "learned", "a test")
    monkeypatch.setitem(losses.REGISTRY, "showing", entry)
    cell = tiny.tiny_cell("showing", epochs=3, trials=1)
    run_cell(tiny.assignment(cell, tmp_path / "once"))
    assert test_r_resume.run_in_pieces(cell, tmp_path / "pieces", 5) > 2
    once, pieces = (read(tmp_path / name, cell.id, 0) for name in ("once", "pieces"))
    assert once.keys() == pieces.keys() and once["epochs_latent"].tolist() == [1, 2, 3]
    assert all(np.array_equal(value, pieces[name]) for name, value in once.items())
    kept = sorted(p.name for p in (tmp_path / "once" / "tiny" / "_images").iterdir())
    assert kept == [f"{cell.id}.s0.npz", f"{cell.id}.s0.snapshots.npz"]


def test_the_report_reads_pictures_beside_snapshots(tmp_path: Path) -> None:
    """The two kinds of files of a seed do not get in each other's way."""
    from harness import artefacts
    from harness.report.artefacts import load_pictures

    store = Store(tmp_path / "g")
    artefacts.save_snapshots(store, "c", 0, {"inputs": np.zeros(1)})
    assert load_pictures(store, "c", [0]) == ()
    artefacts.save_snapshots(store, "c", 0, {})
    assert not list((store.root / "_images").iterdir())
