"""The command line: every mistake is one sentence and exit code 2, and leaves nothing behind."""

import fcntl
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from program import Ended, Harness, program
from shell import make_cell, make_grid, make_row

from harness import estimate, inventory, plan
from harness.engines import forkserver, local
from harness.errors import Interrupted
from harness.grid import Cell
from harness.store import Store

QUICK = ["--loss", "l2", "--dataset", "digits16", "--model", "conv4[width=4,mlp=16]"]
SMALL = ["--set", "limit=64", "--set", "batch=16", "--set", "latent=4", "--epochs", "2"]


@pytest.fixture
def harness(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Harness:
    """Call the program in an empty folder, without the processes that train."""

    class Idle:
        def __init__(self, *rest: object) -> None: ...

        def run(self, assignments: object) -> None: ...

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("HARNESS_DATA", raising=False)
    monkeypatch.setattr(forkserver, "warm_up", lambda: None)
    monkeypatch.setattr(local, "LocalEngine", Idle)
    monkeypatch.setattr(estimate, "_timed_speed", lambda *rest: 1000.0)
    return program(monkeypatch, capsys)


def listing(root: Path) -> dict[str, bytes]:
    files = [path for path in root.rglob("*") if path.name != "_lock"]
    return {str(p.relative_to(root)): p.read_bytes() if p.is_file() else b"" for p in files}


def assert_refused(found: Ended, message: str) -> None:
    assert found.code == 2
    assert found.err.startswith("error: ")
    assert found.err.count("\n") == 1
    assert message in found.err
    assert "Traceback" not in found.out + found.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run"], "nothing to run: give --grid NAME or --loss NAME"),
        (["run", "--grid", "smok"], "unknown grid 'smok' (did you mean 'smoke'?)"),
        (["run", "--grid", "/tmp"], "--grid /tmp is a folder: name a TOML file, such as /tmp/"),
        (["run", "--grid", "none.toml"], "there is no grid file none.toml"),
        (["run", "--loss", "l3"], "unknown loss 'l3' (did you mean 'l2'?)"),
        (["run", "--loss", "l2 +"], "an empty place in the spec"),
        (["run", "--loss", "ssim[windo=3]"], "unknown option 'windo' of loss 'ssim'"),
        (["run", "--loss", "ssim[window=wide]"], "option window = 'wide' is invalid"),
        (
            ["run", *QUICK, "--dataset", "digist"],
            "unknown dataset 'digist' (did you mean 'digits'?)",
        ),
        (["run", *QUICK, "--dataset", "folder:nowhere"], "/nowhere: give the path of"),
        (["run", *QUICK, "--dataset", "digits4"], "size=4 is not an integer from 8 to 256"),
        (["run", *QUICK, "--model", "conv"], "unknown model 'conv' (did you mean 'conv4'?)"),
        (["run", *QUICK, "--dataset", "digits20"], "20"),
        (
            ["run", *QUICK, "--dataset", "digits8", "--model", "conv4[blocks=2]"],
            "too small for SSIM",
        ),
        (["run", *QUICK, "--set", "beta_range=[1, 0.1]"], "beta_range = [1, 0.1] is not rising"),
        (
            ["run", *QUICK, "--set", "beta_range=[0, 1]"],
            "beta_range.1 = 0: must be more than 0",
        ),
        (["run", *QUICK, "--set", "beta=-1"], "beta = -1: must be more than 0"),
        (["run", *QUICK, "--set", "epoch=3"], "unknown key 'epoch' (did you mean 'epochs'?)"),
        (["run", *QUICK, "--set", "epochs"], "--set 'epochs' is not KEY=VALUE"),
        (["run", *QUICK, "--trials", "0"], "trials = 0: must be at least 1"),
        (["run", *QUICK, "--set", "batch=5000"], "larger than the training split of 1078 images"),
        (["run", *QUICK, "--set", "schedule=step[every=99]"], "never starts"),
        (
            ["run", *QUICK, "--set", "optimizer=adm"],
            "unknown optimizer 'adm' (did you mean 'adam'?)",
        ),
        (["run", *QUICK, "--set", "objective=sharp"], "unknown objective 'sharp'"),
        (
            ["run", *QUICK, "--only", "zz"],
            "--only 'zz' matches none of the 1 cells, such as digits16",
        ),
        (
            ["run", *QUICK, "--rerun", "some"],
            "--rerun some is unknown; valid: missing, failed, stale",
        ),
        (
            ["run", *QUICK, "--keep-models", "two"],
            "--keep-models two is unknown; valid: all, first",
        ),
        (["run", *QUICK, "--jobs", "0"], "--jobs 0 must be at least 1"),
        (["run", *QUICK, "--timeout", "0"], "--timeout 0 must be more than 0 minutes"),
        (["run", *QUICK, "--device", "tpu"], "unknown device 'tpu': use cpu, cuda or cuda:N"),
        (["run", *QUICK, "--device", "meta"], "device 'meta' is not supported"),
        (
            ["run", *QUICK, "--name", "../x"],
            "the name '../x' of the grid cannot name a folder: write letters, digits",
        ),
        (["list", "loses"], "unknown kind 'loses' (did you mean 'losses'?)"),
        (["status"], "no results in results: start with 'harness run --grid smoke'"),
        (["report", "--grid", "x"], "no results in results"),
        (["show", "x"], "no stored cell matches 'x'"),
        (["evaluate"], "no results in results"),
        (["clean", "--kind", "rows"], "unknown kind 'rows'"),
    ],
    ids=lambda value: " ".join(value[-4:]) if isinstance(value, list) else "",
)
def test_a_mistake_is_one_sentence_and_leaves_nothing(
    harness: Harness, tmp_path: Path, arguments: list[str], message: str
) -> None:
    assert_refused(harness(*arguments), message)
    assert listing(tmp_path) == {}


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_there(harness: Harness, tmp_path: Path) -> None:
    message = "--device cuda: this machine has no CUDA device; use --device cpu"
    assert_refused(harness("run", *QUICK, "--device", "cuda"), message)
    assert listing(tmp_path) == {}


def test_a_malformed_grid_file(harness: Harness, tmp_path: Path) -> None:
    (tmp_path / "g.toml").write_text("[protocol\n")
    before = listing(tmp_path)
    assert_refused(harness("run", "--grid", "g.toml"), "g.toml is not valid TOML")
    assert listing(tmp_path) == before


def test_a_results_folder_that_cannot_be_written(harness: Harness, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    before = listing(tmp_path)
    found = harness("run", *QUICK, *SMALL, "--results", "file/results")
    assert_refused(found, "cannot write to")
    assert "choose another folder with --results" in found.err
    assert listing(tmp_path) == before


def test_results_of_another_schema(harness: Harness, tmp_path: Path) -> None:
    folder = tmp_path / "results" / "quick"
    folder.mkdir(parents=True)
    (folder / "_schema.json").write_text('{"schema_version": 99}')
    before = listing(tmp_path)
    assert_refused(harness("run", *QUICK, *SMALL), "was written with results schema 99")
    assert listing(tmp_path) == before


def test_two_runs_on_one_folder(harness: Harness, tmp_path: Path) -> None:
    assert harness("run", *QUICK, *SMALL).code == 0
    with (tmp_path / "results" / "quick" / "_lock").open("r+") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        other.truncate(0)
        other.write("4711")
        other.flush()
        before = listing(tmp_path)
        found = harness("run", *QUICK, *SMALL, "--dataset", "digits32")
        assert_refused(found, "another run (process 4711) is writing to")
        assert listing(tmp_path) == before
        assert "a run is writing to this grid now" in harness("status").out
    assert harness("run", *QUICK, *SMALL).code == 0


def test_an_interrupt_before_the_first_cell(
    harness: Harness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*rest: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(plan, "check", interrupt)
    found = harness("run", *QUICK, *SMALL)
    assert found.code == 130
    assert found.err.startswith("interrupted: ") and "Traceback" not in found.err
    assert listing(tmp_path) == {}


@pytest.mark.parametrize(
    ("rerun", "said"), [("missing", "the same command goes on"), ("all", "without --rerun all")]
)
def test_an_interrupt_says_how_to_go_on(
    harness: Harness, monkeypatch: pytest.MonkeyPatch, rerun: str, said: str
) -> None:
    def interrupt(self: object, assignments: object) -> None:
        raise Interrupted

    monkeypatch.setattr(local.LocalEngine, "run", interrupt)
    found = harness("run", *QUICK, *SMALL, "--rerun", rerun)
    assert found.code == 130 and said in found.err


def test_a_run_keeps_the_data_that_its_cells_need(
    harness: Harness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_PREPARED", str(tmp_path / "prepared"))
    assert harness("run", *QUICK, *SMALL).code == 0
    kept = [path.name for path in (tmp_path / "prepared").glob("*/*")]
    assert sorted(kept) == ["manifest.json", "test.npy", "train.npy", "validation.npy"]


def test_a_dry_run_shows_everything_and_writes_nothing(harness: Harness, tmp_path: Path) -> None:
    given = ["--set", "beta_range=[0.02, 5]"]
    found = harness("run", *QUICK, *SMALL, *given, "--loss", "l1", "-n")
    assert found.code == 0
    assert "2 cells" in found.out
    assert "0.02 … 5" in found.out
    assert "nothing was run" in found.out
    as_json = harness("run", *QUICK, *SMALL, "-n", "--json")
    shown = json.loads(as_json.out)
    [record] = shown["cells"]
    assert shown["seconds"] > 0 and shown["memory_mib"] > 0
    assert record["state"] == "missing"
    assert record["runs"] is True
    assert "nothing was run" in as_json.err
    assert listing(tmp_path) == {}


@pytest.fixture
def stored(harness: Harness, tmp_path: Path) -> Store:
    """Results of one cell of two, made up."""
    store = Store(tmp_path / "results" / "g")
    cells = make_grid(["l2", "l1"]).cells()
    store.prepare()
    store.write_grid({"name": "g", "title": "", "cells": [cell.describe() for cell in cells]})
    for stage, count in (("tune", 3), ("final", 2)):
        for number in range(count):
            store.write(make_row(cells[0], stage, number))
    return store


@pytest.mark.parametrize("kind", ["losses", "models", "datasets", "grids", "metrics"])
def test_lists(harness: Harness, kind: str) -> None:
    records = json.loads(harness("list", kind, "--json").out)
    shown = harness("list", kind).out
    assert records
    assert all(record["name"] in shown for record in records)
    kinds = json.loads(harness("list", "--json").out)
    assert {"kind": kind, "count": len(records)}.items() <= next(
        each.items() for each in kinds if each["kind"] == kind
    )
    assert f"harness list {kind}" in harness("list").out


def test_the_options_of_one_component(harness: Harness) -> None:
    assert "options and their defaults: harness list losses NAME" in harness("list", "losses").out
    shown = harness("list", "losses", "ssim").out
    assert re.search(r"^window +11 +int *$", shown, re.MULTILINE)
    assert re.search(r"^density +no *$", shown, re.MULTILINE)
    assert "it has no options" in harness("list", "losses", "l2").out
    found = json.loads(harness("list", "datasets", "folder", "--json").out)
    assert found["options"][0] == {
        "option": "path", "type": "str", "default": None, "required": True
    }  # fmt: skip
    assert re.search(
        r"^path +must be given +str *$", harness("list", "datasets", "folder").out, re.M
    )


def test_json_of_every_command_parses(harness: Harness, stored: Store) -> None:
    cell = make_cell().id
    status = json.loads(harness("status", "--json").out)
    assert [record["trials"] for record in status] == [{"done": n, "of": 3} for n in (3, 0)]
    assert json.loads(harness("show", cell, "--json").out)["cell"] == cell
    assert json.loads(harness("doctor", "--json").out)["packages"]["torch"]
    assert json.loads(harness("clean", "--json").out)[0]["kind"] == "rows"
    run = harness("run", *QUICK, *SMALL, "--json")
    assert json.loads(run.out)["cells"] == 1
    assert "next: harness report --grid quick" in run.err


def test_tables_of_every_command(harness: Harness, stored: Store) -> None:
    cell = make_cell().id
    assert cell in harness("status").out
    shown = harness("show", cell).out
    assert "state: " in shown
    assert "β" not in harness("doctor").err
    assert "cpu" in harness("doctor").out
    assert "nothing deleted: add --yes" in harness("clean").out
    assert_refused(harness("show", "digits16"), "'digits16' matches 2 cells:")
    assert_refused(harness("show", ""), "no cell was named: give its id or a part of it")
    assert re.search(r" 3/3 .* 0/3 ", harness("status").out, re.DOTALL)
    assert_refused(harness("status", "--grid", "gg"), "(did you mean 'g'?); stored: g")


def test_failed_cells_end_with_one(harness: Harness, stored: Store, tmp_path: Path) -> None:
    assert harness("run", *QUICK, *SMALL, "-n").code == 0
    [record] = json.loads(harness("run", *QUICK, *SMALL, "-n", "--json").out)["cells"]
    cell = record["cell"]
    source = Store(tmp_path / "results" / "quick")
    assert harness("run", *QUICK, *SMALL).code == 0
    entry = source.grid()["cells"][0]
    resolved = Cell.model_validate(entry["resolved"])
    digest, data = inventory.digests(resolved)
    row = make_row(resolved, "tune", 0, status="failed")
    source.write(row | {"cause": "why not", "source_digest": digest, "data_hash": data})
    found = harness("run", *QUICK, *SMALL)
    assert found.code == 1
    assert f"failed: {cell}: failed in tune 0: why not" in found.out
    assert "1 cell failed before: try again with --rerun failed" in found.out
    retried = harness("run", *QUICK, *SMALL, "--rerun", "failed")
    assert "failed before" not in retried.out


def test_cleaning_frees_only_what_was_named(harness: Harness, stored: Store) -> None:
    (stored.root / "_superseded" / "x").write_bytes(b"0" * 2048)
    (stored.root / "_models" / "m").write_bytes(b"0")
    assert "superseded" in harness("clean").out
    assert (stored.root / "_superseded" / "x").exists()
    assert "freed 2.0 KiB" in harness("clean", "--yes").out
    assert not (stored.root / "_superseded").exists()
    assert (stored.root / "_models" / "m").exists()
    assert len(stored.rows()) == 5
    assert "freed 1 B" in harness("clean", "--kind", "models", "--yes").out


def test_no_result_is_deleted_under_a_run(harness: Harness, stored: Store) -> None:
    (stored.root / "_checkpoints" / "x").write_bytes(b"0")
    with stored.lock():
        found = harness("clean", "--kind", "checkpoints", "--yes")
        assert_refused(found, "a run is writing to grid g: wait for it before deleting")
    assert (stored.root / "_checkpoints" / "x").exists()


# --- in processes of their own ----------------------------------------------------------------


def process(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "harness", *arguments],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("regular", [True, False], ids=["package", "folder"])
def test_a_foreign_datasets_folder_is_refused(tmp_path: Path, regular: bool) -> None:
    foreign = tmp_path / "datasets"
    foreign.mkdir()
    if regular:
        (foreign / "__init__.py").write_text("")
    found = process("list", "datasets", cwd=tmp_path)
    if not regular and found.returncode == 0:
        return  # where our package is on the path itself, it wins over a bare folder
    assert found.returncode == 2
    assert found.stderr.startswith(f"error: the import name 'datasets' belongs to {foreign}")
    assert "install the harness in an environment of its own" in found.stderr
    assert found.stderr.count("\n") == 1


def test_help_and_lists_import_no_torch(tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "from harness.__main__ import main\n"
        "for arguments in (['--help'], ['run', '--help'], ['list'], ['list', 'losses'],\n"
        "                  ['list', 'models'],\n"
        "                  ['list', 'datasets'], ['list', 'grids'], ['list', 'metrics'],\n"
        "                  ['run', '-n', '--grid', 'smok']):\n"
        "    sys.argv = ['harness', *arguments]\n"
        "    try:\n"
        "        main()\n"
        "    except SystemExit as ended:\n"
        "        assert (ended.code or 0) == 2 * ('smok' in arguments), arguments\n"
        "    heavy = {'torch', 'optuna', 'matplotlib', 'scipy'} & set(sys.modules)\n"
        "    assert not heavy, (arguments, heavy)\n"
        "    if arguments[-1] == '--help':\n"
        "        heavy = {'numpy', 'pandas', 'pyarrow'} & set(sys.modules)\n"
        "        assert not heavy, (arguments, heavy)\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True
    )
    assert found.returncode == 0, found.stderr
    assert "Which reconstruction loss should I train" in found.stdout
    assert found.stderr.startswith("error: unknown grid 'smok' (did you mean 'smoke'?)")
    assert found.stderr.count("\n") == 1


def test_help_is_there_at_once(tmp_path: Path) -> None:
    """0.4 s of processor time: other processes on the machine do not count."""
    spent = []
    for _ in range(3):
        before = os.times()
        assert process("--help", cwd=tmp_path).returncode == 0
        after = os.times()
        spent.append(sum(after[2:4]) - sum(before[2:4]))
    assert min(spent) < 0.4


def test_the_version_of_the_package_loads_models_lazily(tmp_path: Path) -> None:
    script = "import sys, harness; assert 'torch' not in sys.modules; harness.load_model"
    assert subprocess.run([sys.executable, "-c", script], cwd=tmp_path).returncode == 0
    with pytest.raises(AttributeError, match="no attribute 'train_model'"):
        import harness

        _ = harness.train_model
