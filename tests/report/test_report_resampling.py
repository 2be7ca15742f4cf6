"""The bootstrap: against hand numbers and SciPy, its coverage, and its cache."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import synthetic
from numpy.typing import NDArray

from harness.report import scores as module
from harness.report.collect import Cell, Group
from harness.report.paired import Comparison, compare
from harness.report.resampling import RESAMPLES, counts, deviations, widening
from harness.report.scores import Scores
from harness.store import Store

Make = Callable[..., Group]
Pair = Callable[..., Comparison]
Pairs = Callable[..., list[Comparison]]


@pytest.fixture
def pairs(made: Make) -> Pairs:
    """Compare two cells of given scores, `(columns, seeds, images)` of each, column by column."""
    blank = made({"loss": "l2", "psnr": [0.0]}, {"loss": "l1", "psnr": [0.0]}).cells

    def compared(*values: NDArray[np.float64]) -> list[Comparison]:
        cells: list[Cell] = []
        for cell, each in zip(blank, values, strict=True):
            names = [f"score{index}" for index in range(len(each))]
            finals = pd.DataFrame(each.mean(axis=2).T, columns=names)
            known = Scores.known(pd.DataFrame(each.mean(axis=1).T, columns=names))
            finals["seed"] = range(len(finals))
            cells.append(replace(cell, finals=finals, scores=known))
        found = [compare(*cells, name) for name in names]
        assert None not in found
        return [each for each in found if each is not None]

    return compared


@pytest.fixture
def pair(pairs: Pairs) -> Pair:
    """Compare two cells of given scores: `(images,)` of one seed or `(seeds, images)` of each."""
    return lambda *values: pairs(*(np.atleast_2d(each)[None] for each in values))[0]


def test_each_resample_has_as_many_images() -> None:
    drawn = counts(7, "images")
    assert drawn.shape == (RESAMPLES, 7) and (drawn.sum(axis=1) == 7).all()
    assert drawn.mean(axis=0) == pytest.approx(1, abs=0.1)  # no image is favoured
    assert (drawn != counts(7, "seeds")).any()


def test_deviations_are_those_of_the_resampled_means() -> None:
    values = np.array([[1.0, 2.0, 6.0], [0.0, 0.0, 3.0]])
    found = deviations(values, "images")
    for index in (0, 1, 1999):
        resample = np.repeat(values, counts(3, "images")[index], axis=1)
        assert found[:, index] == pytest.approx(resample.mean(axis=1) - values.mean(axis=1))


def test_draws_do_not_depend_on_when_or_for_whom() -> None:
    values = np.random.default_rng(3).normal(size=(3, 50))
    before = deviations(values, "images")
    counts.cache_clear()
    widening.cache_clear()
    assert deviations(values, "images").tobytes() == before.tobytes()
    assert deviations(values[1] - values[2], "images") == pytest.approx(
        before[1] - before[2], abs=1e-6
    )


def test_the_interval_agrees_with_scipys_paired_bootstrap(pair: Pair) -> None:
    from scipy.stats import bootstrap, wilcoxon

    rng = np.random.default_rng(5)
    image = rng.normal(20, 4, 400)
    first, second = image + rng.exponential(1, 400), image + rng.normal(0.9, 1, 400)
    found = pair(first, second)
    expected = bootstrap(
        (first - second,), np.mean, method="percentile", n_resamples=5000, random_state=rng
    ).confidence_interval
    width = expected.high - expected.low
    assert found.interval == pytest.approx(tuple(expected), abs=0.08 * width)
    assert (found.over, found.images) == ("images", 400)
    assert found.error == pytest.approx((first - second).std(ddof=1) / 20, rel=0.05)
    clear = pair(first + 1, second)
    assert clear.p < 1e-10 and wilcoxon(first + 1, second).pvalue < 1e-10


def test_chances_agree_with_the_interval_and_go_on_where_resamples_end(pair: Pair) -> None:
    rng = np.random.default_rng(6)
    noise = rng.normal(0, 1, 100)
    noise -= noise.mean()
    steps = [pair(noise + shift, np.zeros(100)) for shift in (0.0, 0.1, 0.19, 0.22, 0.4, 1.0)]
    chances = [each.p for each in steps]
    assert chances == sorted(chances, reverse=True) and chances[0] > 0.9
    for each in steps:
        assert (each.p < 0.05) == (each.interval[0] > 0)
    # 0.22 is 2.2 standard errors: 0.030 by Student's t of 99 degrees; 1.0 is beyond the resamples.
    assert chances[3] == pytest.approx(0.030, abs=0.012)
    assert 0 < chances[5] < 1e-12


def test_equal_scores_are_equal(pair: Pair) -> None:
    values = np.arange(20.0)
    assert pair(values, values).p == 1
    assert pair(values, values).interval == (0, 0)
    assert pair(values + 1, values).p == 0


def covered(found: list[Comparison], truth: float) -> int:
    return sum(each.interval[0] <= truth <= each.interval[1] for each in found)


@pytest.mark.parametrize("images", [5, 40, 300])
def test_the_interval_over_images_covers_the_truth(pairs: Pairs, images: int) -> None:
    """Paired differences of an invented truth of 0.3; 95 % of 400 is 380 ± 4."""
    rng = np.random.default_rng(images)
    base = rng.normal(20, 4, (400, 1, images))
    other = base + rng.normal(0, 1, base.shape)
    assert 366 <= covered(pairs(base + 0.3, other), 0.3) <= 394
    rejected = sum(each.p <= 0.05 for each in pairs(base, other))
    assert 6 <= rejected <= 34


@pytest.mark.parametrize(("seeds", "wobble"), [(5, 0.5), (5, 0.0), (8, 0.2)])
def test_the_interval_over_seeds_and_images_covers_the_truth(
    pairs: Pairs, seeds: int, wobble: float
) -> None:
    """Every seed moves all its images, every image is alike in all seeds, and both by chance."""
    rng = np.random.default_rng([seeds, int(10 * wobble)])
    image = rng.normal(0, 1, (400, 1, 60))
    moved = rng.normal(0, wobble, (400, seeds, 1)) + rng.normal(0, 0.3, (400, seeds, 60))
    found = pairs(0.3 + image + moved, np.zeros((400, seeds, 60)))
    assert {(each.over, each.seeds, each.images) for each in found} == {
        ("images and seeds", seeds, 60)
    }
    assert 366 <= covered(found, 0.3) <= 396


def test_fewer_than_five_seeds_are_not_resampled(pair: Pair) -> None:
    rng = np.random.default_rng(8)
    found = pair(rng.normal(0.1, 1, (4, 50)), rng.normal(0, 1, (4, 50)))
    assert (found.over, found.seeds) == ("images", 0)


def test_images_without_a_finite_score_are_left_out_in_pairs(pair: Pair) -> None:
    rng = np.random.default_rng(9)
    first, second = rng.normal(0, 1, 200), rng.normal(0.2, 1, 200)
    first[:40], second[30:50] = math.nan, math.nan
    known = np.isfinite(first - second)
    found, alone = pair(first, second), pair(first[known], second[known])
    assert found.images == alone.images == 150
    assert found.mean == pytest.approx(alone.mean)
    assert found.error == pytest.approx(alone.error, rel=0.05)
    assert found.interval == pytest.approx(alone.interval, abs=0.1 * found.error)


def test_other_images_are_not_paired(made: Make) -> None:
    cells = made({"loss": "l2", "frd_gen": [0.0]}, {"loss": "l1", "frd_gen": [0.0]}).cells
    frames = [pd.DataFrame({"frd_gen": [1.0, 2.0, 3.0]}, index=index) for index in ([0, 1, 2],) * 2]
    frames[1].index = pd.Index([7, 8, 9])
    first, second = (
        replace(cell, scores=Scores.known(frame)) for cell, frame in zip(cells, frames, strict=True)
    )
    assert compare(first, second, "frd_gen") is None


@pytest.fixture
def stored(tmp_path: Path) -> tuple[Store, str]:
    """A store with the scores of two seeds of one cell."""
    store = Store(tmp_path / "results" / "one")
    store.prepare()
    cell = synthetic.describe("photos32", "l2", 2)
    for seed in range(2):
        store.write(synthetic.row(cell, "final", seed, 0.1))
        synthetic.write_scores(store, cell, seed)
    return store, cell["id"]


def content(scores: Scores | None) -> dict[str, bytes]:
    """Everything of a sample, to be compared byte by byte."""
    assert scores is not None
    sample = scores.sample
    measures = {name: each.deviations.tobytes() for name, each in sample.measures.items()}
    means = repr([each.mean for each in sample.measures.values()]).encode()
    return measures | {"": means + sample.digest.encode() + bytes([sample.images])}


def test_scores_are_the_mean_over_seeds(stored: tuple[Store, str]) -> None:
    found = Scores.stored(*stored, [0, 1])
    assert found is not None
    files = [stored[0].artefact("scores", stored[1], seed, "parquet") for seed in (0, 1)]
    means = [pd.read_parquet(file)["psnr"] for file in files]
    assert found.images["psnr"].to_numpy() == pytest.approx(sum(means).to_numpy() / 2)
    assert Scores.stored(*stored, [0, 1, 2]) is None  # of the third nothing is stored


def test_a_second_rendering_resamples_nothing(
    stored: tuple[Store, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh = content(Scores.stored(*stored, [0, 1]))
    monkeypatch.setattr(module, "resampled", _forbidden)
    assert content(Scores.stored(*stored, [0, 1])) == fresh
    with pytest.raises(AssertionError):  # other files, other content
        content(Scores.stored(*stored, [0]))
    assert len(pd.read_parquet(stored[0].root)) == 2  # readers of the rows do not see it


def _forbidden(images: pd.DataFrame) -> None:
    raise AssertionError("resampled again")


def test_a_damaged_cache_is_made_anew(stored: tuple[Store, str]) -> None:
    fresh = content(Scores.stored(*stored, [0, 1]))
    [cache] = (stored[0].root / "_report" / "bootstrap").iterdir()
    cache.write_bytes(cache.read_bytes()[:100])
    assert content(Scores.stored(*stored, [0, 1])) == fresh
    assert cache.stat().st_size > 1000


def test_a_folder_that_cannot_be_written_gives_the_same(stored: tuple[Store, str]) -> None:
    fresh = content(Scores.stored(*stored, [0, 1]))
    [cache] = (stored[0].root / "_report" / "bootstrap").iterdir()
    cache.unlink()
    cache.parent.rmdir()
    cache.parent.write_text("a file where the folder would be")
    assert content(Scores.stored(*stored, [0, 1])) == fresh


def test_a_damaged_file_of_scores_is_left_out(stored: tuple[Store, str]) -> None:
    stored[0].artefact("scores", stored[1], 1, "parquet").write_bytes(b"PAR1 cut short")
    both, first = Scores.stored(*stored, [0, 1]), Scores.stored(*stored, [0])
    assert both is not None and first is not None
    assert both.images.equals(first.images)
