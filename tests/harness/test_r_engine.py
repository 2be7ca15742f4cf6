"""The local engine with real processes: deaths are rows, and the rest of the grid goes on."""

import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import tiny

import losses
from harness import device, grid, run, weights
from harness.engines.forkserver import warm_up
from harness.errors import HarnessError, Interrupted, StoreError
from harness.processors import cores
from harness.store import Store, newest

Tell = Callable[[str, dict[str, Any]], None]


def execute(found: grid.Grid, folder: Path, tell: Tell | None = None, **rest: Any) -> pd.DataFrame:
    """Run a grid as the command line does and return its current rows."""
    options = run.Options(folder, device="cpu", **({"jobs": 2} | rest))
    rows = run.execute(run.prepare(found, options), options, tell or (lambda cell, event: None))
    return newest(rows)


def deadly(entries: list[tuple[str, dict[str, Any]]], huge: bool = False) -> grid.Grid:
    """Return a grid with a protocol for each loss, and a model that no machine can hold."""
    losses = [{"loss": loss, "protocol": keys} for loss, keys in entries]
    block = {"losses": losses, "datasets": [tiny.DATASET], "models": [tiny.MODEL]}
    blocks = [block]
    if huge:
        models = ["conv4[width=4,mlp=10000000000000]"]
        blocks.append({"losses": ["l2"], "datasets": [tiny.DATASET], "models": models})
    return grid.make({"name": "tiny", "protocol": tiny.KEYS, "block": blocks}, "test", {})


class Pids:
    """Knows the process of each running cell from the order in which they begin."""

    def __init__(self) -> None:
        self.of: dict[str, int] = {}

    def tell(self, cell: str, event: dict[str, Any]) -> None:
        if event["event"] == "began":
            running = {child.pid or 0 for child in multiprocessing.active_children()}
            [self.of[cell]] = running - set(self.of.values())

    def kill(self, cell: str, number: int) -> None:
        os.kill(self.of[cell], number)


@pytest.fixture(scope="module", autouse=True)
def warm() -> None:
    """Wait until the fork server has imported torch, so that no test's time counts it."""
    process = warm_up().Process(target=len, args=((),))
    process.start()
    process.join()


LONG = {"epochs": 15, "tuning_epochs": 15}
SHORT = {"epochs": 3, "tuning_epochs": 3}  # the second epoch is where it dies
DEADLY = deadly(
    [
        ("l2", SHORT | {"beta": 0.1, "seeds": 2}),
        ("l1", SHORT | {"trials": 1}),
        ("ssim", {"epochs": 100000, "tuning_epochs": 100000}),
        ("ce", {"epochs": 1, "beta": 0.5}),
    ],
    huge=True,
)
TIMEOUT = 1.2  # seconds


@pytest.fixture(scope="module")
def died(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pd.DataFrame, list[Any]]:
    """Run five cells, of which four die, each in its own way."""
    folder, told, pids = tmp_path_factory.mktemp("died"), [], Pids()

    def tell(cell: str, event: dict[str, Any]) -> None:
        told.append((cell, event))
        pids.tell(cell, event)
        if event["event"] == "epoch" and event["epoch"] == 2:
            if "-l2-" in cell and event["number"] == 1:
                pids.kill(cell, signal.SIGKILL)
            if "-l1-" in cell:
                pids.kill(cell, signal.SIGSEGV)

    # the endless cell has a run of its own: no other has to be faster than its time
    execute(DEADLY, folder, tell, only="*-width4-[lc]*")
    return folder, execute(DEADLY, folder, tell, only="ssim", timeout=TIMEOUT), told


def row_of(rows: pd.DataFrame, loss: str, mlp: str = "mlp=16", **where: Any) -> dict[str, Any]:
    found = rows[(rows["loss"] == loss) & rows["model"].str.contains(mlp + ",", regex=False)]
    for key, value in where.items():
        found = found[found[key] == value]
    [row] = found.to_dict("records")
    return row


def test_a_killed_process_is_out_of_memory(died: Any) -> None:
    """Signal 9 in the second seed: a row with its stage, seed and β; the first seed's stands."""
    _, rows, _ = died
    assert row_of(rows, "l2", seed=0)["status"] == "ok"
    row = row_of(rows, "l2", seed=1)
    assert (row["stage"], row["beta"], row["status"]) == ("final", 0.1, "out_of_memory")
    assert "killed" in row["cause"] and "signal 9" in row["cause"]


def test_a_crashed_process_is_a_failure(died: Any) -> None:
    """A segmentation fault: the cause names the signal and the log file, which exists."""
    folder, rows, _ = died
    row = row_of(rows, "l1")
    assert (row["stage"], row["trial"], row["status"]) == ("tune", 0, "failed")
    low, high = losses.build("l1", image_shape=(1, 16, 16)).beta_range
    assert row["beta"] == pytest.approx((low * high) ** 0.5)  # one trial: the range's middle
    log = folder / "tiny" / "_logs" / f"{row['cell']}.log"
    assert row["cause"] == f"the process crashed with SIGSEGV; see {log}" and log.exists()


def test_a_cell_over_its_time_is_a_timeout(died: Any) -> None:
    """It ran until its time was over and no longer."""
    _, rows, told = died
    row = row_of(rows, "ssim")
    assert (row["stage"], row["trial"], row["status"]) == ("tune", 0, "timeout")
    assert row["cause"] == "the cell took longer than 0.02 minutes"
    [ended] = [e for cell, e in told if cell == row["cell"] and e["event"] == "ended"]
    assert TIMEOUT <= ended["seconds"] < TIMEOUT + 5


def test_a_model_beyond_all_memory_is_out_of_memory(died: Any) -> None:
    """The allocator refuses it: the row is the cell's own, with versions."""
    _, rows, _ = died
    row = row_of(rows, "l2", "mlp=10000000000000")
    assert (row["stage"], row["trial"], row["status"]) == ("tune", 0, "out_of_memory")
    assert "allocate" in row["cause"] and row["torch_version"]


def test_the_rest_of_the_grid_goes_on(died: Any) -> None:
    """The cell after the deaths has its result; no process is left."""
    _, rows, told = died
    assert row_of(rows, "ce")["status"] == "ok" and len(rows) == 6
    assert [e["event"] for _, e in told].count("began") == 5
    assert [e["event"] for _, e in told].count("ended") == 5
    assert not multiprocessing.active_children()


def test_a_death_is_told_like_any_other_row(died: Any) -> None:
    """The display learns status and cause from a `stored` event."""
    _, _, told = died
    stored = [e for cell, e in told if e["event"] == "stored" and "-l1-" in cell]
    assert [(e["status"], e["trial"], e["objective"]) for e in stored] == [("failed", 0, "frd_gen")]


@pytest.mark.slow
def test_failed_cells_run_again_when_asked_and_only_then(
    died: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The default leaves them; `--rerun failed` gives the numbers of a run that never failed."""
    folder, rows, _ = died
    killed = row_of(rows, "l2", seed=1)["cell"]
    calm = execute(DEADLY, folder, only=killed)
    tiny.assert_same_numbers(calm, rows)
    again = execute(DEADLY, folder, only=killed, rerun="failed")
    fresh = execute(DEADLY, tmp_path_factory.mktemp("fresh"), only=killed)
    assert fresh["status"].tolist() == ["ok"] * 2
    tiny.assert_same_numbers(again[again["cell"] == killed], fresh)


@pytest.mark.slow
def test_the_same_grid_in_two_folders_gives_the_same_numbers(tmp_path: Path) -> None:
    """All metric columns, curves and signatures, bit by bit, whatever runs beside a cell."""
    found = tiny.tiny_grid("sigma", "l1 + 2*ce", trials=2)
    first = execute(found, tmp_path / "a", jobs=2)
    second = execute(found, tmp_path / "b", jobs=2)
    tiny.assert_same_numbers(first, second)
    assert (
        len(first) == 6
        and set(first["status"]) == {"ok"}
        and set(first["threads"]) == {max(1, cores() // 2)}
    )
    # the whole again changes nothing, and another grid with a cell of this one takes it over
    tiny.assert_same_numbers(execute(found, tmp_path / "a", jobs=2), first)
    told: list[str] = []
    other = tiny.tiny_grid("sigma", name="other", trials=2)
    adopted = execute(other, tmp_path / "a", lambda cell, event: told.append(event["event"]))
    assert told == ["adopted"] and len(adopted) == 3


def test_cells_differ_by_their_loss_alone_and_start_alike(tmp_path: Path) -> None:
    """Common random numbers across processes: one loss under two names gives one set of numbers."""
    found = tiny.tiny_grid("l1", "0.5*l1 + 0.5*l1", beta=0.25, epochs=1)
    rows = execute(found, tmp_path).set_index("loss")
    one, two = rows.loc["l1"], rows.loc["0.5*l1 + 0.5*l1"]
    assert one["psnr"] == pytest.approx(two["psnr"], rel=1e-6)
    assert one["frd_gen"] == pytest.approx(two["frd_gen"], rel=1e-5)


def test_threads_follow_from_the_machine_not_from_its_load(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An interrupted grid goes on with the same threads though memory is scarce by then."""
    options = run.Options(tmp_path, device="cpu")
    found = []
    for free in (64_000.0, 900.0):
        monkeypatch.setattr(device, "free_memory_mib", lambda free=free: free)
        monkeypatch.setattr(device, "total_memory_mib", lambda: 64_000.0)
        todo = run.prepare(tiny.tiny_grid("l2", "l1"), options)
        found.append((todo.slots, todo.threads))
    assert found[0] == found[1]


@pytest.mark.parametrize("event", ["began", "start", "epoch"])
def test_an_interrupt_stops_all_cells_and_saves_their_state(tmp_path: Path, event: str) -> None:
    """Whenever it comes; no row is written for what was interrupted."""
    found = deadly([("l2", LONG | {"beta": 0.1}), ("l1", LONG | {"beta": 0.1})])

    def tell(cell: str, told: dict[str, Any]) -> None:
        if told["event"] == event:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted):
        execute(found, tmp_path, tell)
    assert not multiprocessing.active_children()
    assert Store(tmp_path / "tiny").rows().empty
    assert not Store(tmp_path / "tiny").locked()


def test_a_cell_without_its_weights_is_a_row_and_starts_no_process(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Features other than random, and no file for them: unavailable, and the others run."""
    monkeypatch.setattr(weights, "find", lambda name: None)
    found = deadly([("l1", {"features": "squeezenet"}), ("l2", {"beta": 0.5, "epochs": 1})])
    told: list[tuple[str, str]] = []
    rows = execute(found, tmp_path, lambda cell, event: told.append((cell, event["event"])))
    row = row_of(rows, "l1")
    assert (row["stage"], row["trial"], row["status"]) == ("tune", 0, "unavailable")
    assert (
        "squeezenet are not on this machine: harness prepare --weights squeezenet" in row["cause"]
    )
    assert row["objective"] == "fsd_gen" and row_of(rows, "l2")["status"] == "ok"
    assert all("-l2-" in cell for cell, kind in told if kind in ("began", "start"))
    assert [kind for cell, kind in told if "-l1-" in cell] == ["stored", "ended"]


def test_a_store_that_cannot_be_written_stops_the_run(tmp_path: Path) -> None:
    """The disk fails under a running cell: one sentence, all state saved, no process left."""
    found = deadly([("l2", LONG | {"beta": 0.1})])
    folder = tmp_path / "tiny"

    def tell(cell: str, told: dict[str, Any]) -> None:
        if told["event"] == "epoch" and told["epoch"] == 2:  # a file where a folder was
            for path in (folder / "_images").iterdir():
                path.unlink()
            (folder / "_images").rmdir()
            (folder / "_images").write_text("")

    with pytest.raises(StoreError, match=r"cannot write to .*_images"):
        execute(found, tmp_path, tell)
    assert not multiprocessing.active_children()


def test_a_process_that_dies_before_its_first_trial_is_a_row(tmp_path: Path) -> None:
    """Its process ends before it can store anything itself."""
    found, pids = deadly([("l2", {"beta": 0.1})]), Pids()

    def tell(cell: str, told: dict[str, Any]) -> None:
        pids.tell(cell, told)
        if told["event"] == "began":
            pids.kill(cell, signal.SIGTERM)

    rows = execute(found, tmp_path, tell)
    row = row_of(rows, "l2")
    assert (row["stage"], row["seed"], row["status"]) == ("final", 0, "failed")
    assert "SIGTERM" in row["cause"]
    with pytest.raises(HarnessError, match="jobs 0"):
        execute(found, tmp_path, jobs=0)
