"""Points of a rate-quality curve, as other grids, the terminal and the store's lists see them."""

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from shell import make_cell, make_grid, make_row

from harness import inventory, manifest, plan, prepared, provenance, run
from harness.adoption import adopt
from harness.columns import describe
from harness.description import description
from harness.estimate import Estimate
from harness.grid import Cell
from harness.plan import Checked, Progress
from harness.row_files import key
from harness.schema import arrow_schema
from harness.store import Store
from harness.terminal import screens
from harness.terminal.board import make_board
from harness.terminal.progress import Lines

CELL = make_cell(curve_points=3)
NO_ROWS = arrow_schema().empty_table().to_pandas()
SOURCE, DATA = "11111111-22222222", "data-1"


def checked(cell: Cell) -> Checked:
    source = provenance.source_digest(cell)
    return Checked(cell, (1, 16, 16), (64, 64, 64), DATA, source, (0.01, 3.0), 1234, None)


def write(
    store: Store, cell: Cell, *places: tuple[str, int], data: str = DATA, **rest: Any
) -> None:
    """Store rows with invented numbers, all of them of one training."""
    store.prepare()
    state = {"source_digest": provenance.source_digest(cell), "data_hash": data}
    for stage, number in places:
        row = make_row(cell, stage, number, **state)
        if stage == "final":
            row["beta"] = 0.2
        if stage == "curve":
            row |= {"trial": number, "seed": 0, "frd_gen": 5.0 + number}
            row["protocol"] = cell.protocol.model_dump_json(exclude={"seeds"})
        store.write(row | rest)


ALL = [("tune", k) for k in range(3)] + [("final", k) for k in range(2)]
CURVE = [("curve", k) for k in range(3)]


def places(store: Store) -> list[tuple[str, int] | None]:
    return sorted(key(path, CELL.id) or ("none", 0) for path in store.files())


def test_points_of_another_grid_are_taken_over(tmp_path: Path) -> None:
    """What is missing here and there joins; the same curve alone."""
    here, there = Store(tmp_path / "here"), Store(tmp_path / "there")
    write(here, CELL, *ALL, CURVE[0])
    write(there, CELL, *ALL, *CURVE[1:])
    found = adopt(checked(CELL), here, tmp_path)
    assert (found.state, found.points) == ("done", 3)
    assert places(here) == sorted(ALL + CURVE) and places(there) == sorted(ALL + CURVE[1:])


@pytest.mark.parametrize("points", [2, 5, None])
def test_points_of_another_curve_are_not_and_disturb_nothing(
    tmp_path: Path, points: int | None
) -> None:
    """Though the same numbers have other βs there: trials and finals are taken all the same."""
    other = make_cell(curve_points=points)
    here, there = Store(tmp_path / "here"), Store(tmp_path / "there")
    write(here, CELL, *ALL[:4], *CURVE[:2])
    write(there, other, *ALL)
    write(there, other, *[("curve", k) for k in range(points or 0)], beta=7.0)
    found = adopt(checked(CELL), here, tmp_path)
    assert (found.trials, found.seeds, found.points) == (3, 2, 2)
    assert places(here) == sorted(ALL + CURVE[:2])
    assert not list((here.root / "_superseded").iterdir())
    assert adopt(checked(make_cell()), here, tmp_path).state == "done"


def test_a_loss_that_joins_with_points_stands_beside_those_without(tmp_path: Path) -> None:
    plain, curved = make_grid(["l2"]), make_grid(["l1"], curve_points=3)
    for grid in (plain, curved):
        items = [checked(cell) for cell in grid.cells()]
        options = run.Options(tmp_path, joins=True)
        todo = run.Todo(grid, Store(tmp_path / "g"), items, {}, items, ["cpu"], 1, NO_ROWS)
        todo.store.prepare()
        todo.store.write_grid(description(todo, options))
    assert [entry["loss"] for entry in Store(tmp_path / "g").grid()["cells"]] == ["l2", "l1"]


# --- the terminal -------------------------------------------------------------------------------


def console() -> Console:
    return Console(record=True, width=250, file=io.StringIO())


def stored(stage: str, number: int, **rest: Any) -> dict[str, Any]:
    axes = {"tune": {"trial": number}, "final": {"seed": number}}
    told = {"objective": "frd_gen", "direction": "minimize", "cause": None, "status": "ok"}
    scores = {"beta": 0.5, "psnr": 20.0, "frd_gen": 1.5, "trial": None, "seed": None}
    place = axes.get(stage, {"trial": number, "seed": 0})
    return {"event": "stored", "stage": stage, **told, **scores, **place, **rest}


def test_points_are_counted_apart(tmp_path: Path) -> None:
    """A point with a better objective than any trial is not the best trial."""
    item, name = checked(CELL), CELL.id
    screen = console()
    board = make_board([item], {name: Progress(0, 0, 3, 2, None, None, 0, 3)}, NO_ROWS)
    view = board.cells[name]
    assert view.epochs_total == 3 * 2 + 2 * 4 + 3 * 4
    with Lines(screen, board) as shown:
        shown.tell(name, stored("tune", 0))
        shown.tell(name, stored("final", 0))
        shown.tell(name, {"event": "start", "stage": "curve", "number": 1, "beta": 0.1})
        shown.tell(name, stored("curve", 1, beta=0.1, frd_gen=0.1))
        shown.tell(name, stored("curve", 2, status="diverged", cause="not finite"))
        shown.tell(name, {"event": "ended", "code": 0, "seconds": 1.0})
    lines = [line.split("  ", 2)[2] for line in screen.export_text().splitlines()]
    assert lines[2].startswith("curve 2/3  β 0.1  PSNR 20")
    assert lines[3] == "curve 3/3  β 0.5  diverged: not finite"
    assert "tune 1/3  β 0.5  FRD" in lines[4] and "→ final 1/2" in lines[4]
    assert "  curve 2/3  " in lines[4]
    assert (view.trials_done, view.seeds_done, view.points_done) == (1, 1, 2)
    assert view.best is not None and view.best["frd_gen"] == 1.5


def test_points_of_before_count_and_are_no_trials(tmp_path: Path) -> None:
    store = Store(tmp_path / "g")
    write(store, CELL, *ALL)
    write(store, CELL, *CURVE[:2], frd_gen=0.1)
    rows = store.rows()
    before = plan.progress(CELL, rows, provenance.source_digest(CELL), DATA)
    view = make_board([checked(CELL)], {CELL.id: before}, rows).cells[CELL.id]
    assert (view.trials_done, view.seeds_done, view.points_done) == (3, 2, 2)
    assert view.epochs_total == 4 and view.best is not None and view.best["frd_gen"] == 1.0


def todo_of(cell: Cell, tmp_path: Path) -> run.Todo:
    item = checked(cell)
    known = {cell.id: plan.progress(cell, NO_ROWS)}
    grid = make_grid(["l2"])
    return run.Todo(grid, Store(tmp_path / "g"), [item], known, [item], ["cpu"], 1, NO_ROWS)


def test_a_dry_run_counts_the_points(tmp_path: Path) -> None:
    """Where no cell has any, nothing is said of them."""
    nothing = Estimate(1.0, 1.0, {})
    curved, plain = (todo_of(cell, tmp_path) for cell in (CELL, make_cell()))
    assert "3 trials + 2 seeds + 3 curve points each" in screens.headline(curved, None)
    assert "3 trials + 2 seeds each" in screens.headline(plain, None)
    assert [record["points"] for record in screens.dry_run(curved, nothing)] == [3]
    assert "points" not in screens.dry_run(plain, nothing)[0]


def test_status_and_show_tell_of_the_points(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_PREPARED", str(tmp_path / "prepared"))
    prepared.ready(CELL.dataset)
    data = str(manifest.stored_hash(manifest.target(CELL.dataset)))
    store = Store(tmp_path / "g")
    write(store, CELL, *ALL, *CURVE[:2], data=data)
    store.write_grid({"name": "g", "cells": [CELL.describe()]})
    [record] = inventory.status(store)
    assert (record["state"], record["points"]) == ("partial", {"done": 2, "of": 3})
    assert (record["beta"], record["value"]) == (0.2, 1.5)  # of the final models alone
    [shown] = screens.status([record])
    assert shown["points"] == "2/3"
    found = inventory.cell_record(*inventory.find_cell(tmp_path, "l2"))
    assert [row["trial"] for row in found["curve"]] == [0, 1] and len(found["tune"]) == 3
    screen = console()
    screens.cell(screen, found)
    assert "\ncurve\n" in screen.export_text()

    store.write_grid({"name": "g", "cells": [make_cell().describe()]})
    [record] = inventory.status(store)
    assert record["state"] == "done" and "points" not in screens.status([record])[0]


def test_a_process_that_died_leaves_a_row_for_its_point(tmp_path: Path) -> None:
    """It is set aside when the point is there."""
    from types import SimpleNamespace

    from harness.engines.local import LocalEngine

    store, told = Store(tmp_path / "g"), []
    write(store, CELL, *ALL)
    engine: Any = SimpleNamespace(
        timeout=None,
        digests={CELL.id: (provenance.source_digest(CELL), DATA)},
        tell=lambda cell, event: told.append(event),
    )
    worker: Any = SimpleNamespace(
        assignment=SimpleNamespace(cell=CELL, results=store.root),
        last={"stage": "curve", "number": 1, "beta": 0.1},
        slot="cpu",
        timed_out=False,
    )
    LocalEngine._store_death(engine, worker, 7)
    assert (told[0]["stage"], told[0]["trial"]) == ("curve", 1)
    assert places(store) == sorted([*ALL, ("curve", 1)])
    found = plan.progress(CELL, store.rows(), provenance.source_digest(CELL), DATA)
    assert found.state == "failed" and str(found.failed).startswith("failed in curve 1: the proc")
    write(store, CELL, *CURVE)
    assert places(store) == sorted(ALL + CURVE)
    assert plan.progress(CELL, store.rows(), provenance.source_digest(CELL), DATA).state == "done"
    assert describe(CELL)["protocol"] != store.rows().query("stage == 'curve'")["protocol"].iloc[0]
