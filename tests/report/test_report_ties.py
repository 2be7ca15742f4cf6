"""The best and those tied with it, when all comparisons of a column are read together."""

import csv
import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from harness.report.answer import answer
from harness.report.collect import Cell, Group
from harness.report.comparisons import comparison_table
from harness.report.export import to_csv
from harness.report.main_table import main_table
from harness.report.paired import tied
from harness.report.scores import Scores
from harness.report.ties import holm, rank

Make = Callable[..., Group]


@pytest.mark.parametrize(
    ("chances", "corrected"),
    [
        # 0.005 * 4, 0.01 * 3, 0.03 * 2, and 0.04 * 1 raised to the one before
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),
        ([0.5, 0.9, 0.4], [1.0, 1.0, 1.0]),
        ([0.01, math.nan, 0.02], [0.02, math.nan, 0.02]),
        ([0.02], [0.02]),
        ([], []),
    ],
)
def test_holm(chances: list[float], corrected: list[float]) -> None:
    assert holm(chances) == pytest.approx(corrected, nan_ok=True)


def scored(made: Make, errors: dict[str, float], images: int = 200) -> Group:
    """Losses whose mean PSNR lies so many standard errors of the difference below `l2`'s."""
    rng = np.random.default_rng(1)
    base = rng.normal(20, 4, images)
    group = made(
        *({"loss": loss, "psnr": [20 - below / images**0.5]} for loss, below in errors.items())
    )
    cells: list[Cell] = []
    for cell, below in zip(group.cells, errors.values(), strict=True):
        noise = rng.normal(0, 1, images) * (below != 0)
        noise = (noise - noise.mean()) / (noise.std(ddof=1) or 1)
        values = 20 + base - base.mean() + noise - below / images**0.5
        scores = Scores.known(pd.DataFrame({"psnr": values}))
        cells.append(replace(cell, scores=scores))
    return replace(group, cells=tuple(cells))


def test_what_one_comparison_tells_apart_many_may_not(made: Make) -> None:
    group = scored(made, {"l2": 0.0, "l1": 2.3, "ce": 2.4, "ssim": 2.3, "ffl": 9.0})
    l2, l1, ce, ssim, ffl = group.cells
    assert [tied(l2, each, "psnr") for each in (l1, ce, ssim, ffl)] == [False] * 4
    ranking = rank(group.cells, "psnr")
    assert ranking.best is l2 and ranking.judged
    assert {each.loss for each in ranking.tied} == {"l1", "ce", "ssim"}
    assert [each.cell for each in ranking.rivals][-1] is ffl
    alone = rank((l2, l1), "psnr")
    assert alone.tied == ()  # with one comparison there is nothing to correct


def test_the_answer_speaks_of_the_correction(made: Make) -> None:
    group = scored(made, {"l2": 0.0, "l1": 0.4, "ce": 9.0})
    group.cells[0].protocol["objective"] = "psnr"
    assert (
        "`l2` and `l1` are tied best on PSNR (20.00 dB, 19.97 dB; over the test images (1 seed), "
        "p above 0.05 after Holm's correction for 2 comparisons)"
    ) in answer(group)[0].replace("\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}0.33", "")


def test_the_answer_names_who_cannot_be_tested(made: Make) -> None:
    group = made(
        {"loss": "l2", "frd_gen": [0.20, 0.22, 0.21]},
        {"loss": "l1", "frd_gen": [0.21, 0.21, 0.22]},
        {"loss": "ce", "frd_gen": [0.22, math.nan, math.nan]},
    )
    text = answer(group)[0]
    assert "`l2` and `l1` are tied best" in text and "; `ce` cannot be tested)" in text


def test_equal_numbers_are_no_test(made: Make) -> None:
    group = made({"loss": "l2", "frd_gen": [0.2]}, {"loss": "l1", "frd_gen": [0.2]})
    assert "(0.2000, 0.2000; equal numbers, not tested)" in answer(group)[0]


def test_the_table_says_how_ties_were_judged(made: Make) -> None:
    table = main_table(scored(made, {"l2": 0.0, "l1": 0.4, "ce": 9.0}))
    assert "What is tied is judged over images alone" in table.caption
    [bold] = [note for note in table.notes if note.startswith("Bold")]
    assert "Holm's correction" in bold and "2,000 resamples of test images" in bold
    at = [column.key for column in table.columns].index("psnr")
    rows = [row for row in table.rows if row.loss]
    assert [row.loss for row in rows if row.entries[at].bold] == ["l2", "l1"]


def test_few_seeds_are_listed_and_five_are_not(made: Make) -> None:
    few = [20.0, 21.0, 22.5]
    table = main_table(made({"loss": "l2", "psnr": few}, {"loss": "l1", "psnr": few}))
    at = [column.key for column in table.columns].index("psnr")
    assert table.rows[-1].entries[at].note == "seeds: 20.000, 21.000, 22.500"
    assert "interval over images; seeds shown as points" in table.caption
    assert any("Student's t over 3 seeds" in note for note in table.notes)


def test_five_seeds_carry_the_interval(made: Make) -> None:
    many = [20.0, 21.0, 22.5, 21.0, 20.5]
    table = main_table(made({"loss": "l2", "psnr": many}, {"loss": "l1", "psnr": many}))
    at = [column.key for column in table.columns].index("psnr")
    assert "seeds:" not in table.rows[-1].entries[at].note
    assert "shown as points" not in table.caption


def test_differences_to_the_best(made: Make) -> None:
    group = scored(made, {"l1": 9.0, "l2": 0.0, "ce": 0.4})
    table = comparison_table(group)
    assert table is not None
    rows = list(csv.DictReader(to_csv(table).splitlines()))
    assert [row["loss"] for row in rows] == ["l1", "l2", "ce"]
    name = "psnr[minus best]"
    assert [float(row[name]) for row in rows] == pytest.approx([-9 / 200**0.5, 0, -0.4 / 200**0.5])
    assert float(rows[0]["psnr_p[PSNR]"]) < 1e-9
    l1, l2, ce = (row.entries[[c.key for c in table.columns].index("psnr")] for row in table.rows)
    assert l2.text == "best" and l1.text.startswith("−0.636 [−0.7") and not l1.bold and ce.bold


def test_no_table_of_differences_without_a_test(made: Make) -> None:
    group = made({"loss": "l2", "frd_gen": [0.1]}, {"loss": "l1", "frd_gen": [0.2]})
    bare = tuple(
        replace(cell, finals=cell.finals.assign(psnr_std=math.nan, ssim_std=math.nan))
        for cell in group.cells
    )
    assert comparison_table(replace(group, cells=bare)) is None
