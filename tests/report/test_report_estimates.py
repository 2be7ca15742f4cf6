"""Means, spreads and paired differences against numbers worked out by hand."""

import math
from collections.abc import Callable
from dataclasses import replace

import pandas as pd
import pytest

from harness.report.collect import Cell, Group
from harness.report.evidence import Evidence
from harness.report.means import estimate, half_width, interval, step_ratio
from harness.report.paired import compare, tied
from harness.report.scores import Scores
from harness.report.student import quantile, two_sided
from harness.report.ties import rank

Make = Callable[..., Group]


def test_mean_and_standard_deviation_over_seeds(made: Make) -> None:
    group = made({"loss": "l2", "psnr": [20.0, 21.0, 23.0]})
    found = estimate(group.cells[0], "psnr")
    assert found.mean == pytest.approx(64 / 3)
    # deviations -4/3, -1/3, 5/3: sum of squares 42/9, over n - 1 = 2
    assert found.spread == pytest.approx(math.sqrt(42 / 9 / 2))
    assert (found.over, found.seeds) == ("seeds", 3)


def test_one_seed_has_the_standard_error_over_images(made: Make) -> None:
    group = made({"loss": "l2", "psnr": [20.0], "psnr_std": [3.0], "images": [36]})
    found = estimate(group.cells[0], "psnr")
    assert (found.mean, found.over) == (20.0, "images")
    assert found.spread == pytest.approx(0.5)  # 3 / sqrt(36)


def test_a_distance_with_one_seed_has_no_spread(made: Make) -> None:
    group = made({"loss": "l2", "frd_gen": [0.2]})
    assert math.isnan(estimate(group.cells[0], "frd_gen").spread)


def test_seeds_are_paired(made: Make) -> None:
    # Seeds differ by much, losses by little but always alike: not tied.
    group = made(
        {"loss": "l2", "frd_gen": [0.10, 0.20, 0.30]},
        {"loss": "l1", "frd_gen": [0.11, 0.212, 0.309]},
    )
    assert tied(*group.cells, "frd_gen") is False


def test_the_interval_uses_students_t(made: Make) -> None:
    # differences 1, 2, 3.5: mean 2.1667, standard error 0.7265; 1.96 times it is 1.42, but with
    # two degrees of freedom the factor is 4.303: the interval reaches below 0.
    group = made(
        {"loss": "l2", "psnr": [20.0, 20.0, 20.0]},
        {"loss": "l1", "psnr": [21.0, 22.0, 23.5]},
    )
    assert tied(*group.cells, "psnr") is True


def test_images_decide_where_there_are_scores(made: Make) -> None:
    group = made({"loss": "l2", "psnr": [20.0]}, {"loss": "l1", "psnr": [20.1]})
    base = pd.Series([10.0, 20.0, 30.0, 40.0], index=pd.RangeIndex(4, name="index"))

    def scored(which: int, values: pd.Series) -> Cell:
        scores = Scores.known(pd.DataFrame({"psnr": values}))
        return replace(group.cells[which], scores=scores)

    first = scored(0, base)
    assert tied(first, scored(1, base.add([1, 1.1, 0.9, 1])), "psnr") is False
    assert tied(first, scored(1, base.add([3, -2, 2, -2])), "psnr") is True


def test_nothing_is_said_of_distances_with_one_seed(made: Make) -> None:
    group = made({"loss": "l2", "frd_gen": [0.20]}, {"loss": "l1", "frd_gen": [0.2001]})
    assert tied(*group.cells, "frd_gen") is None
    ranking = rank(group.cells, "frd_gen")
    assert ranking.best is group.cells[0]
    assert (ranking.tied, ranking.judged) == ((), False)


def test_rank_follows_the_direction_and_names_ties(made: Make) -> None:
    group = made(
        {"loss": "l2", "psnr": [20.0, 20.1, 20.2]},
        {"loss": "l1", "psnr": [22.0, 22.3, 22.1]},
        {"loss": "ce", "psnr": [22.1, 22.1, 22.1]},
    )
    ranking = rank(group.cells, "psnr")
    assert [cell.loss for cell in ranking.winners] == ["l1", "ce"]
    assert ranking.judged


def test_home_advantage_is_not_ranked(made: Make) -> None:
    group = made(
        {"loss": "squeeze", "fsd_gen": [1.0, 1.0, 1.1]},
        {"loss": "l2 + 3*squeeze[layers=2]", "fsd_gen": [1.2, 1.2, 1.1]},
        {"loss": "l2", "fsd_gen": [5.0, 5.1, 5.2]},
        {"loss": "l1", "fsd_gen": [7.0, 7.1, 7.2]},
    )
    assert [cell.loss for cell in rank(group.cells, "fsd_gen").winners] == ["l2"]


def test_the_only_loss_is_not_best(made: Make) -> None:
    group = made({"loss": "l2", "psnr": [20.0, 21.0, 20.5]})
    assert rank(group.cells, "psnr").best is None


def test_step_ratio_is_paired_by_seed_and_needs_equal_hardware(made: Make) -> None:
    group = made(
        {"loss": "l2", "images_per_second": [100.0, 200.0]},
        {"loss": "ssim", "images_per_second": [50.0, 160.0]},
        {"loss": "l1", "images_per_second": [100.0, 200.0], "more": {"device_name": "other"}},
    )
    l2, ssim, elsewhere = group.cells
    assert step_ratio(ssim, l2).mean == pytest.approx((2 + 1.25) / 2)
    assert math.isnan(step_ratio(elsewhere, l2).mean)
    assert math.isnan(step_ratio(ssim, None).mean)


def test_unpaired_where_only_the_spread_over_images_is_stored(made: Make) -> None:
    group = made(
        {"loss": "l2", "psnr": [20.0], "psnr_std": [3.0], "images": [36]},
        {"loss": "l1", "psnr": [21.0], "psnr_std": [4.0], "images": [100]},
    )
    found = compare(*group.cells, "psnr")
    assert found is not None and (found.mean, found.over) == (-1.0, "unpaired images")
    assert found.error == pytest.approx(math.hypot(0.5, 0.4))
    assert found.p == pytest.approx(math.erfc(1 / math.hypot(0.5, 0.4) / math.sqrt(2)))


def test_seeds_against_scipys_paired_t_test(made: Make) -> None:
    from scipy.stats import ttest_rel

    values = [[0.10, 0.20, 0.30, 0.25], [0.11, 0.19, 0.33, 0.27]]
    group = made({"loss": "l2", "frd_gen": values[0]}, {"loss": "l1", "frd_gen": values[1]})
    found, expected = compare(*group.cells, "frd_gen"), ttest_rel(*values)
    assert found is not None and (found.over, found.seeds) == ("seeds", 4)
    assert found.p == pytest.approx(expected.pvalue)
    assert found.interval == pytest.approx(tuple(expected.confidence_interval()), rel=1e-3)


def test_student_against_scipy() -> None:
    from scipy.stats import t

    for count in (3, 5, 11, 12, 20, 100):
        assert quantile(count) == pytest.approx(t.ppf(0.975, count - 1), rel=5e-3)
    for statistic in (0.0, 0.3, -1.9, 4.0, 30.0):
        for freedom in (1, 2, 3.7, 4, 50, 19999):
            expected = 2 * t.sf(abs(statistic), freedom)
            assert two_sided(statistic, freedom) == pytest.approx(expected, rel=1e-9, abs=1e-300)
    assert two_sided(1.96, math.inf) == pytest.approx(0.05, abs=1e-4)
    assert two_sided(math.inf, 2) == 0 and math.isnan(two_sided(math.nan, 2))


def test_the_interval_of_a_mean_says_what_it_is_over(made: Make) -> None:
    ends = {"frd_gen_low": 0.1, "frd_gen_high": 0.4}
    group = made(
        {"loss": "l2", "psnr": [20.0], "psnr_std": [3.0], "images": [36], "frd_gen": [0.2]},
        {"loss": "l1", "psnr": [20.0, 21.0], "frd_gen": [0.2, 0.3]},
        {"loss": "ce", "frd_gen": [0.1, 0.2, 0.3, 0.4, 0.5]},
        {"loss": "ssim", "frd_gen": [0.2], "more": ends},
        {"loss": "haar", "psnr": [20.0, 21.0, 22.0], "frd_gen": [0.2, 0.3, 0.4]},
    )
    l2, l1, ce, ssim, haar = group.cells
    found = interval(l2, "psnr")
    assert (found.low, found.high, found.over) == pytest.approx((19.02, 20.98, "images"))
    assert interval(l1, "psnr").over == "images"
    assert interval(l2, "frd_gen").over == interval(l1, "frd_gen").over == "none"
    found, half = interval(ce, "frd_gen"), 2.776 * math.sqrt(0.025 / 5)
    assert (found.low, found.high) == pytest.approx((0.3 - half, 0.3 + half))
    assert found.over == "seeds" and half_width(estimate(ce, "frd_gen")) == pytest.approx(half)
    found = interval(ssim, "frd_gen")
    assert (found.low, found.high, found.over) == (0.1, 0.4, "generated images")
    # Below five seeds over images where there are scores of images, else over the seeds.
    assert interval(haar, "psnr").over == "images"
    found = interval(haar, "frd_gen")
    assert found.over == "seeds" and found.high == pytest.approx(0.3 + 4.303 * 0.1 / math.sqrt(3))


def test_the_ledger_has_the_intervals_of_the_tables(made: Make) -> None:
    group = made({"loss": "l2", "psnr": [20.0, 21.0, 22.0], "frd_gen": [0.2, 0.3, 0.4]})
    evidence, (cell,) = Evidence([group]), group.cells
    for metric in ("psnr", "frd_gen"):
        found = interval(cell, metric)
        mean = estimate(cell, metric).mean
        known = evidence.value(group.dataset, group.model, "l2", metric)
        assert known == (mean, found.low, found.high)


def test_equal_numbers_of_all_are_tied_but_not_bold(made: Make) -> None:
    group = made(
        {"loss": "l2", "psnr": [20.0] * 3, "frd_gen": [0.0] * 3},
        {"loss": "l1", "psnr": [20.0] * 3, "frd_gen": [0.0] * 3},
        {"loss": "ce", "psnr": [19.0] * 3, "frd_gen": [0.0] * 3},
    )
    nothing = rank(group.cells, "frd_gen")
    assert len(nothing.winners) == 3 and nothing.bold == ()
    some = rank(group.cells, "psnr")
    assert [cell.loss for cell in some.bold] == ["l2", "l1"] and some.bold == some.winners
