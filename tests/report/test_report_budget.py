"""The error budget by frequency: exact, of the same pictures, drawn as it is tabulated."""

import math
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from harness.report.artefacts import Bytes, Pictures
from harness.report.budget import BANDS, budget_table, budgets, power_by_band
from harness.report.collect import Group
from harness.report.drawing import Drawn
from harness.report.figures_budget import budget_figure
from harness.report.palette import looks

NAMES = list(BANDS)


def wave(vertical: int, horizontal: int, side: int = 16) -> NDArray[np.float64]:
    """One grey image `(1, 1, H, W)` of so many periods, of amplitude 1."""
    y, x = np.mgrid[:side, :side] / side
    return np.cos(2 * np.pi * (vertical * y + horizontal * x))[None, None]


def pictures(inputs: Bytes, recon: Bytes, seed: int = 0) -> Pictures:
    return Pictures(seed, (), inputs, recon, recon, {}, None, None, {})


def with_pictures(group: Group, *stored: tuple[Pictures, ...]) -> Group:
    """The first cells of a group with these pictures, and no others."""
    cells = zip(group.cells, stored, strict=False)
    return replace(group, cells=tuple(replace(cell, pictures=own) for cell, own in cells))


def drawn(group: Group) -> Drawn:
    figure = budget_figure(group, looks(cell.label for cell in group.cells))
    assert figure is not None
    return figure


def lengths(axes: Axes) -> list[float]:
    """The lengths of the bars' pieces, row by row."""
    return [patch.get_width() for patch in axes.patches if isinstance(patch, Rectangle)]


def noise(seed: int, shape: tuple[int, ...] = (3, 3, 12, 10)) -> Bytes:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("shape", [(2, 1, 16, 16), (3, 3, 15, 17), (1, 3, 28, 20), (2, 1, 1, 1)])
def test_bands_sum_to_the_mean_square(shape: tuple[int, ...]) -> None:
    images = np.random.default_rng(1).normal(size=shape)
    assert power_by_band(images).sum() == pytest.approx((images**2).mean(), rel=1e-12)


@pytest.mark.parametrize(
    ("periods", "band"),
    [
        ((0, 0), "brightness"),
        ((1, 0), "low"),
        ((2, 1), "low"),
        ((0, 3), "middle"),
        ((5, 0), "middle"),
        ((0, 6), "high"),
        ((8, 0), "high"),
        ((7, 7), "corners"),
        ((6, -6), "corners"),
    ],
)
def test_a_wave_lies_in_the_band_of_its_frequency(periods: tuple[int, int], band: str) -> None:
    power = power_by_band(wave(*periods))
    # A cosine's mean square is 1/2; at zero and at Nyquist it is 1 in every pixel.
    assert power[NAMES.index(band)] == pytest.approx(1 if periods in ((0, 0), (8, 0)) else 0.5)
    assert power.sum() == pytest.approx(power.max())


def test_a_band_contains_its_upper_end() -> None:
    assert power_by_band(wave(4, 0, side=12)).argmax() == NAMES.index("middle")  # just 1/3
    assert power_by_band(wave(0, 2, side=12)).argmax() == NAMES.index("low")  # just 1/6


def test_the_budget_is_the_mse_of_the_pictures(groups: list[Group]) -> None:
    inputs, recon = noise(0), noise(1)
    (found,) = budgets(with_pictures(groups[0], (pictures(inputs, recon),)))
    mse = ((inputs / 255.0 - recon / 255.0) ** 2).mean()
    assert found.error.sum() == pytest.approx(mse)
    assert found.power.sum() == pytest.approx(((inputs / 255.0) ** 2).mean())
    assert found.shares.sum() == pytest.approx(1)
    assert (found.images, found.seeds) == (3, 1)


def test_seeds_are_averaged(groups: list[Group]) -> None:
    inputs = np.full((1, 1, 8, 8), 100, np.uint8)
    stored = tuple(pictures(inputs, inputs + shift, seed) for seed, shift in enumerate((51, 102)))
    (found,) = budgets(with_pictures(groups[0], stored))
    assert found.error == pytest.approx([(0.2**2 + 0.4**2) / 2, 0, 0, 0, 0])
    assert found.seeds == 2


def test_pictures_of_other_inputs_are_left_out_and_named(groups: list[Group]) -> None:
    same, other = pictures(noise(0), noise(1)), pictures(noise(2), noise(3))
    group = with_pictures(groups[0], (same,), (other,), ())
    assert [each.cell.label for each in budgets(group)] == [group.cells[0].label]
    table = budget_table(group)
    assert table is not None
    assert "3 stored test images (8 bits, 1 seed)" in table.caption
    left_out = ", ".join(cell.label for cell in group.cells[1:])
    assert f"Without pictures of these images: {left_out}." in table.caption


def test_nothing_stored_is_nothing_drawn(groups: list[Group]) -> None:
    bare = with_pictures(groups[0], (), ())
    assert budgets(bare) == []
    assert budget_table(bare) is None
    assert budget_figure(bare, {}) is None
    empty = np.zeros((0, 3, 8, 8), np.uint8)
    assert budget_table(with_pictures(groups[0], (pictures(empty, empty),))) is None


def test_the_tables_ratio_is_one_for_an_empty_reconstruction(groups: list[Group]) -> None:
    inputs = noise(0)
    table = budget_table(with_pictures(groups[0], (pictures(inputs, np.zeros_like(inputs)),)))
    assert table is not None
    values = {c.key: e.value for c, e in zip(table.columns, table.rows[0].entries, strict=True)}
    assert [values[f"lost_{band}"] for band in BANDS] == pytest.approx([1.0] * 5)
    assert sum(values[f"share_{band}"] for band in BANDS) == pytest.approx(100)
    assert values["mse"] == pytest.approx(groups[0].cells[0].finals["mse"].mean())


def test_a_perfect_reconstruction_has_no_shares(groups: list[Group]) -> None:
    inputs = np.full((1, 1, 8, 8), 100, np.uint8)
    group = with_pictures(groups[0], (pictures(inputs, inputs),))
    table = budget_table(group)
    assert table is not None
    texts = [entry.text for entry in table.rows[0].entries]
    assert texts[:6] == ["0.00000", *["—"] * 5]
    assert texts[6] == "0.000" and texts[7] == "—"  # a constant image has no power elsewhere
    assert drawn(group).data["error"].sum() == 0


def test_bars_are_as_long_as_the_numbers(groups: list[Group]) -> None:
    inputs = noise(0)
    group = with_pictures(groups[0], (pictures(inputs, noise(1)),), (pictures(inputs, noise(2)),))
    figure = drawn(group)
    assert figure.name == f"{group.slug}-budget" and figure.wide
    shares, amounts = figure.figure.axes[:2]
    data = figure.data
    for axes, scale in ((shares, 100 * data["share"]), (amounts, data["error"])):
        widths = lengths(axes)
        factor = sum(widths) / scale.sum()
        assert widths == pytest.approx(list(factor * scale))
    assert sum(lengths(shares)[:5]) == pytest.approx(100)
    factor = sum(lengths(amounts)) / data["error"].sum()
    assert math.log10(factor) == pytest.approx(round(math.log10(factor)))  # a power of ten
    assert factor == 1 or "× 10" in amounts.get_xlabel()


def test_the_figure_of_a_whole_group_has_a_bar_for_each_loss(groups: list[Group]) -> None:
    figure = drawn(groups[0])
    stored = [cell.label for cell in groups[0].measured if cell.pictures]
    assert list(dict.fromkeys(figure.data["loss"])) == stored
    labels = [text.get_text() for text in figure.figure.axes[0].get_yticklabels()]
    assert labels == stored
    assert figure.figure.axes[0].get_ylim()[0] > figure.figure.axes[0].get_ylim()[1]  # first on top
