"""The documents' claims, judged by invented rows."""

import csv
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import synthetic
from typer.testing import CliRunner

from harness.cli import app
from harness.errors import HarnessError
from harness.report import check, ledger, render
from harness.report.claims import Claim, Verdict, evaluate
from harness.report.collect import Cell, Group, collect
from harness.report.evidence import Evidence, share
from harness.report.expressions import Value
from harness.report.scores import Scores
from harness.report.student import point
from harness.report.ties import mixed, rank
from harness.store import Store

Make = Callable[..., Group]
FACES = "celeba64[split=80/20]"
OUTPERFORMS = "bredell-outperforms-celeba64"


def faces(
    folder: Path, fid: dict[str, list[float]], more: dict[str, list[dict[str, Any]]] | None = None
) -> Store:
    """A store of losses on the paper's faces: a FID of generations, and `more`, per seed."""
    store = Store(folder)
    cells = []
    for loss, values in fid.items():
        cell = synthetic.describe(FACES, loss, len(values), trials=0)
        cells.append(cell)
        for seed, value in enumerate(values):
            own = (more or {}).get(loss, [{}] * len(values))[seed]
            store.write(synthetic.row(cell, "final", seed, 0.1, fid_gen=value) | own)
    synthetic.write_grid(store, cells)
    return store


def judged(store: Store) -> dict[str, Verdict]:
    return {each.claim.id: each.verdict for each in ledger.judge(collect(store, store.grid()))}


def verdicts(store: Store) -> dict[str, str]:
    return {name: verdict.state for name, verdict in judged(store).items()}


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


@pytest.mark.slow
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


ALL = {"blur": BETTER, "l2": WORSE, **{loss: [80.0, 81.0, 82.0] for loss in RIVALS}}
LOST = {"status": "diverged", "cause": "the loss was not finite", "fid_gen": None, "psnr": None}
STALE = {"source_digest": "eeeeeeee-bbbbbbbb", "created": "2025-12-01T00:00:00.000000+00:00"}
SIGNED = {"fid_gen_signature": "one"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"blur": [{}, LOST, {}]}, "(blur diverged 1/3)"),
        ({"l2": [LOST] * 3}, "fid_gen(l2) diverged 3/3"),
        ({"l2": [STALE] * 3}, "fid_gen(l2) stale"),
        ({"l2": [{"fid_gen": None}] * 3}, "fid_gen(l2) metric not stored"),
        ({"l2": [{"fid_gen": None} | SIGNED] * 3}, "fid_gen(l2) not finite"),
        (
            {loss: [{"fid_gen_signature": loss[:1]}] * 3 for loss in ALL},  # blur: b, l2: l
            "(signatures differ)",
        ),
    ],
)
def test_what_tables_do_not_rank_no_verdict_ranks(
    tmp_path: Path, more: dict[str, Any], reason: str
) -> None:
    assert verdicts(faces(tmp_path / "whole", ALL))[OUTPERFORMS] == "supported"
    verdict = judged(faces(tmp_path / "doubtful", ALL, more))[OUTPERFORMS]
    assert verdict.state == "inconclusive"
    assert reason in verdict.numbers


def test_seeds_that_did_not_run_yet_leave_a_ranking_alone(tmp_path: Path) -> None:
    store = faces(tmp_path / "paper", ALL)
    cells = [dict(each, seeds=5) for each in store.grid()["cells"]]
    synthetic.write_grid(store, cells)
    assert verdicts(store)[OUTPERFORMS] == "supported"


WATSON = "watson-dft[tuned=true]"


@pytest.mark.parametrize(
    ("lost", "expected"), [(3, "supported"), (2, "supported"), (1, "inconclusive"), (0, "open")]
)
def test_divergence_is_evidence_of_instability(tmp_path: Path, lost: int, expected: str) -> None:
    more = {WATSON: [LOST] * lost + [{}] * (3 - lost)}
    verdict = judged(faces(tmp_path / "paper", {WATSON: WORSE}, more))["bredell-watson-unstable"]
    # None of three may be chance as well: its interval goes up to 56 %.
    assert verdict.state == ("inconclusive" if expected == "open" else expected)
    assert verdict.numbers.startswith(f"diverged({WATSON}) {lost / 3:.4g} [")


def test_tuning_of_which_every_trial_diverged_is_evidence_too(tmp_path: Path) -> None:
    store, cell = Store(tmp_path / "paper"), synthetic.describe(FACES, WATSON, 3, trials=4)
    synthetic.write_grid(store, [cell])
    for trial in range(4):
        assert verdicts(store)["bredell-watson-unstable"] == "not run" or trial > 0
        store.write(synthetic.row(cell, "tune", trial, 0.1) | LOST)
    verdict = judged(store)["bredell-watson-unstable"]
    assert verdict.state == "supported"
    assert verdict.numbers == f"diverged({WATSON}) 1 [0.5101, 1] > 0.1 (over trainings)"


def test_the_interval_of_a_share() -> None:
    # By hand with z = 1.96: z²/(n + z²) at the ends, and Newcombe 1998's 81 of 263.
    assert share(0, 3) == (0.0, 0.0, pytest.approx(3.8416 / 6.8416))
    assert share(3, 3) == (1.0, pytest.approx(3 / 6.8416), 1.0)
    assert share(81, 263) == (
        81 / 263,
        pytest.approx(0.2553, abs=1e-4),
        pytest.approx(0.3662, abs=1e-4),
    )


def test_a_home_advantage_is_that_of_the_tables(made: Make) -> None:
    values = {"lpips_vgg": [0.1] * 3, "psnr": [20.0] * 3}
    rows = Evidence([made({"loss": "vgg", **values}, {"loss": "l2", **values})])

    def found(metric: str, *losses: str) -> str:
        return rows.advantage(tuple(Value(metric, each, "photos32", "conv4") for each in losses))

    assert found("lpips_vgg", "vgg", "l2") == "home advantage of lpips_vgg(vgg)"
    assert found("psnr", "vgg", "l2") == found("lpips_vgg", "vgg", "vgg") == ""


def test_speeds_of_two_machines_are_not_compared(tmp_path: Path) -> None:
    speed = {"images_per_second": 1000.0}
    other = speed | {"device_name": "Another synthetic CPU"}
    for more, expected in (([speed] * 3, "supported"), ([other] * 3, "inconclusive")):
        both = {"l2": [speed] * 3, "blur": more}
        store = faces(tmp_path / expected, {"blur": BETTER, "l2": WORSE}, both)
        verdict = judged(store)["bredell-celerity"]
        assert verdict.state == expected
        assert ("hardware differs" in verdict.numbers) == (expected == "inconclusive")


@pytest.mark.parametrize(("times", "expected"), [(3, "supported"), (1, "contradicted")])
def test_parameters_are_counted_not_estimated(tmp_path: Path, times: int, expected: str) -> None:
    store = Store(tmp_path / "paper")
    cells = [synthetic.describe(FACES, loss, 1, trials=0) for loss in ("l2", WATSON)]
    cells[1] |= {"model": "czolbe", "id": "czolbe"}
    for cell, parameters in zip(cells, (1000, 1000 * times), strict=True):
        store.write(synthetic.row(cell, "final", 0, 0.1, parameters=parameters))
    synthetic.write_grid(store, cells)
    verdict = judged(store)["bredell-watson-parameters"]
    assert verdict.state == expected and "intervals" not in verdict.numbers


def test_what_no_stored_number_decides_is_open_where_its_cells_ran(tmp_path: Path) -> None:
    ran = judged(faces(tmp_path / "paper", {"blur": BETTER, "l2": WORSE}))
    for name in ("bredell-maximises-elbo", "bredell-kernels-differ"):
        assert (ran[name].state, ran[name].numbers) == (
            "inconclusive",
            "no stored number decides it",
        )
    store = Store(tmp_path / "planned")
    synthetic.write_grid(store, [synthetic.describe(FACES, "blur", 3)])
    assert verdicts(store)["bredell-kernels-differ"] == "not run"


def test_a_grid_without_claims_has_a_ledger_to_check_against(tmp_path: Path) -> None:
    synthetic.write_grid(
        small := Store(tmp_path / "small"), [synthetic.describe("photos32", "l2", 1)]
    )
    rendered = render(small, tmp_path / "report")
    assert (tmp_path / "report" / "claims.csv") in rendered.files
    assert (tmp_path / "report" / "claims.csv").read_text() == ",".join(ledger.COLUMNS) + "\n"
    assert check(small, tmp_path / "report") == []


@pytest.mark.slow
def test_a_check_compares_with_a_committed_file_elsewhere(tmp_path: Path) -> None:
    store = faces(tmp_path / "results" / "paper", ALL)
    committed = tmp_path / "committed.csv"
    text = ledger.to_csv(ledger.judge(collect(store, store.grid())))
    committed.write_text(text, encoding="utf-8")
    arguments = ["report", "--results", str(tmp_path / "results"), "--claims", str(committed)]
    same = CliRunner().invoke(app, [*arguments, "--check"])
    assert (same.exit_code, same.stdout) == (0, "every verdict is as before\n")
    committed.write_text(text.replace("supported", "contradicted"), encoding="utf-8")
    differs = CliRunner().invoke(app, [*arguments, "--check"])
    assert differs.exit_code == 1
    assert f"{OUTPERFORMS}: contradicted before, supported now" in differs.stdout
    with pytest.raises(HarnessError, match=r"--claims .* is for --check"):
        CliRunner().invoke(app, arguments, catch_exceptions=False)
    committed.write_bytes(b"\xff\xfe")
    with pytest.raises(HarnessError, match="no ledger of claims to check against"):
        check(store, tmp_path, committed)
    committed.write_text("id,text\n", encoding="utf-8")
    with pytest.raises(HarnessError, match="no column verdict"):
        check(store, tmp_path, committed)


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


EQUAL = ("blur", "l2", "l1", "ssim", "ce", "l2 + 50*ffl")
DRAWN = ["psnr", "ssim", "lpips"]
MANY = Claim(
    "one", "bredell", "here", "text", "ranking", FACES, "conv4",
    "best(psnr, ssim, lpips; blur; l2, l1, ssim, ce, l2 + 50*ffl)", "",
)  # fmt: skip


@pytest.mark.parametrize("seeds", [1, 3])
def test_equal_losses_are_seldom_contradicted(tmp_path: Path, seeds: int) -> None:
    """Without correction one of the 15 comparisons contradicts in one experiment of six or more."""
    store = faces(tmp_path / "paper", {loss: [0.0] * seeds for loss in EQUAL})
    [group] = collect(store, store.grid())
    rng = np.random.default_rng(seeds)
    alone, together = [], []
    for _ in range(40):
        rows = Evidence([replace(group, cells=tuple(drawn(cell, rng) for cell in group.cells))])
        arguments = (MANY, rows.value, rows.difference, rows)
        alone.append(evaluate(*arguments).state == "contradicted")
        if alone[-1]:
            together.append(evaluate(*arguments, rows.wider).state == "contradicted")
    assert sum(alone) >= 5 and sum(together) <= 2


def drawn(cell: Cell, rng: np.random.Generator) -> Cell:
    """The cell with new numbers, alike in truth: of images for one seed, else of seeds alone."""
    finals = cell.finals.copy()
    if len(finals) > 1:
        finals[DRAWN] = rng.normal(20, 1, (len(finals), len(DRAWN)))
        finals[[f"{metric}_std" for metric in DRAWN]] = math.nan
        return replace(cell, finals=finals, scores=None)
    values = rng.normal(20, 1, (100, len(DRAWN)))
    finals[DRAWN] = values.mean(axis=0)
    return replace(cell, finals=finals, scores=Scores.known(pd.DataFrame(values, columns=DRAWN)))


def test_verdicts_name_seeds_images_and_trainings(tmp_path: Path) -> None:
    assert judged(faces(tmp_path / "seeds", ALL))[OUTPERFORMS].over == "3 seeds"
    more = {loss: [{"psnr_std": 1.0, "images": 50}] for loss in ("blur", "l2")}
    one = judged(faces(tmp_path / "images", {"blur": [50.0], "l2": [60.0]}, more))
    assert one["bredell-size-celeba64-psnr"].over == "images"
    assert one["bredell-no-convergence-issues"].over == "trainings"
    assert one["bredell-no-convergence-issues"].state == "inconclusive"  # of one nothing follows


def test_doubtful_scales_are_never_supported(tmp_path: Path) -> None:
    # A ratio of 0.82, as printed, of three seeds that agree.
    verdict = judged(faces(tmp_path / "paper", {"blur": [8.2] * 3, "l2": [10.0] * 3}))
    assert verdict["bredell-size-celeba64-fid"].state == "inconclusive"
    assert "the printed FID is not explained" in verdict["bredell-size-celeba64-fid"].numbers


def test_the_ledger_tells_grounds_and_the_documents_own_numbers(tmp_path: Path) -> None:
    store = faces(tmp_path / "paper", ALL)
    text = ledger.to_csv(ledger.judge(collect(store, store.grid())))
    rows = {row["id"]: row for row in csv.DictReader(text.splitlines())}
    assert (rows[OUTPERFORMS]["over"], rows[OUTPERFORMS]["own_numbers"]) == ("3 seeds", "supported")
    assert rows["bredell-large-epsilon-best"]["own_numbers"] == "contradicted"
    assert rows["bredell-kernels-differ"]["own_numbers"] == "not printed"


def test_a_ledger_of_an_earlier_version_can_be_checked_against(tmp_path: Path) -> None:
    store = faces(tmp_path / "paper", ALL)
    found = ledger.judge(collect(store, store.grid()))
    rows = csv.DictReader(ledger.to_csv(found).splitlines())
    old = [f"{row['id']},{row['verdict']}" for row in rows]
    committed = tmp_path / "claims.csv"
    committed.write_text("\n".join(["id,verdict", *old]) + "\n", encoding="utf-8")
    assert ledger.changed(found, committed) == []
    committed.write_text("\n".join(["id,verdict", *old[1:]]) + "\n", encoding="utf-8")
    assert len(ledger.changed(found, committed)) == 1


def test_points_of_students_t() -> None:
    # By tables: 12.706 for one degree, 9.925 for two at 1 %, 1.960 and 3.291 for the normal.
    assert point(0.05, 1) == pytest.approx(12.7062, abs=1e-4)
    assert point(0.01, 2) == pytest.approx(9.9248, abs=1e-4)
    assert point(0.05, math.inf) == pytest.approx(1.95996, abs=1e-5)
    assert point(0.001, math.inf) == pytest.approx(3.29053, abs=1e-5)
