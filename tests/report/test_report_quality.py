"""Quality against cost: single seeds where they are few, intervals where there are many."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import synthetic
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Annotation

from harness.report.answer import answer
from harness.report.collect import Group, collect
from harness.report.drawing import style
from harness.report.figures_cost import quality_figure
from harness.report.labels import Label, point_labels
from harness.report.palette import looks
from harness.report.quality import meaning, quality_data
from harness.store import Store

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


def crowd(made: Make, count: int) -> Group:
    """Two on the front, the best and the cheapest; the reference; the worst, the dearest."""
    rng = np.random.default_rng(2)
    ends = {"l2": (100, 0.5), "best": (50, 0.1), "cheap": (200, 0.4), "worst": (40, 0.9),
            "dear": (10, 0.6)}  # fmt: skip
    speeds = rng.uniform(15, 35, count - len(ends))
    ends |= {f"plugin-{n}": (x, rng.uniform(0.5, 0.8)) for n, x in enumerate(speeds)}
    return made(
        *({"loss": k, "images_per_second": [s], "frd_gen": [q]} for k, (s, q) in ends.items())
    )


def names_in(axes: Axes) -> set[str]:
    return {text.get_text() for text in axes.texts} - {""}


def test_a_crowd_has_names_where_they_matter(made: Make) -> None:
    group = crowd(made, 20)
    drawn = quality_figure(group, looks(cell.label for cell in group.cells))
    assert drawn is not None
    assert names_in(drawn.figure.axes[0]) == {"l2", "best", "cheap", "worst", "dear"}
    said = "15 losses without a name: the table has their names"
    assert said in drawn.figure.texts[0].get_text() and said in drawn.alt
    assert len(drawn.data) == 20


def test_a_few_losses_have_all_their_names(made: Make) -> None:
    group = crowd(made, 15)
    drawn = quality_figure(group, looks(cell.label for cell in group.cells))
    assert drawn is not None
    assert names_in(drawn.figure.axes[0]) == {cell.label for cell in group.cells}
    assert "without a name" not in drawn.alt


def crossings(figure: Figure, axes: Axes) -> int:
    """Count the names that other names or leaders cover; there are at least three leaders."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.canvas.draw()
    boxes, lines = [], []
    for text in axes.texts:
        assert isinstance(text, Annotation)
        if text.get_text():
            boxes.append(text.get_window_extent(renderer))
        elif text.arrow_patch is not None:
            start, end = text.arrow_patch.get_path().vertices[[0, -1]]
            lines.append(np.linspace(start, end, 50))
    assert len(lines) > 2
    crossed = sum(bool(box.padded(-2).count_contains(line)) for box in boxes for line in lines)
    return crossed + sum(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


@pytest.mark.parametrize("seed", range(6))
def test_leaders_cross_no_names(seed: int) -> None:
    rng = np.random.default_rng(seed)
    figure = Figure(figsize=(6.75, 4.2))
    axes = figure.add_axes((0.1, 0.1, 0.85, 0.85))
    axes.set(xlim=(0, 1), ylim=(0, 1))
    heap = rng.normal((0.5, 0.5), (0.06, 0.04), (12, 2))
    look = looks(["l2"])["l2"]
    labels = [Label(f"plugin-{'x' * n}", x, y, look) for n, (x, y) in enumerate(heap)]
    with style("heap"):
        point_labels(axes, labels, [])
        assert crossings(figure, axes) == 0


def test_one_seeds_cost_has_the_range_of_its_timings(tmp_path: Path) -> None:
    """What the machine did beside is no loss's merit: trainings of one loss differ by it too."""
    store = Store(tmp_path / "made")
    speeds = {"l2": [100.0, 50.0, 80.0], "l1": [110.0, 90.0, 100.0]}  # the final, two trials
    cells = [synthetic.describe("photos32", loss, 1, trials=2) for loss in speeds]
    for cell, (final, *trials) in zip(cells, speeds.values(), strict=True):
        store.write(synthetic.row(cell, "final", 0, 0.1, images_per_second=final))
        for number, speed in enumerate(trials):
            store.write(synthetic.row(cell, "tune", number, 0.1, images_per_second=speed))
    synthetic.write_grid(store, cells)
    group = collect(store, store.grid())[0]
    data = quality_data(group).set_index("loss")
    l1 = data.loc["l1"]
    assert (l1["cost_low"], l1["cost"], l1["cost_high"]) == pytest.approx(
        (50 / 110, 100 / 110, 100 / 90)
    )
    assert np.isnan(data.loc["l2", "cost_low"])  # one by definition
    assert "horizontal bars: range of the timings, trials included" in meaning(quality_data(group))
    assert (
        "`l1` costs 0.91× a step of `l2` (fastest of 3 timings each; one loss's own timings lie up "
        "to 2.00× apart, and no ratio nearer to 1 than that means anything)."
    ) in answer(group)[0]
