"""All groups at a glance: the best of each, those tied with it, and the cheapest of these."""

from collections.abc import Callable
from dataclasses import replace

from harness.report.collect import Group
from harness.report.glance import glance_table

Make = Callable[..., Group]


def groups(made: Make) -> list[Group]:
    """One with two tied losses, one with a clear winner, one of which nothing ran to its end."""
    tied = made(
        {"loss": "l2", "frd_gen": [0.50, 0.51, 0.52], "images_per_second": [100.0] * 3},
        {"loss": "l1", "frd_gen": [0.30, 0.36, 0.33], "images_per_second": [80.0] * 3},
        {"loss": "ce", "frd_gen": [0.36, 0.30, 0.34], "images_per_second": [90.0] * 3},
    )
    clear = made(
        {"loss": "l2", "frd_gen": [0.50, 0.51, 0.52]}, {"loss": "l1", "frd_gen": [0.1, 0.11, 0.12]}
    )
    lone = made({"loss": "l2", "frd_gen": [0.50]})
    empty = replace(lone, cells=tuple(replace(c, finals=c.finals[:0]) for c in lone.cells))
    return [
        replace(each, slug=f"{number}", dataset=f"data{number}")
        for number, each in enumerate((tied, clear, lone, empty))
    ]


def test_each_group_has_its_best_and_the_cheapest_of_them(made: Make) -> None:
    table = glance_table(groups(made))
    assert table is not None
    tied, clear, lone, empty = ([entry.text for entry in row.entries] for row in table.rows)
    assert table.rows[0].label.startswith("data0 with ")
    assert tied[:2] == ["l1 and ce", "FRD gen. ↓"]
    assert tied[2].startswith("0.33") and tied[3:] == ["ce", "1.11"]  # 100 / 90
    assert clear[0] == clear[3] == "l1"
    assert lone[0] == "nothing to rank: l2"
    assert empty[0] == "no final model with a finite score"


def test_few_groups_need_none(made: Make) -> None:
    assert glance_table(groups(made)[:2]) is None
