"""Full-budget models over the range of β: their rows, and when they are trained."""

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tiny

import harness.cell
from harness import __main__, columns, estimate, plan, provenance, rescore, tune
from harness.cell import CellFailed, run_cell
from harness.errors import HarnessError, Interrupted
from harness.grid import Cell
from harness.metrics import METRICS
from harness.report.collect import collect
from harness.store import Store, newest

pytestmark = pytest.mark.slow

KEYS: dict[str, Any] = {
    "trials": 1,
    "tuning_epochs": 1,
    "epochs": 2,
    "limit": 32,
    "beta_range": (0.1, 40.0),
}
PLAIN = tiny.tiny_cell("l2", **KEYS)
CURVED = tiny.tiny_cell("l2", **KEYS, curve_points=3)
BETAS = [0.1, 2.0, 40.0]


class Killed(BaseException):
    """What ends a process from outside."""


def rows_of(folder: Path) -> pd.DataFrame:
    rows = Store(folder / "tiny").rows()
    return rows.sort_values(["stage", "trial", "seed", "created"]).reset_index(drop=True)


def curve_of(folder: Path) -> pd.DataFrame:
    return rows_of(folder).query("stage == 'curve'").reset_index(drop=True)


def trained(cell: Cell, folder: Path) -> list[tuple[str, int]]:
    """Run the cell and return what was trained."""
    told: list[tuple[str, int]] = []

    def tell(event: dict[str, Any]) -> None:
        if event["event"] == "start":
            told.append((event["stage"], event["number"]))

    run_cell(tiny.assignment(cell, folder), tell)
    return told


def progress(cell: Cell, folder: Path) -> plan.Progress:
    rows = Store(folder / "tiny").rows()
    data_hash = None if rows.empty else str(rows["data_hash"].iloc[-1])
    return plan.progress(cell, rows, provenance.source_digest(cell), data_hash)


def reported(cell: Cell, folder: Path) -> Any:
    """Return the cell as the report sees it."""
    [group] = collect(Store(folder / "tiny"), {"cells": [cell.describe()]})
    return group.cells[0]


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """Weigh the likelihood's samples for two images alone: it would take half of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("harness.evaluate.IWAE_IMAGES", 2)
        yield


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with one cell: a trial, a final model and a curve of three points."""
    folder = tmp_path_factory.mktemp("finished")
    told = trained(CURVED, folder)
    assert told == [("tune", 0), ("final", 0), ("curve", 0), ("curve", 1), ("curve", 2)]
    return folder


@pytest.fixture
def copied(finished: Path, tmp_path: Path) -> Path:
    """Return a copy of the finished folder, to be changed."""
    return Path(shutil.copytree(finished, tmp_path, dirs_exist_ok=True))


def test_a_curve_is_a_row_for_each_beta_over_the_range(finished: Path) -> None:
    """The full budget on the test split; nothing is kept beside the rows."""
    rows = curve_of(finished)
    assert rows["trial"].tolist() == [0, 1, 2] and rows["seed"].tolist() == [0, 0, 0]
    assert np.allclose(rows["beta"], BETAS) and rows["beta"].tolist()[::2] == BETAS[::2]
    assert set(rows["status"]) == {"ok"} and set(rows["split"]) == {"test"}
    assert rows["epochs"].tolist() == [2, 2, 2] and rows["images_seen"].tolist() == [64] * 3
    assert rows["beta_flag"].isna().all() and rows["kl"].nunique() == 3
    files = [path.name for path in (finished / "tiny").glob("_*/*") if path.is_file()]
    kept = [name for name in files if not name.endswith(".log")]
    assert kept and all(name.startswith(f"{CURVED.id}.s0.") for name in kept)
    read = pd.read_parquet(finished / "tiny")
    assert read["stage"].value_counts().to_dict() == {"curve": 3, "tune": 1, "final": 1}


def test_a_point_has_the_numbers_of_the_first_final_model_at_its_beta(tmp_path: Path) -> None:
    """The same random numbers and the same measurements, to the last bit; the second seed's not."""
    keys: dict[str, Any] = {"beta": 8.0, "beta_range": (0.5, 8.0), "curve_points": 2, "seeds": 2}
    keys |= {"epochs": 1, "limit": 32}
    cell = tiny.tiny_cell("l2 + 2*blur[hidden=8,warmup=0]", **keys)
    told = trained(cell, tmp_path)
    assert told == [("final", 0), ("final", 1), ("curve", 0), ("curve", 1)]
    curve, finals = curve_of(tmp_path), rows_of(tmp_path).query("stage == 'final'")
    names = [*METRICS, *(f"{name}_signature" for name in METRICS), "beta_source", "images"]
    first, second, point = (part.iloc[number] for part, number in
                            ((finals, 0), (finals, 1), (curve, 1)))  # fmt: skip
    pd.testing.assert_series_equal(point[names], first[names], check_names=False, check_exact=True)
    assert list(point["curve_energy"]) == list(first["curve_energy"]) != second["curve_energy"]
    assert point["frd_gen"] != second["frd_gen"] and curve["beta"].tolist() == [0.5, 8.0]


def test_points_are_no_part_of_the_identity(finished: Path) -> None:
    """Neither of the cell's id nor of the protocol that rows of trials and finals name."""
    assert PLAIN.id == CURVED.id and PLAIN != CURVED
    assert columns.describe(PLAIN) == columns.describe(CURVED)
    for row in rows_of(finished).to_dict("records"):
        keys = json.loads(row["protocol"])
        assert keys.pop("curve_points", None) == (3 if row["stage"] == "curve" else None)
        assert keys == json.loads(columns.describe(PLAIN)["protocol"])


def test_points_that_are_added_later_are_all_that_is_trained(
    finished: Path, tmp_path: Path
) -> None:
    """The numbers are those of a grid that asked for them at once; then nothing is left."""
    run_cell(tiny.assignment(PLAIN, tmp_path))
    before = {path.name for path in Store(tmp_path / "tiny").files()}
    found = progress(CURVED, tmp_path)
    assert (found.state, found.points, found.all_points) == ("partial", 0, 3)
    assert progress(PLAIN, tmp_path).state == "done"
    assert trained(CURVED, tmp_path) == [("curve", 0), ("curve", 1), ("curve", 2)]
    assert before < {path.name for path in Store(tmp_path / "tiny").files()}
    tiny.assert_same_numbers(rows_of(tmp_path), rows_of(finished))
    assert progress(CURVED, tmp_path).state == progress(PLAIN, tmp_path).state == "done"
    assert trained(CURVED, tmp_path) == trained(PLAIN, tmp_path) == []


@pytest.mark.parametrize("where", ["between", "within"])
def test_a_curve_that_was_cut_short_goes_on(finished: Path, copied: Path, where: str) -> None:
    """Killed before its last point, or stopped within it: the rows are those of one run."""
    [lost] = (copied / "tiny").glob("*.curve002.*.parquet")
    lost.unlink()
    assert (progress(CURVED, copied).state, progress(CURVED, copied).points) == ("partial", 2)

    def kill(event: dict[str, Any]) -> None:
        if event["event"] == "start":
            raise Killed

    assignment = tiny.assignment(CURVED, copied)
    if where == "between":
        with pytest.raises(Killed):
            run_cell(assignment, kill)
    else:
        with pytest.raises(Interrupted):
            run_cell(assignment, stop=tiny.stop_after(3))
        [left] = (copied / "tiny" / "_checkpoints").iterdir()
        assert left.name == f"{CURVED.id}.curve002.pt"
    assert trained(CURVED, copied) == [("curve", 2)]
    tiny.assert_same_numbers(rows_of(copied), rows_of(finished))
    assert not list((copied / "tiny" / "_checkpoints").iterdir())


def test_a_point_that_failed_is_said_and_tried_again(
    finished: Path, copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [lost] = (copied / "tiny").glob("*.curve001.*.parquet")
    lost.unlink()
    with monkeypatch.context() as patch, pytest.raises(CellFailed, match="no luck"):

        def broken(self: Any) -> dict[str, Any]:
            raise RuntimeError("no luck")

        patch.setattr(harness.cell.Attempt, "run", broken)
        run_cell(tiny.assignment(CURVED, copied))
    found = progress(CURVED, copied)
    assert (found.state, found.points) == ("failed", 2)
    assert found.failed == "failed in curve 1: RuntimeError: no luck"
    assert reported(CURVED, copied).curves["trial"].tolist() == [0, 2]
    assert trained(CURVED, copied) == [("curve", 1)]
    tiny.assert_same_numbers(rows_of(copied), rows_of(finished))


def test_points_of_another_curve_do_not_count(tmp_path: Path) -> None:
    """Another number of points, and at a fixed β, whose cell stays the same, another range."""
    keys = {"beta": 0.5, "epochs": 1, "limit": 32}
    asked = [
        tiny.tiny_cell("l2", **keys, curve_points=points, beta_range=(0.1, high))
        for points, high in ((3, 10.0), (2, 40.0))
    ]
    assert len({cell.id for cell in asked}) == 1
    for cell in asked:
        found = progress(cell, tmp_path)
        assert (found.points, found.state == "done") == (0, False)
        count = cell.protocol.curve_points or 0
        assert trained(cell, tmp_path)[-count:] == [("curve", k) for k in range(count)]
        assert progress(cell, tmp_path).state == "done"
        shown = reported(cell, tmp_path).curves
        assert shown["beta"].tolist()[:: count - 1] == list(cell.protocol.beta_range or ())
        assert len(shown) == count
    assert rows_of(tmp_path)["stage"].value_counts().to_dict() == {"curve": 3, "final": 1}


def test_scoring_again_leaves_a_curve_alone(
    finished: Path, copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By another source: its points no longer count, nor do they stand beside the new numbers."""
    before = {path.name for path in (copied / "tiny").glob("*.curve*")}
    monkeypatch.setattr(provenance, "evaluate_digest", lambda: "another")
    assert progress(CURVED, copied).state == "stale"
    assert rescore.rescore(Store(copied / "tiny"), device="cpu").rows == 1
    assert {path.name for path in (copied / "tiny").glob("*.curve*")} == before
    found = progress(CURVED, copied)
    assert (found.state, found.points, found.stale) == ("partial", 0, None)
    shown = reported(CURVED, copied)
    assert not shown.stale and len(shown.finals) == 1 and shown.curves.empty
    assert len(reported(CURVED, finished).curves) == 3 and not reported(CURVED, finished).stale


def test_the_report_has_the_points_that_the_grid_asks_for(finished: Path, copied: Path) -> None:
    """Sorted by β, and never among the trials or the final models."""
    shown = reported(CURVED, finished)
    assert np.allclose(shown.curves["beta"], BETAS) and shown.state == ""
    assert set(shown.curves["stage"]) == {"curve"}
    assert (len(shown.finals), len(shown.tunes), len(shown.attempts)) == (1, 1, 1)
    plain = reported(PLAIN, finished)
    assert plain.curves.empty and "frd_gen" in plain.curves.columns and len(plain.finals) == 1
    row = newest(Store(copied / "tiny").rows()).query("stage == 'curve'").iloc[0].to_dict()
    known = harness.cell.columns.describe(CURVED)
    state = {name: row[name] for name in ("source_digest", "data_hash", "protocol", "seed")}
    Store(copied / "tiny").write(
        known | state | {"stage": "curve", "trial": 1, "beta": 2.0, "status": "diverged"}
    )
    assert reported(CURVED, copied).curves["trial"].tolist() == [0, 2]
    assert progress(CURVED, copied).state == "done"  # diverged is a result


def test_a_curve_needs_no_tuned_beta(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No trial gave a finite objective: that is the final's row; the curve shows where it does."""
    monkeypatch.setattr(tune, "best", lambda trials, direction: None)
    cell = tiny.tiny_cell("l2", **(KEYS | {"epochs": 1}), curve_points=2)
    assert trained(cell, tmp_path) == [("tune", 0), ("curve", 0), ("curve", 1)]
    rows = rows_of(tmp_path)
    assert rows["status"].tolist() == ["ok", "ok", "diverged", "ok"]
    assert progress(cell, tmp_path).state == "done"


def test_a_range_that_cannot_be_had_is_a_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At a fixed β the loss is asked for its range after the final models."""
    cell = tiny.tiny_cell("l2", beta=0.5, epochs=1, limit=32, curve_points=2)

    def broken(self: Any, number: object) -> Any:
        if number == "tune":
            raise RuntimeError("no range")
        return build(self, number)

    build = harness.cell.Context.build_loss
    monkeypatch.setattr(harness.cell.Context, "build_loss", broken)
    with pytest.raises(CellFailed):
        run_cell(tiny.assignment(cell, tmp_path))
    assert progress(cell, tmp_path).failed == "failed in curve 0: RuntimeError: no range"
    assert curve_of(tmp_path)["trial"].tolist() == [0]


def test_the_estimate_counts_full_budgets() -> None:
    """Two epochs of 64 images, and 64 images each of validation and test, for every point."""
    found = [
        plan.Checked(cell, (1, 16, 16), (64, 64, 64), "d", "s", (0.1, 40.0), 1234, None)
        for cell in (PLAIN, CURVED)
    ]
    row = columns.describe(PLAIN) | {"device": "cpu", "status": "ok", "images_per_second": 100.0}
    rows = pd.DataFrame([row])
    plain, curved = (estimate.estimate([each], rows, ["cpu"], 1).seconds for each in found)
    assert curved - plain == pytest.approx(3 * (2 * 64 + 64 + 64) / 100)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (0, "must be at least 2"),
        (1, "must be at least 2"),
        (-3, "must be at least 2"),
        ("x", "must be a whole number"),
        (3.0, "must be a whole number"),
        (True, "must be a whole number"),
    ],
)
def test_a_wrong_number_of_points_is_one_sentence(
    value: Any, why: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(HarnessError, match=f"curve_points = {value!r}: {why}"):
        tiny.tiny_cell("l2", curve_points=value)
    given = f"curve_points={str(value).lower()}"
    monkeypatch.setattr(sys, "argv", ["harness", "run", "--loss", "l2", "--set", given, "-n"])
    with pytest.raises(SystemExit) as ended:
        __main__.main()
    error = capsys.readouterr().err
    assert ended.value.code == 2 and error.startswith("error: ") and error.count("\n") == 1
    assert "curve_points" in error and why in error


CHANGES: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "none": dict,
    "other points": lambda keys: keys | {"curve_points": 4},
    "other range": lambda keys: keys | {"beta_range": [0.1, 41.0]},
    "no points": lambda keys: {k: v for k, v in keys.items() if k != "curve_points"},
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_row_says_which_curve_it_is_of(finished: Path, change: str) -> None:
    rows = newest(Store(finished / "tiny").rows())
    assert plan.curve(CURVED, rows)["trial"].tolist() == [0, 1, 2]
    written = rows.loc[rows["trial"] == 1, "protocol"].item()
    text = json.dumps(CHANGES[change](json.loads(written)))
    changed = rows.assign(protocol=rows["protocol"].where(rows["trial"] != 1, text))
    kept = [0, 1, 2] if change == "none" else [0, 2]
    assert plan.curve(CURVED, changed)["trial"].tolist() == kept
    assert plan.curve(PLAIN, rows).empty
