"""A grid that is done needs neither torch nor processes to be found so."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from shell import make_grid, make_row

import losses
from harness import grid, prepared, provenance, run
from harness.description import description
from harness.settled import close, settled
from harness.store import Store

GRID = make_grid(["l2", "l1"])


@pytest.fixture
def options(tmp_path: Path) -> run.Options:
    """Options for a folder in which the grid is done, with made-up numbers."""
    options = run.Options(tmp_path, device="cpu")
    run.ready(GRID, options)
    todo = run.prepare(GRID, options)
    todo.store.prepare()
    todo.store.write_grid(description(todo, options))
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
    known = prepared.unchanged(GRID.cells()[0].dataset)
    assert known is not None
    for other in (replace(known, data_hash="another"), None):
        with monkeypatch.context() as patch:
            patch.setattr(prepared, "unchanged", lambda dataset, other=other: other)
            assert settled(GRID, options) is None
    assert settled(GRID, options) is not None
    Store(options.results / "g").files()[0].unlink()
    assert settled(GRID, options) is None


@pytest.mark.parametrize("stage", ["tune", "final"])
def test_damage_is_left_to_the_usual_way(options: run.Options, stage: str) -> None:
    """A bit of a row, a row that another took the place of, the description of the grid."""
    store = Store(options.results / "g")
    path = next(each for each in store.files() if f".{stage}00" in each.name)
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"digits16", b"digits61"))
    assert settled(GRID, options) is None
    path.write_bytes(whole)
    assert settled(GRID, options) is not None
    [cell] = [cell for cell in GRID.cells() if path.name.startswith(cell.id)]
    state = pd.read_parquet(path).iloc[0][["source_digest", "data_hash"]].to_dict()
    store.write(make_row(cell, stage, 7, **state))  # one too many is no substitute
    path.unlink()
    assert settled(GRID, options) is None


def test_what_was_described_is_gone(options: run.Options, monkeypatch: pytest.MonkeyPatch) -> None:
    """A component, its source, a key of the protocol, or the description itself."""
    described = options.results / "g" / "_grid.json"
    with monkeypatch.context() as patch:
        patch.delitem(losses.REGISTRY, "l1")
        assert settled(GRID, options) is None
    with monkeypatch.context() as patch:
        patch.setattr(provenance, "source_digest", lambda cell: "another")
        assert settled(GRID, options) is None
    with monkeypatch.context() as patch:
        patch.setattr(provenance, "evaluate_digest", lambda: "another")
        assert settled(GRID, options) is not None  # rows made up without this digest
    text = described.read_text()
    for other in (text.replace('"trials"', '"tries"'), text[:-20], ""):
        described.write_text(other)
        assert settled(GRID, options) is None
    described.write_text(text)
    assert settled(GRID, options) is not None


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
