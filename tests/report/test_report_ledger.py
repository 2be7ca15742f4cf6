"""The documents' claims, judged by invented rows."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import synthetic

from harness.errors import HarnessError
from harness.report import check, ledger, render
from harness.report.collect import Group, collect
from harness.report.estimates import mixed, rank
from harness.store import Store

Make = Callable[..., Group]
FACES = "celeba64[split=80/20]"
OUTPERFORMS = "bredell-outperforms-celeba64"


def faces(folder: Path, fid: dict[str, list[float]]) -> Store:
    """A store of losses on the paper's faces: a FID of generations per seed."""
    store = Store(folder)
    cells = []
    for loss, values in fid.items():
        cell = synthetic.describe(FACES, loss, len(values), trials=0)
        cells.append(cell)
        for seed, value in enumerate(values):
            store.write(synthetic.row(cell, "final", seed, 0.1, fid_gen=value))
    synthetic.write_grid(store, cells)
    return store


def verdicts(store: Store) -> dict[str, str]:
    judged = ledger.judge(collect(store, store.grid()))
    return {each.claim.id: each.verdict.state for each in judged}


RIVALS = ("l1", "ssim", "ce", "l2 + 50*ffl")
BETTER = [50.0, 50.5, 49.5]
WORSE = [60.0, 61.0, 59.5]


@pytest.mark.parametrize(
    ("blur", "l2", "expected"),
    [
        (BETTER, WORSE, "supported"),
        (WORSE, BETTER, "contradicted"),
        ([50.0, 60.0, 70.0], [55.0, 58.0, 66.0], "inconclusive"),
        (BETTER[:1], WORSE[:1], "inconclusive"),  # one seed of a distance has no interval
    ],
)
def test_a_claim_is_judged_by_paired_seeds(
    tmp_path: Path, blur: list[float], l2: list[float], expected: str
) -> None:
    rivals = {loss: [80.0, 81.0, 82.0][: len(blur)] for loss in RIVALS}
    store = faces(tmp_path / "paper", {"blur": blur, "l2": l2, **rivals})
    assert verdicts(store)[OUTPERFORMS] == expected


def test_a_rival_that_was_not_run_leaves_the_claim_open(tmp_path: Path) -> None:
    store = faces(tmp_path / "paper", {"blur": BETTER, "l2": WORSE})
    assert verdicts(store)[OUTPERFORMS] == "not run"


def test_claims_of_other_datasets_are_not_listed(made: Make) -> None:
    assert ledger.judge([made({"loss": "l2", "psnr": [20.0]})]) == []


def test_the_page_carries_verdicts_and_a_check_names_those_that_changed(tmp_path: Path) -> None:
    rivals: dict[str, Any] = {loss: [80.0, 81.0, 82.0] for loss in RIVALS}
    store = faces(tmp_path / "paper", {"blur": BETTER, "l2": WORSE, **rivals})
    with pytest.raises(HarnessError, match="no ledger of claims"):
        check(store, tmp_path / "report")
    page = render(store, tmp_path / "report").page.read_text()
    assert 'id="claims"' in page and "where it outperforms several" in page
    with (tmp_path / "report" / "claims.csv").open() as stream:
        rows = {row["id"]: row for row in csv.DictReader(stream)}
    assert rows[OUTPERFORMS]["verdict"] == "supported"
    assert "fid_gen(blur) 50 [" in rows[OUTPERFORMS]["numbers"]
    assert check(store, tmp_path / "report") == []
    other = faces(tmp_path / "other", {"blur": WORSE, "l2": BETTER, **rivals})
    changed = check(other, tmp_path / "report")
    assert f"{OUTPERFORMS}: supported before, contradicted now" in changed


def test_numbers_of_two_signatures_are_not_ranked(made: Make) -> None:
    rows = [
        {"loss": loss, "psnr": [value] * 3, "more": {"psnr_signature": signature}}
        for loss, value, signature in (("l2", 20.0, "a"), ("l1", 21.0, "b"), ("ce", 22.0, "b"))
    ]
    group = made(*rows)
    assert mixed(group.measured, "psnr") and rank(group.measured, "psnr").best is None
    alike = tuple(cell for cell in group.measured if cell.loss != "l2")
    best = rank(alike, "psnr").best
    assert best is not None and best.loss == "ce"
