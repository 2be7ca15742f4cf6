"""From rows to groups: states, staleness, labels; and from groups to sentences."""

import math
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import synthetic

from harness.report.advantage import home, optimised, terms
from harness.report.answer import answer
from harness.report.collect import Group, collect
from harness.report.state import sentence
from harness.store import Store

Make = Callable[..., Group]


def one(tmp_path: Path, loss: str = "l2", seeds: int = 3) -> tuple[Store, dict]:
    """A store whose grid has one cell and no rows."""
    store = Store(tmp_path / "one")
    cell = synthetic.describe("photos32", loss, seeds)
    synthetic.write_grid(store, [cell])
    return store, cell


def state(store: Store) -> str:
    """The state of the only cell."""
    return collect(store, store.grid())[0].cells[0].state


def test_groups_keep_the_grids_order(groups: list[Group]) -> None:
    assert groups[0].title == "photos32 with conv4"
    assert groups[1].title == "digits[size=28] with conv4"
    assert [group.slug for group in groups] == ["photos32-conv4", "digits-size-28-conv4"]


def test_states(tmp_path: Path) -> None:
    store, cell = one(tmp_path)
    assert state(store) == "not run"
    store.write(synthetic.row(cell, "tune", 0, 0.01))
    store.write(synthetic.row(cell, "tune", 1, 0.1) | {"status": "diverged"})
    assert state(store) == "only tuned, 2 of 4 trials"
    store.write(synthetic.row(cell, "tune", 2, 1.0) | {"status": "out_of_memory"})
    assert state(store) == "diverged 1/3, out of memory 1/3 in tuning"
    store.write(synthetic.row(cell, "final", 0, 0.1))
    assert state(store) == "not run 2/3"
    store.write(synthetic.row(cell, "final", 1, 0.1) | {"status": "failed", "cause": "a bug"})
    store.write(synthetic.row(cell, "final", 2, 0.1) | {"status": "timeout"})
    assert state(store) == "failed 1/3, timed out 1/3"
    found = collect(store, store.grid())[0].cells[0]
    assert "seed 1: failed: a bug" in found.causes
    assert found.measured and not found.whole


def test_unavailable_in_tuning_is_unavailable(tmp_path: Path) -> None:
    store, cell = one(tmp_path)
    row = synthetic.row(cell, "tune", 0, 0.1)
    store.write(row | {"status": "unavailable", "cause": "no weights"})
    assert state(store) == "unavailable"


def test_seeds_beyond_the_grids_are_left_out(tmp_path: Path) -> None:
    store, cell = one(tmp_path, seeds=1)
    for seed in range(3):
        store.write(synthetic.row(cell, "final", seed, 0.1))
    assert len(collect(store, store.grid())[0].cells[0].finals) == 1


@pytest.mark.parametrize(
    ("older", "stale"),
    [
        ({"source_digest": "eeeeeeee-bbbbbbbb"}, True),
        ({"data_hash": "other"}, True),
        ({"source_digest": "aaaaaaaa-cccccccc"}, False),  # only its own loss's source differs
        ({"source_digest": None, "data_hash": None}, False),
    ],
)
def test_staleness(tmp_path: Path, older: dict, stale: bool) -> None:
    store = Store(tmp_path / "two")
    cells = [synthetic.describe("photos32", loss, 1) for loss in ("l2", "l1")]
    synthetic.write_grid(store, cells)
    store.write(synthetic.row(cells[0], "final", 0, 0.1, created="2025-01-01", **older))
    store.write(synthetic.row(cells[1], "final", 0, 0.1))
    l2, l1 = collect(store, store.grid())[0].cells
    assert (l2.stale, l1.stale) == (stale, False)
    assert l2.measured is not stale


def test_one_loss_twice_is_told_apart(tmp_path: Path) -> None:
    store = Store(tmp_path / "twice")
    cells = [synthetic.describe("photos32", "l2", 1) for _ in range(2)]
    cells[1]["id"] += "-again111"
    synthetic.write_grid(store, cells)
    labels = [cell.label for cell in collect(store, store.grid())[0].cells]
    assert len(set(labels)) == 2
    assert all(label.startswith("l2 (") for label in labels)


def test_answer_names_the_best_with_its_doubt(groups: list[Group]) -> None:
    text = " ".join(answer(groups[0]))
    assert "`ssim` has the best FRD gen.: 0.1505" in text
    assert "3 seeds, p below 0.05 after Holm's correction for" in text
    assert re.search(r"`ssim` costs 1\.31 ± 0\.0\d× a step of `l2`\.", text)
    assert "`blur`: 1 of 3 seeds diverged." in text
    assert "`ffl` is stale: the source or the data changed since." in text
    alone = " ".join(answer(groups[1]))
    assert "with 1 seed that lead cannot be tested" in alone


def test_answer_says_what_the_winner_costs(made: Make) -> None:
    speeds = {"l2": 100.0, "l1": 125.0, "ssim": 50.0}
    group = made(
        *({"loss": k, "images_per_second": [v], "frd_gen": [1 / v]} for k, v in speeds.items()),
        {"loss": "ce", "images_per_second": [90.0], "frd_gen": [0.001]},
    )
    assert "`ce` costs 1.11× a step of `l2` (one timing each)." in answer(group)[0]


def test_answer_passes_over_who_has_a_home_advantage(made: Make) -> None:
    values = {"l2": 5.0, "squeeze": 1.0, "l1": 7.0}
    group = made(*({"loss": k, "fsd_gen": [v]} for k, v in values.items()))
    group.cells[0].protocol["objective"] = "fsd_gen"
    assert "`l2` has the best FSD gen.: 5.00, before `l1` (7.00)" in answer(group)[0]


def test_answer_gives_the_range_of_costs_where_l2_wins(made: Make) -> None:
    speeds = {"l2": 100.0, "l1": 125.0, "ssim": 50.0}
    group = made(
        *(
            {"loss": k, "images_per_second": [v], "frd_gen": [1 + (k != "l2")]}
            for k, v in speeds.items()
        )
    )
    assert (
        "A step costs from 0.80× (`l1`) to 2.00× (`ssim`) that of `l2` (one timing each)."
        in answer(group)[0]
    )


def test_answer_calls_ties_ties(made: Make) -> None:
    group = made(
        {"loss": "l2", "frd_gen": [0.20, 0.22, 0.21]},
        {"loss": "l1", "frd_gen": [0.21, 0.21, 0.21]},
        {"loss": "ce", "frd_gen": [0.90, 0.91, 0.92]},
    )
    text = answer(group)[0]
    assert "`l2` and `l1` are tied best on FRD gen." in text
    assert "`ce`" not in text.split(".")[0]


def test_answer_says_who_does_not_beat_the_mean_image(made: Make) -> None:
    group = made({"loss": "l2", "psnr": [13.0]}, {"loss": "l1", "psnr": [19.0]})
    assert "`l2` does no better on PSNR than predicting the mean image (13.87)" in answer(group)[1]


def test_answer_without_a_finite_objective(made: Make) -> None:
    group = made({"loss": "l2", "frd_gen": [math.nan]}, {"loss": "l1", "frd_gen": [math.nan]})
    assert "no loss has a finite FRD gen." in answer(group)[0]


def test_terms_and_advantages() -> None:
    assert terms("l2 + 50*ffl[alpha=1,patch=2]") == ["l2", "ffl"]
    assert terms("100*vgg + my_loss") == ["vgg", "my_loss"]


def test_home_advantage_is_decided_by_the_network(made: Make) -> None:
    losses = ["l2 + 3*lpips[net=alex]", "l2 + 3*lpips[net=vgg]", "squeeze", "l2", "ssim"]
    group = made(*({"loss": loss, "psnr": [20.0]} for loss in losses))
    alex, vgg, squeeze, l2, ssim = (group.cell(loss) for loss in losses)
    assert home(alex, "lpips") and not home(vgg, "lpips") and home(vgg, "lpips_vgg")
    assert optimised(vgg, "lpips") and not optimised(vgg, "lpips_vgg")
    assert home(squeeze, "fsd_gen") and home(squeeze, "ksd_caffe_gen")
    assert not home(squeeze, "frd_gen") and not home(squeeze, "coverage_gen")
    signature = "coverage_gen_signature"  # the column's space is not always the protocol's
    squeeze.finals[signature] = "prdc|k=5|euclidean|strict|float64|squeezenet|dims=512|n=9,9|v1"
    assert home(squeeze, "coverage_gen") and not home(squeeze, "density_gen")
    assert not home(l2, "lpips") and optimised(l2, "mse")
    assert optimised(ssim, "ssim") and not optimised(ssim, "psnr")


@pytest.mark.parametrize(
    ("state", "count", "said"),
    [
        ("not run 1/2", 1, "`a`: 1 of 2 seeds not run."),
        ("diverged 1/3, out of memory 1/3", 1, "`a`: 1 of 3 seeds diverged, 1 of 3 seeds out of"),
        ("failed 2/4 in tuning", 1, "`a`: 2 of 4 trials failed in tuning."),
        ("only tuned, 2 of 4 trials", 1, "`a`: only tuned, 2 of 4 trials."),
        ("not run", 1, "`a` has not run."),
        ("not run", 2, "`a` have not run."),
        ("unavailable", 1, "`a` is unavailable: weights are missing."),
    ],
)
def test_troubles_are_sentences(state: str, count: int, said: str) -> None:
    assert sentence(state, "`a`", count).startswith(said)


def test_a_tuned_and_a_fixed_cell_of_one_loss_are_told_apart(tmp_path: Path) -> None:
    store = Store(tmp_path / "two")
    tuned, fixed = (synthetic.describe("photos32", "l2", 1, trials=n) for n in (4, 0))
    fixed |= {"id": f"{fixed['id']}9"}
    synthetic.write_grid(store, [tuned, fixed])
    labels = [cell.label for cell in collect(store, store.grid())[0].cells]
    assert labels == ["l2 (β tuned)", "l2 (β = 0.1)"]
