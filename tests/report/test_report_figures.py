"""Figures: the numbers in them, the labels around them, the pixels of them."""

import base64
import io
import itertools
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from harness.report.collect import Group
from harness.report.drawing import DPI, INK, NARROW, WIDE, Drawn, inline, log_axis, style
from harness.report.figures_budget import budget_figure
from harness.report.figures_cost import quality_figure
from harness.report.figures_images import grid_figures, mosaic
from harness.report.figures_price import price_figure
from harness.report.figures_radial import band_table, radial_figure, radial_mean
from harness.report.figures_spectra import spectra_figure
from harness.report.figures_tradeoff import tradeoff_figure
from harness.report.figures_tuning import best_of, tuning_figure
from harness.report.labels import Label, end_labels, spread_out
from harness.report.palette import BLACK, looks
from harness.report.pictures import affordable, strip, strips

Make = Callable[..., Group]


def test_labels_are_pushed_apart_and_stay_in_order() -> None:
    places = spread_out([10.0, 11.0, 12.0, 60.0], gap=10, top=100)
    assert all(b - a >= 10 - 1e-9 for a, b in itertools.pairwise(places))
    assert places[3] == 60.0  # what collides with nothing stays
    assert sum(places[:3]) / 3 == pytest.approx(11.0)  # a heap keeps its centre


def test_labels_stay_inside_when_there_is_room() -> None:
    places = spread_out([0.0, 1.0, 2.0, 98.0, 99.0, 100.0], gap=12, top=100)
    assert places[0] >= -1e-9 and places[-1] <= 100 + 1e-9
    assert all(b - a >= 12 - 1e-9 for a, b in itertools.pairwise(places))


def test_end_labels_start_at_the_lines_end() -> None:
    look = looks(["l2"])["l2"]
    figure = Figure(figsize=(3, 2))
    axes = figure.add_axes((0.2, 0.2, 0.5, 0.7))
    axes.plot([0, 10], [0, 100])
    end_labels(axes, [Label("l2", 10, 100, look)])
    x, y = axes.lines[-1].get_data()
    expected = (axes.transData + axes.transAxes.inverted()).transform((10, 100))
    assert (x[0], y[0]) == pytest.approx(tuple(expected))


def test_radial_mean_of_a_radial_function() -> None:
    frequency = np.fft.fftshift(np.fft.fftfreq(64))
    radius = np.hypot(frequency[:, None], frequency[None, :])
    radii, profile = radial_mean(3 - 4 * radius)
    assert radii[0] == 0 and radii[-1] == 0.5
    assert np.abs(profile - (3 - 4 * radii)).max() < 0.03  # a ring is 1/64 wide


@pytest.mark.parametrize("size", [(16, 16), (15, 15), (28, 20)])
def test_radial_mean_of_rings_of_any_size(size: tuple[int, int]) -> None:
    """A function of the ring alone comes back, also from spectra that are not square."""
    side = min(size)
    axes = [np.fft.fftshift(np.fft.fftfreq(n)) * side for n in size]
    ring = np.rint(np.hypot(axes[0][:, None], axes[1][None, :]))
    radii, profile = radial_mean(np.exp(-ring / 3))
    assert radii == pytest.approx(np.arange(side // 2 + 1) / side)
    assert profile == pytest.approx(np.exp(-np.arange(side // 2 + 1) / 3))


def test_radial_mean_by_hand() -> None:
    # Zero frequency at (2, 2), its eight neighbours are ring 1, the first row and column without
    # their corner (which is 2.8 away) ring 2.
    _, profile = radial_mean(np.arange(16.0).reshape(4, 4))
    assert profile == pytest.approx(
        [10.0, (5 + 6 + 7 + 9 + 11 + 13 + 14 + 15) / 8, (1 + 2 + 3 + 4 + 8 + 12) / 6]
    )


def test_bands_of_a_known_difference(groups: list[Group]) -> None:
    cell = groups[0].cells[0]
    spectra = cell.pictures[0].spectra
    delta = spectra["spectrum_recon"] - spectra["spectrum_data"]
    side = delta.shape[0]
    y, x = np.mgrid[:side, :side] - side // 2
    ring = np.hypot(y, x) / side
    table = band_table(groups[0])
    assert table is not None
    high = [column.key for column in table.columns].index("spectrum_recon_high")
    expected = delta[(ring > 1 / 3) & (ring <= 0.5)].mean()
    assert table.rows[0].entries[high].value == pytest.approx(expected)


def test_pareto_front(made: Make) -> None:
    group = made(
        {"loss": "l2", "images_per_second": [100.0], "frd_gen": [0.30]},
        {"loss": "l1", "images_per_second": [90.0], "frd_gen": [0.31]},  # dearer and worse
        {"loss": "ssim", "images_per_second": [50.0], "frd_gen": [0.10]},
        {"loss": "ffl", "images_per_second": [40.0], "frd_gen": [0.10]},  # dearer, as good
    )
    drawn = quality_figure(group, looks(cell.label for cell in group.cells))
    assert drawn is not None
    assert list(drawn.data["pareto"]) == [True, False, True, False]
    assert list(drawn.data["cost"].round(3)) == [1.0, 1.111, 2.0, 2.5]
    assert "l2, ssim." in drawn.alt


@pytest.mark.parametrize("factor", [1, 100], ids=["linear", "log"])
def test_whiskers_stay_inside_the_axes(made: Make, factor: float) -> None:
    """Wide ones too, in both directions; on a logarithmic axis those that do not reach 0."""
    group = made(
        {"loss": "l2", "images_per_second": [100.0, 100.0], "frd_gen": [0.30, 0.34]},
        {"loss": "l1", "images_per_second": [50.0, 250.0], "frd_gen": [0.2 * factor, 0.9 * factor]},
    )
    drawn = quality_figure(group, looks(cell.label for cell in group.cells))
    assert drawn is not None
    axes, data = drawn.figure.axes[0], drawn.data
    assert axes.get_yscale() == ("linear" if factor == 1 else "log")
    for column, (low, high) in (("cost", axes.get_xlim()), ("quality", axes.get_ylim())):
        assert (data[column] + data[f"{column}_spread"]).max() < high
        assert (data[column] - data[f"{column}_spread"]).min() > low


ALIKE = [f"blur[kernel=gaussian,variance={n},size=11,c=0.005]" for n in range(5)]


@pytest.fixture(scope="module")
def alike(groups: list[Group]) -> Group:
    """Losses with trials and pictures whose names have both ends in common."""
    whole = [cell for cell in groups[0].cells if cell.measured and cell.pictures]
    cells = [replace(cell, label=name) for cell, name in zip(whole, ALIKE, strict=False)]
    assert len(cells) > 3
    return replace(groups[0], cells=tuple(cells))


def written(figure: Figure) -> list[str]:
    """The names of losses in a figure, as it shows them."""
    texts = [*figure.texts, *(text for axes in figure.axes for text in axes.texts)]
    texts += [text for axes in figure.axes for text in (*axes.get_yticklabels(), axes.title)]
    words = [text.get_text().replace("\n", "") for text in texts]
    return [word for word in words if word.startswith("blur")]


@pytest.mark.parametrize(
    "draw",
    [quality_figure, price_figure, budget_figure, radial_figure, tuning_figure, tradeoff_figure,
     lambda group, _: spectra_figure(group),
     lambda group, _: grid_figures(group, strips(group))[0]],
    ids=["quality", "price", "budget", "radial", "tuning", "tradeoff", "spectra", "images"],
)  # fmt: skip
def test_no_two_losses_of_a_figure_have_one_name(
    alike: Group, draw: Callable[..., Drawn | None]
) -> None:
    found = draw(alike, looks(cell.label for cell in alike.cells))
    assert found is not None
    names = written(found.figure)
    assert len(names) == len(set(names)) == len(alike.cells)


def test_titles_of_spectra_touch_nothing(groups: list[Group]) -> None:
    """Neither their neighbours nor the numbers of the block above."""
    names = [
        "blur[kernel=gaussian,variance=4]",
        "vae-gan[eps=0] + sharpness",
        "l2",
        "stft[base=l1]",
    ]
    whole = [cell for cell in groups[0].cells if cell.measured and cell.pictures]
    cells = [replace(whole[0], label=f"{names[n % 4]}{n}") for n in range(14)]
    found = spectra_figure(replace(groups[0], cells=tuple(cells)))
    assert found is not None
    renderer = FigureCanvasAgg(found.figure).get_renderer()
    found.figure.canvas.draw()  # which places titles
    board, _ = found.figure.axes
    texts = [text for text in board.texts if text.get_rotation() == 0]
    assert sum("\n" in text.get_text() for text in texts) > 4
    boxes = [text.get_window_extent(renderer) for text in texts]
    for one, other in itertools.combinations(boxes, 2):
        assert not one.overlaps(other)
    assert max(box.y1 for box in boxes) <= found.figure.bbox.y1


def test_names_in_the_price_have_the_marks_of_their_losses(groups: list[Group]) -> None:
    palette = looks(cell.label for cell in groups[0].cells)
    found = price_figure(groups[0], palette)
    assert found is not None
    left, right = found.figure.axes
    marks = [(line.get_marker(), line.get_color()) for line in left.lines]
    expected = [palette[loss] for loss in found.data["loss"]]
    assert marks == [(look.marker, look.colour) for look in expected]
    assert not right.lines


def test_best_of_k_follows_the_direction(groups: list[Group]) -> None:
    values = groups[0].cells[0].tunes["frd_gen"]
    assert list(best_of(values, "frd_gen")) == list(np.minimum.accumulate(values))
    assert list(best_of(values, "psnr")) == list(np.maximum.accumulate(values))


def test_widths_are_those_of_papers(groups: list[Group]) -> None:
    palette = looks(cell.label for group in groups for cell in group.cells)
    narrow, wide = quality_figure(groups[0], palette), tuning_figure(groups[0], palette)
    assert narrow is not None and wide is not None
    assert narrow.figure.get_figwidth() == NARROW == 3.25
    assert wide.figure.get_figwidth() == WIDE == 6.75
    sizes = {t.get_fontsize() for a in wide.figure.axes for t in [*a.texts, a.xaxis.label]}
    assert sizes == {8.0}


@pytest.mark.parametrize("channels", [1, 3])
def test_mosaic_keeps_every_pixel(channels: int) -> None:
    images = np.arange(2 * channels * 4, dtype=np.uint8).reshape(2, channels, 2, 2)
    tiles = [np.broadcast_to(np.moveaxis(image, 0, -1), (2, 2, 3)) for image in images]
    canvas = mosaic([images, images[::-1]])
    assert canvas.shape == (5, 5, 4)
    assert np.array_equal(canvas[:2, :2, :3], tiles[0])
    assert np.array_equal(canvas[3:, :2, :3], tiles[1])
    assert not canvas[2].any() and not canvas[:, 2].any()


@pytest.mark.parametrize("channels", [1, 3])
def test_strip_decodes_to_its_images(channels: int) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, channels, 5, 7), dtype=np.uint8)
    found = strip(images)
    data = base64.b64decode(found.source.removeprefix("data:image/webp;base64,"))
    decoded = np.asarray(Image.open(io.BytesIO(data)))
    assert decoded.shape == (5, 3 * 8 - 1, 4)
    shown = np.broadcast_to(np.moveaxis(images[1], 0, -1), (5, 7, 3))
    assert np.array_equal(decoded[:, 8:15, :3], shown)
    assert (decoded[:, 8:15, 3] == 255).all() and not decoded[:, 7, 3].any()


def test_a_page_holds_what_its_budget_allows(groups: list[Group]) -> None:
    found = strips(groups[0])
    assert found is not None
    assert affordable(found, 2**30) == (4, 5)
    first = np.stack([each.recon[0] for each in found.cells.values()])
    image = len(strip(first).source) // len(first)
    assert affordable(found, 6 * 3 * image) == (1, 3)  # reconstruction, sample, four extremes
    assert affordable(found, (2 * 3 + 4) * 5 * image) == (3, 5)


def test_svg_takes_the_readers_ink_and_keeps_numbers() -> None:
    figure = Figure(figsize=(2, 2))
    with style("x"):
        axes = figure.add_axes((0.2, 0.2, 0.7, 0.7))
        axes.plot([1, 2], [1, 2], color=BLACK)
        axes.text(1.5, 1.5, "0.123456", color=INK)
        stream = io.StringIO()
        figure.savefig(stream, format="svg")
    text = inline(stream.getvalue(), Drawn("x", figure, 'a "b" <c>', None))  # type: ignore[arg-type]
    assert text.startswith('<svg role="img" aria-label="a &quot;b&quot; &lt;c>"')
    assert "currentColor" in text and BLACK not in text and INK not in text
    assert "0.123456" in text
    assert "http" not in text and 'id="figure_1"' not in text


def test_log_axis_has_plain_ticks() -> None:
    axes = Figure().add_subplot()
    axes.set_xlim(3, 30)
    log_axis(axes, "x")
    axes.figure.canvas.draw()
    assert [t.get_text() for t in axes.get_xticklabels()] == ["5", "10", "20"]


def test_a_pixel_of_a_grid_is_a_whole_number_of_dots(rendered: object) -> None:
    path = rendered.page.parent / "figures" / "photos32-conv4-reconstructions.png"  # type: ignore[attr-defined]
    with Image.open(path) as stored:
        assert stored.info["dpi"] == pytest.approx((DPI, DPI), abs=0.01)
        picture = np.asarray(stored.convert("RGB")).astype(int)
    last = picture[:, -300:]
    steps = np.abs(np.diff(last, axis=1)).sum(axis=(0, 2)).nonzero()[0]
    gaps = np.diff(steps)
    assert len(gaps) > 5
    assert np.gcd.reduce(gaps) > 1  # edges lie on a lattice
