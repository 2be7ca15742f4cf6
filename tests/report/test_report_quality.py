"""Quality against cost: single seeds where they are few, intervals where there are many."""

from collections.abc import Callable

import pytest

from harness.report.collect import Group
from harness.report.figures_cost import quality_figure
from harness.report.palette import looks
from harness.report.quality import meaning, quality_data

Make = Callable[..., Group]


def losses(seeds: int) -> tuple[dict, dict]:
    steps = [0.01 * seed for seed in range(seeds)]
    return (
        {
            "loss": "l2",
            "images_per_second": [100.0] * seeds,
            "frd_gen": [0.3 + step for step in steps],
        },
        {
            "loss": "l1",
            "images_per_second": [50.0 + 10 * seed for seed in range(seeds)],
            "frd_gen": [0.2 + 2 * step for step in steps],
        },
    )


def test_few_seeds_are_points(made: Make) -> None:
    group = made(*losses(3))
    data = quality_data(group)
    assert list(data["quality_seeds"]) == ["0.3 0.31 0.32", "0.2 0.22 0.24"]
    assert data["cost_seeds"][1] == "2 1.66667 1.42857"
    assert data["quality_low"].notna().all()
    assert meaning(data) == "bars: 95 % interval over seeds; small points: seeds"
    drawn = quality_figure(group, looks(cell.label for cell in group.cells))
    assert drawn is not None
    axes = drawn.figure.axes[0]
    assert [0.2, 0.22, 0.24] in [pytest.approx(list(line.get_ydata())) for line in axes.lines]
    low, high = axes.get_ylim()
    assert low < 0.2 and high > 0.32
    assert "small points: seeds." in drawn.alt


def test_many_seeds_are_an_interval(made: Make) -> None:
    data = quality_data(made(*losses(5)))
    assert list(data["quality_seeds"]) == ["", ""]
    assert meaning(data) == "bars: 95 % interval over seeds"
    half = 2.776 * (0.00025 / 5) ** 0.5  # deviations ±0.01, ±0.02: a variance of 0.001 / 4
    assert data["quality_low"][0] == pytest.approx(0.32 - half)
    assert data["cost_high"][1] > data["cost"][1]


def test_one_seed_of_a_metric_per_image_has_its_interval_over_images(made: Make) -> None:
    rows = {"psnr": [20.0], "psnr_std": [3.0], "images": [36]}
    group = made({"loss": "l2", **rows}, {"loss": "l1", **rows})
    group.cells[0].protocol["objective"] = "psnr"
    data = quality_data(group)
    assert (data["quality_low"][0], data["quality_high"][0]) == pytest.approx((19.02, 20.98))
    assert meaning(data) == "bars: 95 % interval over images"


def test_an_interval_beside_its_distance_is_drawn_all_the_same(made: Make) -> None:
    ends = {"frd_gen_low": 0.25, "frd_gen_high": 0.4}
    rows = [{"loss": loss, "frd_gen": [0.2], "more": ends} for loss in ("l2", "l1")]
    group = made(*rows)
    drawn = quality_figure(group, looks(cell.label for cell in group.cells))
    assert drawn is not None and "interval over generated images" in drawn.alt
