"""`harness compare`: what changed between two stores of invented numbers, beyond noise."""

import io
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from program import Harness, program
from rich.console import Console

from harness import comparing
from harness.comparing import Comparison
from harness.errors import HarnessError, StoreError
from harness.files import write_atomically
from harness.metrics import METRICS
from harness.report.changes import CHANGED, Change, changes, settle
from harness.report.collect import Cell, collect
from harness.report.pairing import Pair
from harness.report.scores import Scores
from harness.report.ties import holm
from harness.store import Store
from harness.terminal import compared, contrast

PROTOCOL = {"epochs": 4, "objective": "frd_gen", "beta": None}
STORED = {
    "data_hash": "data-1",
    "source_digest": "aaaaaaaa-bbbbbbbb",
    "split": "test",
    "images": 50,
    "beta": 0.1,
    "torch_version": "2.11",
    "device_name": "a machine",
    "precision": "float32",
    "threads": 2,
    "images_per_second": 100.0,
    "peak_memory_mib": 500.0,
}


def cell(loss: str = "l2", *, id: str = "", **protocol: Any) -> dict[str, Any]:
    """A cell as a grid describes it."""
    return {
        "id": id or f"digits-conv4-{loss}-{abs(sum(map(ord, loss))):08x}",
        "dataset": "digits",
        "model": "conv4",
        "loss": loss,
        "seeds": 3,
        "trials": 0,
        "protocol": PROTOCOL | protocol,
    }


class Made:
    """A store that grows by a cell and its seeds at a time."""

    def __init__(self, root: Path) -> None:
        self.store, self.cells = Store(root), list[dict[str, Any]]()
        self.store.prepare()

    def add(self, described: dict[str, Any], /, **columns: Any) -> "Made":
        """Store one row per seed; a list gives each seed its own value."""
        self.cells.append(described)
        seeds = max((len(v) for v in columns.values() if isinstance(v, list)), default=1)
        for seed in range(seeds):
            own = {key: v[seed] if isinstance(v, list) else v for key, v in columns.items()}
            same = {key: described[key] for key in ("dataset", "model", "loss")}
            place = {"cell": described["id"], "stage": "final", "seed": seed, "status": "ok"}
            self.store.write(STORED | same | place | own)
        self.close()
        return self

    def close(self) -> None:
        self.store.write_grid({"name": self.store.name, "title": "", "cells": self.cells})

    def score(self, described: dict[str, Any], seed: int, **values: Sequence[float]) -> None:
        """Store scores per image."""
        images = len(next(iter(values.values())))
        stream = io.BytesIO()
        pd.DataFrame({"index": np.arange(images), **values}).to_parquet(stream)
        path = self.store.artefact("scores", described["id"], seed, "parquet")
        write_atomically(path, lambda target: target.write(stream.getvalue()))


@pytest.fixture
def made(tmp_path: Path) -> Callable[[str], Made]:
    return lambda name: Made(tmp_path / "results" / name)


@pytest.fixture
def harness(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Harness:
    monkeypatch.chdir(tmp_path)
    return program(monkeypatch, capsys)


def compared_by(made: Callable[[str], Made], metric: str, a: Any, b: Any, **other: Any) -> Change:
    """Compare one cell by one metric whose values are given; `other` are columns of B."""
    signed = {f"{metric}_signature": "x"}
    made("a").add(cell(), **{metric: a}, **signed)
    one = made("b").add(cell(), **{metric: b}, **(signed | other)).store.root
    [change] = comparing.compare("a", "b", one.parent, [metric]).changes
    return change


def test_three_seeds_give_an_interval_of_students_t(made: Callable[[str], Made]) -> None:
    found = compared_by(made, "frd_gen", [1.0, 1.1, 1.2], [2.0, 2.1, 2.3])
    assert (found.a, found.b) == (pytest.approx(1.1), pytest.approx(6.4 / 3))
    # differences 1, 1 and 1.1: mean 3.1/3, standard error 1/30, t of two degrees 4.303
    assert found.difference == pytest.approx(3.1 / 3)
    assert found.low == pytest.approx(3.1 / 3 - 4.303 / 30, abs=1e-4)
    assert found.high == pytest.approx(3.1 / 3 + 4.303 / 30, abs=1e-4)
    assert (found.word, found.over, found.why) == ("worse", "3 seeds", "")


@pytest.mark.parametrize(
    ("metric", "b", "word"),
    [
        ("frd_gen", [0.5, 0.61, 0.69], "better"),
        ("frd_gen", [0.9, 1.3, 1.1], "within noise"),
        ("ssim_padded", [1.5, 1.61, 1.69], "better"),
        ("ssim_padded", [0.5, 0.61, 0.69], "worse"),
        ("kl", [1.5, 1.61, 1.69], "higher"),
        ("kl", [0.5, 0.61, 0.69], "lower"),
        ("kl", [1.0, 1.1, 1.2], "identical"),
    ],
)
def test_words(made: Callable[[str], Made], metric: str, b: list[float], word: str) -> None:
    assert compared_by(made, metric, [1.0, 1.1, 1.2], b).word == word


def test_one_seed_cannot_tell(made: Callable[[str], Made]) -> None:
    found = compared_by(made, "frd_gen", [1.0], [2.0])
    assert found.verdict == "1 seed: cannot tell"
    assert found.difference == 1.0 and math.isnan(found.low)


def test_only_the_seeds_of_both_are_compared(made: Callable[[str], Made]) -> None:
    found = compared_by(made, "frd_gen", [1.0, 1.1], [1.0, 1.1, 9.9])
    assert (found.word, found.b) == ("identical", pytest.approx(1.05))


@pytest.mark.parametrize(
    ("other", "verdict"),
    [
        ({"frd_gen_signature": "y"}, "signatures differ: not compared"),
        ({"data_hash": "data-2"}, "other data: not compared"),
        ({"images": 51}, "other test images: not compared"),
        ({"split": "validation"}, "other test images: not compared"),
        ({"frd_gen": [None, None, None]}, "not in B: not measured"),
        ({"frd_gen": [math.inf, math.inf, math.inf]}, "not in B: not measured"),
    ],
)
def test_what_is_not_compared_says_why(
    made: Callable[[str], Made], other: dict[str, Any], verdict: str
) -> None:
    values = {"frd_gen": [2.0, 2.1, 2.3], "frd_gen_signature": "x", **other}
    made("a").add(cell(), frd_gen=[1.0, 1.1, 1.2], frd_gen_signature="x")
    root = made("b").add(cell(), **values).store.root.parent
    [found] = comparing.compare("a", "b", root, ["frd_gen"]).changes
    assert found.verdict == verdict
    assert math.isnan(found.difference)


def test_no_common_seed(made: Callable[[str], Made]) -> None:
    a = made("a").add(cell(), frd_gen=[1.0, 2.0], status=["ok", "diverged"])
    made("b").add(cell(), frd_gen=[1.0, 2.0], status=["diverged", "ok"])
    [found] = comparing.compare("a", "b", a.store.root.parent, ["frd_gen"]).changes
    assert found.verdict == "no common seed: not compared"


def test_one_seed_is_paired_over_its_images(made: Callable[[str], Made]) -> None:
    rng = np.random.default_rng(0)
    images, gaps = rng.normal(20, 3, 50), rng.normal(0.2, 0.1, 50)
    a, b = made("a"), made("b")
    for each, values in ((a, images), (b, images + gaps)):
        each.add(cell(), psnr=[float(values.mean())], psnr_std=float(values.std()))
        each.score(cell(), 0, psnr=values)
    [found] = comparing.compare("a", "b", a.store.root.parent, ["psnr"]).changes
    error = gaps.std(ddof=1) / math.sqrt(50)  # unpaired it would be thirty times as wide
    assert found.difference == pytest.approx(gaps.mean())
    assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.15)
    assert (found.verdict, found.over) == ("1 seed: models differ", "images alone")
    assert math.isnan(found.p)
    whole = comparing.compare("a", "b", a.store.root.parent, ["psnr"])
    assert whole.changed == [] and whole.counts() == {"models differ": 1}
    assert contrast.sentences(whole)[1:] == [
        "Of 1 comparison: no change could be tested; 1 models differ.",
        "Below 3 seeds test images alone tell two models apart, as they do most models that were "
        "trained twice: that is no change.",
    ]


def test_seeds_that_one_side_lacks_leave_no_pairs_of_images(made: Callable[[str], Made]) -> None:
    """Scores are means over all seeds of a cell: of other seeds they would not be paired."""
    a = made("a").add(cell(), psnr=[20.0], psnr_std=3.0)
    b = made("b").add(cell(), psnr=[20.1, 25.0], psnr_std=3.0)
    for each, seeds in ((a, 1), (b, 2)):
        for seed in range(seeds):
            each.score(cell(), seed, psnr=np.linspace(19, 21, 50))
    [found] = comparing.compare("a", "b", a.store.root.parent, ["psnr"]).changes
    assert found.over == "unpaired images alone"
    assert found.difference == pytest.approx(0.1) and found.verdict == "1 seed: cannot tell"


Train = Callable[[NDArray[np.float64]], Cell]


@pytest.fixture
def train(made: Callable[[str], Made]) -> Train:
    """Make a cell of the scores that its trainings came to: `(metrics, seeds, images)`."""
    store = made("a").add(cell(), psnr=[0.0]).store
    [blank] = collect(store, store.grid())[0].cells

    def trained(values: NDArray[np.float64]) -> Cell:
        metrics = METRICS_OF_IMAGES[: len(values)]
        finals = pd.concat([blank.finals] * values.shape[1], ignore_index=True)
        finals["seed"] = range(values.shape[1])
        finals[metrics] = values.mean(axis=2).T
        scores = Scores.known(pd.DataFrame(values.mean(axis=1).T, columns=metrics))
        return replace(blank, finals=finals, scores=scores)

    return trained


METRICS_OF_IMAGES = [
    name for name, metric in METRICS.items() if metric.per_image and metric.direction == "maximize"
][:6]


def trained_twice(
    train: Train, rng: np.random.Generator, seeds: int, better: float = 0.0
) -> tuple[list[str], list[str]]:
    """The words before and after correction for losses alike but for `better`.

    Means of trainings have a standard deviation of 0.05, in dB as it were, and a little more
    since each does better on other images; what images differ by for all of them is much more.
    """
    shape = (len(METRICS_OF_IMAGES), seeds, 100)
    images = rng.normal(20, 3, (shape[0], 1, shape[2]))

    def values() -> NDArray[np.float64]:
        return images + rng.normal(0, 0.05, shape[:2])[..., None] + rng.normal(0, 0.1, shape)

    found = changes(Pair(train(values()), train(values() + better), "id"), METRICS_OF_IMAGES)
    alone = settle(found, [each.p for each in found])
    together = settle(found, holm([each.p for each in found]))
    return [each.word for each in alone], [each.word for each in together]


@pytest.mark.parametrize("seeds", [1, 3, 5])
def test_training_again_is_no_change(train: Train, seeds: int) -> None:
    """By images alone two of three comparisons of a loss trained twice would be changes."""
    rng = np.random.default_rng(seeds)
    runs = [trained_twice(train, rng, seeds) for _ in range(40)]
    alone = [word for words, _ in runs for word in words]
    assert np.mean([word in CHANGED for word in alone]) <= 0.07
    assert np.mean([bool({*words} & {*CHANGED}) for _, words in runs]) <= 0.07
    assert (np.mean([word == "models differ" for word in alone]) > 0.5) == (seeds == 1)


@pytest.mark.parametrize("seeds", [3, 5])
def test_a_change_of_several_trainings_is_found(train: Train, seeds: int) -> None:
    rng = np.random.default_rng(seeds)
    runs = [trained_twice(train, rng, seeds, better=1.5)[1] for _ in range(5)]
    assert np.mean([word == "better" for words in runs for word in words]) > 0.8


def test_all_tests_are_corrected_together(made: Callable[[str], Made]) -> None:
    a, b = made("a"), made("b")
    for loss in ("l2", "l1", "ce", "ssim"):
        a.add(cell(loss), frd_gen=[1.0, 1.1, 1.2])
        b.add(cell(loss), frd_gen=[1.11, 1.2, 1.34])
    one, *_, last = comparing.compare("a", "b", a.store.root.parent, ["frd_gen"]).changes
    # 0.11, 0.1, 0.14: t = 9.7 with two degrees, alone 0.010; four times that, and the interval
    # is still that of this difference alone.
    assert one.p == last.p == pytest.approx(4 * 0.0105, abs=0.002)
    assert (one.word, one.low > 0) == ("worse", True)
    alike = comparing.compare("a", "b", a.store.root.parent, ["frd_gen", "kl"])
    assert alike.tested == 4 and alike.counts() == {"worse": 4}


def test_a_difference_that_correction_takes_is_within_noise() -> None:
    one = Change("c", "kl", 1.0, 2.0, 1.0, 0.1, 1.9, "3 seeds", "higher", p=0.04)
    [found] = settle([one], [0.08])
    assert (found.word, found.p) == ("within noise", 0.08)
    assert settle([one], [0.04]) == [one]


@pytest.fixture
def two(made: Callable[[str], Made]) -> Path:
    """Grids that differ in everything there is to tell."""
    a, b = made("before"), made("after")
    a.add(cell("l2"), frd_gen=[1.0, 1.1, 1.2], kl=[5.0, 5.0, 5.0])
    a.add(cell("l1", id="digits-conv4-l1-00000001"), frd_gen=[1.0])
    a.add(cell("ce"), frd_gen=[1.0])
    speed = [50.0, 51.0, 49.0]
    b.add(cell("l2"), frd_gen=[2.0, 2.1, 2.3], kl=[5.0, 5.0, 5.0], images_per_second=speed,
          peak_memory_mib=600.0, beta=0.2, torch_version="2.15")  # fmt: skip
    b.add(cell("l1", id="digits-conv4-l1-00000002", epochs=8), frd_gen=[None], status="diverged",
          cause="the loss was not finite at step 3", torch_version="2.15")  # fmt: skip
    b.add(cell("ssim"), frd_gen=[1.0])
    return a.store.root.parent


def test_cells_are_matched_by_id_then_by_names(two: Path) -> None:
    found = comparing.compare("before", "after", two)
    assert [(pair.a.loss, pair.by) for pair in found.pairing.pairs] == [
        ("l2", "id"),
        ("l1", "names"),
    ]
    assert [each.loss for each in found.pairing.only_a] == ["ce"]
    assert [each.loss for each in found.pairing.only_b] == ["ssim"]


def test_a_loss_twice_is_told_apart_by_its_beta(made: Callable[[str], Made]) -> None:
    a, b = made("a"), made("b")
    for each, epochs in ((a, 4), (b, 8)):
        for beta in (None, 0.5):
            each.add(cell(id=f"l2-{beta}-{epochs}", epochs=epochs, beta=beta), kl=[1.0])
    pairs = comparing.compare("a", "b", a.store.root.parent).pairing.pairs
    assert [(p.a.id, p.b.id) for p in pairs] == [
        ("l2-None-4", "l2-None-8"),
        ("l2-0.5-4", "l2-0.5-8"),
    ]


def test_how_cells_were_made_is_told_once_with_its_cells(two: Path) -> None:
    found = {each.name: each for each in comparing.compare("before", "after", two).circumstances}
    l2, l1 = cell("l2")["id"], "digits-conv4-l1-00000001"
    assert set(found) == {"epochs", "torch"}
    assert (found["torch"].a, found["torch"].b, found["torch"].cells) == ("2.11", "2.15", (l2, l1))
    assert (found["epochs"].a, found["epochs"].b, found["epochs"].cells) == ("4", "8", (l1,))


def test_the_source_is_told_in_its_parts(made: Callable[[str], Made]) -> None:
    a = made("a").add(cell(), kl=[1.0])
    made("b").add(cell(), kl=[1.0], source_digest="aaaaaaaa-cccccccc")
    [found] = comparing.compare("a", "b", a.store.root.parent).circumstances
    assert (found.name, found.a, found.b) == ("source of the loss", "bbbbbbbb", "cccccccc")


def test_other_states_and_costs(two: Path) -> None:
    found = comparing.compare("before", "after", two)
    [status] = found.statuses
    assert (status.a, status.b) == ("not run 2/3", "diverged 1/3, not run 2/3")
    assert status.causes == ("seed 0: diverged: the loss was not finite at step 3",)
    [cost] = found.costs
    ratios = [100 / speed for speed in (50, 51, 49)]
    assert cost.step_time == pytest.approx(np.mean(ratios)) and cost.word == "slower"
    assert (cost.beta_a, cost.beta_b) == (pytest.approx(0.1), pytest.approx(0.2))
    assert (cost.memory_a, cost.memory_b) == (500.0, 600.0)


def test_times_on_other_hardware_are_not_compared(made: Callable[[str], Made]) -> None:
    a = made("a").add(cell(), kl=[1.0])
    made("b").add(cell(), kl=[1.0], device_name="another")
    [cost] = comparing.compare("a", "b", a.store.root.parent).costs
    assert cost.word == "other hardware or seeds: not compared" and math.isnan(cost.step_time)


def test_the_very_same_rows_have_changed_in_nothing(made: Callable[[str], Made]) -> None:
    a, _ = (made(name).add(cell(), kl=[1.0]) for name in ("a", "b"))
    found = comparing.compare("a", "b", a.store.root.parent, ["kl"])
    assert contrast.sentences(found)[1:] == [
        "Of 1 comparison: nothing changed beyond noise; 1 identical."
    ]


def test_the_answer_comes_first(two: Path) -> None:
    found = comparing.compare("before", "after", two)
    said = contrast.sentences(found)
    assert said[0] == "2 cells in both, 1 of them by dataset, model and loss alone."
    assert said[1] == "Of 3 comparisons: 1 worse, B against A; 1 identical, 1 not measured."
    assert said[2] == (
        "2 differences of metrics and step times tested over trainings, 3 seeds or more of each, "
        "at 5 % for all of them together (Holm); intervals are each its own."
    )


def test_one_line_per_record_in_a_pipe(harness: Harness, two: Path) -> None:
    ended = harness("compare", "before", "after")
    assert (ended.code, ended.err) == (0, "")
    lines = ended.out.splitlines()
    [line] = [line for line in lines if "FRD gen." in line and "[" in line]
    assert line.split()[0] == "digits-conv4-l2" and line.endswith("3 seeds  .001  worse")
    assert "[+0.8899, +1.1768]" in line and "+1.0333" in line
    assert any(line.startswith("  epochs: 4 → 8") for line in lines)
    assert "\x1b" not in ended.out
    few = harness("compare", "before", "after", "--changed").out
    assert "worse" in few and "\nidentical\n" in ended.out and "\nidentical\n" not in few


def test_a_line_per_cell_heads_its_metrics_on_a_terminal(two: Path) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=90, record=True)
    compared.show(console, comparing.compare("before", "after", two))
    text = console.export_text()
    assert "\ndigits-conv4-l2\n  FRD gen. ↓" in text
    metrics = text.partition("metrics")[2].partition("\n\n")[0]
    assert max(map(len, metrics.splitlines())) <= 90


def test_json_has_every_record(harness: Harness, two: Path) -> None:
    found = json.loads(harness("compare", "before", "after", "--json").out)
    assert found["counts"] == {"worse": 1, "identical": 1, "not measured": 1}
    assert [each["word"] for each in found["metrics"]] == ["identical", "worse", "not measured"]
    assert found["metrics"][2]["b"] is None
    assert found["only_a"] == [{"cell": cell("ce")["id"], "state": "not run 2/3"}]
    assert found["cells"][1]["matched_by"] == "names"


def test_folders_in_place_of_names(two: Path, tmp_path: Path) -> None:
    (tmp_path / "else").mkdir()
    (two / "after").rename(tmp_path / "else" / "before")
    for b in (tmp_path / "else", tmp_path / "else" / "before"):
        found: Comparison = comparing.compare("before", str(b), two)
        assert found.b.root == tmp_path / "else" / "before" and found.b.rows == 5


def test_metrics_are_chosen_by_globs() -> None:
    assert comparing.chosen(["psnr", "kl*"])[0] == "psnr"
    assert {"lpips", "frd_gen"} <= set(comparing.chosen([]))
    with pytest.raises(HarnessError, match=r"no metric matches 'psnrr' \(did you mean 'psnr'\?\)"):
        comparing.chosen(["kl", "psnrr"])


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        ("before", "aftr", "no results of a grid 'aftr' in results (did you mean 'after'?)"),
        ("before", "results/before", "both"),
        ("before", "results", "results has the results of 2 grids: name one"),
        ("before", "empty", "no results in empty"),
        ("before", "file", "no results of a grid 'file'"),
    ],
)
def test_mistakes_are_one_sentence(
    harness: Harness, two: Path, tmp_path: Path, a: str, b: str, message: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    ended = harness("compare", a, b)
    assert ended.code == 2 and ended.out == ""
    assert ended.err.startswith("error: ") and ended.err.count("\n") == 1
    assert message in ended.err


def test_a_folder_without_rows_or_of_another_schema(made: Callable[[str], Made]) -> None:
    full = made("full").add(cell(), kl=[1.0]).store.root
    empty = made("empty")
    empty.cells.append(cell())
    empty.close()
    with pytest.raises(HarnessError, match="no rows of the grid in"):
        comparing.compare("full", "empty", full.parent)
    (empty.store.root / "_schema.json").write_text('{"schema_version": 99}')
    with pytest.raises(StoreError, match="was written with results schema 99"):
        comparing.compare("full", "empty", full.parent)


def test_grids_without_a_common_cell_say_so(made: Callable[[str], Made]) -> None:
    a = made("a").add(cell("l2"), kl=[1.0])
    made("b").add(cell("l1"), kl=[1.0])
    found = comparing.compare("a", "b", a.store.root.parent)
    assert contrast.sentences(found)[0].startswith("No cell is in both")
    assert found.changes == found.circumstances == []
