"""Means, spreads and ties against numbers worked out by hand."""

import math
from collections.abc import Callable
from dataclasses import replace

import pandas as pd
import pytest

from harness.report.collect import Group
from harness.report.estimates import _quantile, estimate, rank, step_ratio, tied

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


def test_below_three_seeds_images_decide(made: Make) -> None:
    group = made({"loss": "l2", "psnr": [20.0]}, {"loss": "l1", "psnr": [20.1]})
    index = pd.RangeIndex(4, name="index")
    base = pd.Series([10.0, 20.0, 30.0, 40.0], index=index)
    always_above = replace(
        group.cells[1], scores=pd.DataFrame({"psnr": base + pd.Series([1, 1.1, 0.9, 1])})
    )
    now_and_then = replace(
        group.cells[1], scores=pd.DataFrame({"psnr": base + pd.Series([3, -2, 2, -2])})
    )
    first = replace(group.cells[0], scores=pd.DataFrame({"psnr": base}))
    assert tied(first, always_above, "psnr") is False
    assert tied(first, now_and_then, "psnr") is True


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


def test_quantiles_against_scipy() -> None:
    from scipy.stats import t

    for count in (3, 5, 11, 12, 20, 100):
        assert _quantile(count) == pytest.approx(t.ppf(0.975, count - 1), rel=5e-3)
