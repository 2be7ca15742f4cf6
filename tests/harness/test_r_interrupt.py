"""Ctrl-C and kill -9 of a real `harness run`: the same command goes on to the same numbers."""

import multiprocessing.forkserver
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
import tiny

from harness import run
from harness.engines.forkserver import warm_up
from harness.store import Store, newest

# Real processes, ended in real ways: half a minute.
pytestmark = pytest.mark.slow

HOME = Path(__file__).resolve().parents[2]
# Long enough that a run on a busy machine is not over before it is ended.
KEYS = {"epochs": 20, "tuning_epochs": 10}
LOSSES = ("l2", "l1")
# Long enough for a busy machine; nothing here waits for it when all is well.
PATIENCE = 90.0


def start(folder: Path) -> subprocess.Popen[str]:
    """Start the command in a process group of its own, as a terminal does."""
    pairs = {**tiny.KEYS, **KEYS}
    losses = [part for loss in LOSSES for part in ("--loss", loss)]
    given = [part for key, value in pairs.items() for part in ("--set", f"{key}={value}")]
    command = [sys.executable, "-m", "harness", "run", *losses, *given, "--jobs", "2"]
    command += ["--dataset", tiny.DATASET, "--model", tiny.MODEL, "--name", "tiny"]
    return subprocess.Popen(
        [*command, "--results", str(folder), "--device", "cpu"],
        cwd=HOME,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def until(condition: Callable[[], object], seconds: float = PATIENCE) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "waited in vain"
        time.sleep(0.02)


def finish(folder: Path) -> pd.DataFrame:
    """Run the same grid in this process and return its rows."""
    found = tiny.tiny_grid(*LOSSES, **KEYS)
    options = run.Options(folder, device="cpu", jobs=2)
    return newest(run.execute(run.prepare(found, options), options, lambda cell, event: None))


def descendants(pid: int) -> set[int]:
    """Return the living processes below this one."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = path.read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if state != "Z":
            parents[int(path.parent.name)] = int(parent)
    found, new = set(), {pid}
    while new:
        new = {child for child, parent in parents.items() if parent in new}
        found |= new
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@dataclass
class Ended:
    """A real run that was ended as soon as it had stored a row."""

    folder: Path
    process: subprocess.Popen[str]
    below: set[int]  # its processes at that time
    at: float = 0.0


def end(run_: Ended, number: int) -> bool:
    """Send the signal once a row is stored; tell whether it was sent."""
    if run_.at or not (stored(run_.folder) or run_.process.poll() is not None):
        return bool(run_.at)
    run_.below = descendants(run_.process.pid)
    run_.at = time.monotonic()
    if number == signal.SIGINT:  # the terminal sends it to the whole group
        os.killpg(run_.process.pid, number)
    else:
        run_.process.send_signal(number)
    return True


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[int, Ended]]:
    """Start two runs side by side, for importing torch is most of their time, and end them."""
    folders = {n: tmp_path_factory.mktemp(n.name) for n in (signal.SIGINT, signal.SIGKILL)}
    found = {n: Ended(folder, start(folder), set()) for n, folder in folders.items()}
    try:
        until(lambda: sum(end(run_, number) for number, run_ in found.items()) == 2)
        yield found
    finally:
        for run_ in found.values():
            run_.process.kill()
            run_.process.communicate()


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory, ended: object) -> pd.DataFrame:
    """Rows of the same grid run at once."""
    return finish(tmp_path_factory.mktemp("whole"))


def stored(folder: Path) -> int:
    return len(list((folder / "tiny").glob("*.parquet")))


def test_a_killed_run_leaves_no_process_and_no_damage(
    ended: dict[int, Ended], request: pytest.FixtureRequest
) -> None:
    """Kill -9 of the parent: its cells end by themselves, and the rerun need not wait for it."""
    killed = ended[signal.SIGKILL]
    assert killed.process.wait(PATIENCE) == -signal.SIGKILL
    assert len(killed.below) >= 3  # the fork server and two cells
    rows = finish(killed.folder)  # at once, while the cells may still be saving their state
    until(lambda: not any(map(alive, killed.below)), 10)
    assert set(rows["status"]) == {"ok"} and len(rows) == 8
    tiny.assert_same_numbers(rows, request.getfixturevalue("uninterrupted"))


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs Linux's process table")
def test_control_c_does_not_reach_the_fork_server() -> None:
    """It would print a traceback when it is hit while importing torch."""
    warm_up()
    pid = multiprocessing.forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]
    [line] = [x for x in Path(f"/proc/{pid}/status").read_text().splitlines() if "SigBlk" in x]
    assert int(line.split()[1], 16) & 1 << (signal.SIGINT - 1)
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_control_c_saves_all_state(ended: dict[int, Ended], request: pytest.FixtureRequest) -> None:
    """Exit code 130, one sentence, no failed row; the rerun ends with the same numbers."""
    stopped = ended[signal.SIGINT]
    folder = stopped.folder
    _, errors = stopped.process.communicate(timeout=PATIENCE)
    assert stopped.process.returncode == 130, errors
    assert "interrupted: everything finished is stored" in errors
    assert "Traceback" not in errors
    before = Store(folder / "tiny").rows()
    assert 1 <= len(before) < 8 and set(before["status"]) == {"ok"}
    assert list((folder / "tiny" / "_checkpoints").glob("*.pt"))
    assert not any(map(alive, stopped.below)) and not Store(folder / "tiny").locked()
    rows = finish(folder)
    assert len(Store(folder / "tiny").rows()) == 8  # nothing ran twice
    tiny.assert_same_numbers(rows, request.getfixturevalue("uninterrupted"))
    assert not list((folder / "tiny" / "_checkpoints").iterdir())
