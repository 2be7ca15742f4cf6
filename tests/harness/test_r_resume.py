"""Bit-exact resume: an interrupted training run ends with the very bits of an uninterrupted one."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import contract_losses as losses_
import pandas as pd
import pytest
import tiny
import torch

import losses
from harness import plan
from harness.adoption import adopt
from harness.cell import run_cell
from harness.checkpoint import Checkpoint
from harness.errors import Interrupted
from harness.seeds import generator
from harness.store import Store
from harness.train import Trainer
from losses.sum import WeightedSum

KEYS = {"epochs": 3, "schedule": "triangular[cycle=2]", "beta": 0.1}  # 12 steps


def everything() -> tuple[Any, torch.Generator]:
    """Return a loss with all hooks, companions and randomness, and its generator."""
    own = generator("loss", 0)
    terms = [
        (1.0, losses_.Everything(generator=own)),
        (0.5, losses_.Noisy(generator=own)),
        (2.0, losses_.Companioned()),
    ]
    return WeightedSum(terms), own


def outcome(trainer: Trainer) -> dict[str, torch.Tensor]:
    """Return all state that training left, as tensors."""
    found = {f"model.{name}": value for name, value in tiny.state_of(trainer.model).items()}
    found |= {f"loss.{name}": value for name, value in tiny.state_of(trainer.loss).items()}
    for name in ("optimizer", "companion_optimizer"):
        state = getattr(trainer.steps, name).state_dict()["state"]
        for index, slots in state.items():
            found |= {f"{name}.{index}.{slot}": value for slot, value in slots.items()}
    for name in ("curve_epoch", "curve_energy", "curve_kl"):
        found[name] = torch.tensor(getattr(trainer.result, name), dtype=torch.float64)
    found["loss_generator"] = trainer.loss_generator.get_state()
    return found


def make(path: Path | None, fingerprint: str = "this run", **rest: Any) -> Trainer:
    loss, own = everything()
    checkpoint = Checkpoint(path, fingerprint) if path else None
    return tiny.trainer(loss, keys=KEYS, loss_generator=own, checkpoint=checkpoint, **rest)


@pytest.fixture(scope="module")
def uninterrupted() -> dict[str, torch.Tensor]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    trainer = make(None)
    trainer.run()
    torch.set_num_threads(threads)
    return outcome(trainer)


@pytest.mark.parametrize("steps", [0, 1, 3, 4, 6, 11])
def test_an_interrupted_run_ends_with_the_same_bits(
    uninterrupted: dict[str, torch.Tensor], tmp_path: Path, steps: int
) -> None:
    """At the start, within an epoch, at its border, before the last step; all hooks in use."""
    path = tmp_path / "run.pt"
    with pytest.raises(Interrupted):
        make(path, stop=tiny.stop_after(steps)).run()
    assert path.exists()
    resumed = make(path)
    trained = resumed.run()
    assert trained.status == "ok" and trained.images_seen == 3 * 64
    assert len(resumed.loss.terms[0].energies) == 12 - steps
    found = outcome(resumed)
    assert tiny.same(found, uninterrupted), _different(found, uninterrupted)


def _different(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> list[str]:
    return [name for name, value in first.items() if not torch.equal(value, second[name])]


def test_many_interruptions_add_up(uninterrupted: dict[str, torch.Tensor], tmp_path: Path) -> None:
    """A stop after every second step."""
    path = tmp_path / "run.pt"
    for _ in range(5):
        with pytest.raises(Interrupted):
            make(path, stop=tiny.stop_after(2)).run()
    resumed = make(path)
    resumed.run()
    assert len(resumed.loss.terms[0].energies) == 2
    assert tiny.same(outcome(resumed), uninterrupted)


def test_a_checkpoint_at_an_epochs_end_resumes_too(
    uninterrupted: dict[str, torch.Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a killed process leaves: the state after some epoch, with no interruption."""
    monkeypatch.setattr(Checkpoint, "due", lambda self: True)
    path = tmp_path / "run.pt"

    class Killed(BaseException):
        pass

    calls = iter(range(12))

    def stop() -> bool:
        if next(calls) == 9:  # in the third epoch
            raise Killed
        return False

    with pytest.raises(Killed):
        make(path, stop=stop).run()
    resumed = make(path)
    resumed.run()
    assert len(resumed.loss.terms[0].energies) == 4
    assert tiny.same(outcome(resumed), uninterrupted)


def test_divergence_before_the_interruption_is_remembered(tmp_path: Path) -> None:
    """The first bad step lies before the stop, within the same epoch."""
    checkpoint = Checkpoint(tmp_path / "run.pt", "x")
    rest: dict[str, Any] = {"keys": {"epochs": 2}, "checkpoint": checkpoint}
    with pytest.raises(Interrupted):
        tiny.trainer(losses_.Breaks(at=1), stop=tiny.stop_after(3), **rest).run()
    trained = tiny.trainer(losses_.Plain(), **rest).run()
    assert (trained.status, trained.diverged_step) == ("diverged", 1)


def test_another_runs_checkpoint_is_ignored(
    uninterrupted: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    """A fingerprint that differs: the run starts from its beginning."""
    path = tmp_path / "run.pt"
    with pytest.raises(Interrupted):
        make(path, "another run", stop=tiny.stop_after(5)).run()
    trainer = make(path)
    trainer.run()
    assert len(trainer.loss.terms[0].energies) == 12
    assert tiny.same(outcome(trainer), uninterrupted)


@pytest.mark.parametrize("damage", ["cut", "noise", "empty", "pickle"])
def test_a_damaged_checkpoint_is_ignored_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    """Whatever lies there, the run starts again, and no pickled code runs."""
    path = tmp_path / "run.pt"
    Checkpoint(path, "x").save({"value": torch.zeros(1000)})
    whole = path.read_bytes()
    if damage == "pickle":
        torch.save({"fingerprint": "x", "state": Path("/")}, path)
    else:
        content = {"cut": whole[: len(whole) // 2], "noise": b"\x00\x93" * 999, "empty": b""}
        path.write_bytes(content[damage])
    with caplog.at_level(logging.WARNING):
        assert Checkpoint(path, "x").load() is None
    assert "run.pt is damaged" in caplog.text and "starts again" in caplog.text


@pytest.mark.parametrize("content", [{}, [1, 2], torch.zeros(2)])
def test_a_foreign_torch_file_is_ignored(tmp_path: Path, content: Any) -> None:
    """It can be read, but is none of ours."""
    path = tmp_path / "run.pt"
    torch.save(content, path)
    assert Checkpoint(path, "x").load() is None


def test_checkpoints_are_spaced_by_what_they_cost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not in the first ten seconds; then at most 2 % of the time goes into writing."""
    now = [0.0]
    monkeypatch.setattr("harness.checkpoint.time.monotonic", lambda: now[0])
    checkpoint = Checkpoint(tmp_path / "run.pt", "x")
    due = []
    for now[0] in (1.0, 9.9, 10.1):
        due.append(checkpoint.due())
    assert due == [False, False, True]

    def slow(path: Path, write: Any) -> None:
        now[0] += 0.4

    monkeypatch.setattr("harness.checkpoint.write_atomically", slow)
    checkpoint.save({})
    start = now[0]
    due = []
    for now[0] in (start + 19.9, start + 20.1):
        due.append(checkpoint.due())
    assert due == [False, True]


def run_in_pieces(cell: Any, folder: Path, steps: int) -> int:
    """Run a cell with a stop after every `steps` steps; return the number of interruptions."""
    for count in range(100):
        try:
            run_cell(tiny.assignment(cell, folder), stop=tiny.stop_after(steps))
        except Interrupted:
            assert list((folder / "tiny" / "_checkpoints").iterdir())
            continue
        return count
    raise AssertionError("the cell does not come to an end")


@pytest.mark.slow
def test_a_cell_begun_in_another_grid_is_continued(tmp_path: Path) -> None:
    """Rows, study and the interrupted training go over; the numbers are those of one run."""
    cell = tiny.tiny_cell("l1", trials=4, epochs=2)
    whole = tiny.assignment(cell, tmp_path / "whole")
    run_cell(whole)
    first = tiny.assignment(cell, tmp_path / "results")
    with pytest.raises(Interrupted):  # in the third trial, of four steps each
        run_cell(first, stop=tiny.stop_after(10))
    second = replace(first, results=tmp_path / "results" / "second")
    store = Store(second.results)
    store.prepare()
    [item] = plan.check([cell], {})
    found = adopt(item, store, tmp_path / "results")
    assert (found.state, found.trials) == ("partial", 2)
    assert [path.name.split(".")[1] for path in (store.root / "_checkpoints").iterdir()] == [
        "tune002"
    ]
    told: list[tuple[str, int]] = []

    def tell(event: dict[str, Any]) -> None:
        if event["event"] == "epoch":
            told.append((event["stage"], event["number"]))

    run_cell(second, tell)
    assert told == [("tune", 2), ("tune", 3), ("final", 0), ("final", 0)]
    tiny.assert_same_numbers(store.rows(), Store(whole.results).rows())
    assert len(Store(first.results).rows()) == 2  # the other grid's own is as it was


@pytest.mark.slow
def test_a_cell_run_in_pieces_has_the_rows_of_one_run_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tuning and final, all columns that are numbers; the checkpoints are gone afterwards."""
    entry = losses.Entry("everything", "contract_losses", "Everything", "adversarial", "a test")
    monkeypatch.setitem(losses.REGISTRY, "everything", entry)
    cell = tiny.tiny_cell("2*everything + l1", epochs=3, tuning_epochs=2, seeds=2)
    run_cell(tiny.assignment(cell, tmp_path / "once"))
    # 3 trials of 8 steps and 2 finals of 12
    assert run_in_pieces(cell, tmp_path / "pieces", 7) == 6
    once, pieces = (Store(tmp_path / name / "tiny") for name in ("once", "pieces"))
    tiny.assert_same_numbers(once.rows(), pieces.rows())
    assert len(pieces.rows()) == 5
    for store in (once, pieces):
        assert not list((store.root / "_checkpoints").iterdir())
    for seed in (0, 1):
        models = [s.artefact("models", cell.id, seed, "safetensors") for s in (once, pieces)]
        assert models[0].read_bytes() == models[1].read_bytes()
        scores = [
            pd.read_parquet(s.artefact("scores", cell.id, seed, "parquet")) for s in (once, pieces)
        ]
        pd.testing.assert_frame_equal(*scores, check_exact=True)
