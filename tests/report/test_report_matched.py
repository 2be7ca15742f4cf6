"""Scores at one rate: the interpolation against SciPy's, what is not covered, both budgets."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import synthetic

from harness.report.collect import Cell, Group, collect
from harness.report.matched import NO_OVERLAP, common_rate, full_matched_table, matched_table
from harness.report.monotone import pchip
from harness.report.table import Entry, Table
from harness.store import Store

Rows = list[tuple[float, float]]  # KL and PSNR of each trial


@pytest.mark.parametrize("points", [2, 3, 4, 9])
def test_interpolation_is_scipys(points: int) -> None:
    from scipy.interpolate import PchipInterpolator

    rng = np.random.default_rng(points)
    for kind in ("monotone", "any", "flat"):
        x = np.cumsum(rng.uniform(0.1, 2, points))
        y = np.cumsum(rng.uniform(0, 1, points)) if kind == "monotone" else rng.normal(0, 1, points)
        y = np.zeros(points) if kind == "flat" else y
        expected = PchipInterpolator(x, y)
        for at in [*x, *rng.uniform(x[0], x[-1], 20)]:
            assert pchip(x, y, at) == pytest.approx(float(expected(at)), abs=1e-12)


def test_interpolation_never_overshoots() -> None:
    x, y = np.array([0.0, 1.0, 2.0, 3.0]), np.array([0.0, 0.0, 1.0, 1.0])
    values = [pchip(x, y, at) for at in np.linspace(0, 3, 100)]
    assert min(values) == 0 and max(values) <= 1 and (np.diff(values) > -1e-12).all()


@pytest.fixture
def tuned(tmp_path: Any) -> Callable[[dict[str, Rows]], Group]:
    """A group of losses with trials of given KL and PSNR, the first the one chosen."""

    def make(losses: dict[str, Rows]) -> Group:
        store, cells = Store(tmp_path / "made"), []
        for loss, rows in losses.items():
            cell = synthetic.describe("photos32", loss, 1, len(rows))
            cells.append(cell)
            for trial, (kl, psnr) in enumerate(rows):
                more = {"kl": kl, "psnr": psnr, "frd_gen": 0.1 * (trial + 1)}
                store.write(synthetic.row(cell, "tune", trial, 0.1 * (trial + 1), **more))
            first = {"kl": rows[0][0], "psnr": rows[0][1]}
            store.write(synthetic.row(cell, "final", 0, 0.1, **first))
        synthetic.write_grid(store, cells)
        return collect(store, store.grid())[0]

    return make


def entry(table: Table | None, loss: str, key: str) -> Entry:
    assert table is not None
    at = [column.key for column in table.columns].index(key)
    return next(row for row in table.rows if row.label == loss).entries[at]


def test_scores_are_read_off_in_log_kl(tuned: Callable[..., Group]) -> None:
    table = matched_table(
        tuned({"l2": [(10.0, 20.0), (1.0, 18.0), (100.0, 25.0)], "l1": [(5.0, 19.0), (20.0, 21.0)]})
    )
    assert table is not None and "KL = 10.0 nats" in table.caption
    assert "tuning budget, validation" in table.caption
    assert entry(table, "l2", "psnr").value == pytest.approx(20.0)
    assert entry(table, "l1", "psnr").value == pytest.approx(20.0)  # halfway in log KL
    assert entry(table, "l1", "kl_range").text == "5.0–20.0"
    assert entry(table, "l2", "points").text == "3"
    assert not any(each.bold for row in table.rows for each in row.entries)


def test_no_overlap_is_said_and_never_extrapolated(tuned: Callable[..., Group]) -> None:
    table = matched_table(
        tuned(
            {
                "l2": [(10.0, 20.0), (1.0, 18.0)],
                "l1": [(8.0, 19.0), (20.0, 21.0)],
                "ce": [(50.0, 22.0), (90.0, 23.0)],
            }
        )
    )
    assert table is not None and "No overlap:" in table.caption
    found = entry(table, "ce", "psnr")
    assert found.text == NO_OVERLAP and math.isnan(found.value)
    assert entry(table, "l1", "psnr").text != NO_OVERLAP


def test_one_curve_is_nothing_to_match(tuned: Callable[..., Group]) -> None:
    assert matched_table(tuned({"l2": [(10.0, 20.0), (1.0, 18.0)], "l1": [(5.0, 19.0)]})) is None


def test_a_metric_of_two_signatures_is_left_out(tuned: Callable[..., Group]) -> None:
    group = tuned({"l2": [(10.0, 20.0), (1.0, 18.0)], "l1": [(5.0, 19.0), (20.0, 21.0)]})
    group.cells[0].tunes["psnr_signature"] = "another"
    table = matched_table(group)
    assert table is not None and "psnr" not in [column.key for column in table.columns]
    assert any("several signatures: PSNR" in note for note in table.notes)


def test_common_rate_lies_where_most_ranges_overlap() -> None:
    ranges = [(1.0, 16.0), (4.0, 64.0), (20.0, 100.0)]
    assert common_rate(ranges, [2.0, 8.0, 90.0]) == 8.0  # alone in two ranges
    assert common_rate(ranges, [5.0, 30.0, 10.0]) == 10.0  # all in two: the middle one


def with_points(cell: Cell, rows: Rows) -> None:
    """Give a cell models of the full budget at other β, as `curve_points` trains them."""
    description = synthetic.describe(cell.dataset, cell.loss, 1)
    points = [
        synthetic.row(description, "final", 0, 0.2, kl=kl, psnr=psnr) | {"stage": "curve"}
        for kl, psnr in rows
    ]
    object.__setattr__(cell, "curves", pd.DataFrame(points))


def test_the_full_budget_has_a_table_of_its_own(tuned: Callable[..., Group]) -> None:
    trials: Rows = [(10.0, 20.0), (1.0, 18.0)]
    group = tuned({"l2": trials, "l1": trials, "ce": trials})
    assert full_matched_table(group) is None
    with_points(group.cells[0], [(1.0, 18.0), (100.0, 26.0)])
    with_points(group.cells[1], [(4.0, 21.0), (25.0, 24.0)])
    table = full_matched_table(group)
    assert table is not None and table.name == "photos32-conv4-rate-matched-full"
    assert "3 models of each loss: full budget, test split" in table.caption
    assert [row.label for row in table.rows] == ["l2", "l1"]
    # The final model of the same seed is a point of the curve: 20 dB at 10 nats.
    assert entry(table, "l2", "psnr").value == pytest.approx(20.0)
    assert entry(table, "l2", "points").text == "3"
