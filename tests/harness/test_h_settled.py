"""A grid that is done needs neither torch nor processes to be found so."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from shell import make_grid, make_row

from harness import grid, prepared, run
from harness.settled import close, settled
from harness.store import Store

GRID = make_grid(["l2", "l1"])


@pytest.fixture
def options(tmp_path: Path) -> run.Options:
    """Options for a folder in which the grid is done, with made-up numbers."""
    options = run.Options(tmp_path, device="cpu")
    todo = run.prepare(GRID, options)
    todo.store.prepare()
    todo.store.write_grid(run._description(todo, options))
    for item in todo.cells:
        state = {"source_digest": item.source_digest, "data_hash": item.data_hash}
        for stage, count in (("tune", 3), ("final", 2)):
            for number in range(count):
                todo.store.write(make_row(item.cell, stage, number, **state))
    return options


def more_seeds() -> grid.Grid:
    return make_grid(["l2", "l1"], seeds=3)


def test_the_same_request_again_has_nothing_left(options: run.Options) -> None:
    found = settled(GRID, options)
    assert found is not None
    assert [item.cell for item in found.known] == GRID.cells() and len(found.rows) == 10
    only = settled(GRID, replace(options, only="l1"))
    assert only is not None and [item.cell.loss_spec for item in only.known] == ["l1"]


def test_any_difference_is_left_to_the_usual_way(
    options: run.Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another request, other options, fewer rows, other data."""
    assert settled(more_seeds(), options) is None
    assert settled(make_grid(["l2", "l1", "ssim"]), options) is None
    assert settled(GRID, replace(options, rerun="all")) is None
    assert settled(GRID, replace(options, device="cuda")) is None
    assert settled(GRID, replace(options, results=options.results / "none")) is None
    read = prepared.read
    with monkeypatch.context() as patch:
        patch.setattr(prepared, "read", lambda c: replace(read(c), data_hash="another"))
        assert settled(GRID, options) is None
    assert settled(GRID, options) is not None
    Store(options.results / "g").files()[0].unlink()
    assert settled(GRID, options) is None


def test_closing_makes_the_grid_the_newest(options: run.Options) -> None:
    found = settled(GRID, options)
    assert found is not None
    before = found.store.grid()
    close(found, replace(options, command="harness run"))
    after = found.store.grid()
    assert after["command"] == "harness run" and after["created"] > before["created"]
    assert after["cells"] == before["cells"] and settled(GRID, options) is not None


def test_a_run_with_nothing_left_imports_no_torch(options: run.Options) -> None:
    file = options.results / "g.toml"
    block = GRID.block[0]
    protocol = ", ".join(f"{key} = {value}" for key, value in GRID.protocol.items())
    file.write_text(
        f"protocol = {{{protocol}}}\n[[block]]\nlosses = {block.losses}\n"
        f"datasets = {block.datasets}\nmodels = {block.models}\n"
    )
    script = (
        "import sys\n"
        "from harness.__main__ import main\n"
        f"sys.argv = ['harness', 'run', '-g', {str(file)!r}, '--results', {str(file.parent)!r}]\n"
        "try:\n"
        "    main()\n"
        "except SystemExit as ended:\n"
        "    assert not ended.code\n"
        "assert not {'torch', 'multiprocessing.forkserver', 'matplotlib'} & set(sys.modules)\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert "g · 2 cells done before: nothing left to run" in ended.stdout
    assert "next: harness report --grid g" in ended.stdout
