"""The documents' figures from invented cells: the right losses, in order, honest captions."""

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from harness import grid
from harness.files import write_atomically
from harness.report.artefacts import Pictures, Snapshots, load_pictures
from harness.report.collect import Cell, Group
from harness.report.drawing import DPI, WIDE, Drawn, save
from harness.report.figure_plans import KINDS, Plan, plans
from harness.report.figures_kernels import kernel_figure
from harness.report.kernels import moments, width
from harness.report.palette import looks
from harness.report.paper_figures import PaperFigure, paper_figure
from harness.report.paper_tables import by_key
from harness.store import Store

pytestmark = pytest.mark.slow

EPOCHS = np.arange(5, 101, 5)
SIDE = 8


def gaussian(size: int, variance: float) -> np.ndarray:
    place = np.arange(size) - size // 2
    profile = np.exp(-(place**2) / (2 * variance))
    kernel = np.outer(profile, profile)
    return (kernel / kernel.sum()).astype(np.float32)


def snapshots(name: str = "kernels") -> dict[str, Any]:
    """Invented kernels: wide until epoch 10, then narrow, a little wider for later images."""
    kernels = np.stack(
        [
            [gaussian(11, (4.0 if epoch <= 10 else 0.5) * (1 + 0.05 * b)) for b in range(8)]
            for epoch in EPOCHS
        ]
    )
    inputs = np.random.default_rng(1).integers(0, 256, (8, 1, SIDE, SIDE), dtype=np.uint8)
    return {"inputs": inputs, f"epochs_{name}": EPOCHS, f"snapshot_{name}": kernels}


def write(path: Path, content: dict[str, Any]) -> None:
    stream = io.BytesIO()
    np.savez(stream, **content)
    write_atomically(path, lambda target: target.write(stream.getvalue()))


def pictures(own: int, shown: Snapshots | None = None) -> Pictures:
    """Noise: of every cell other reconstructions and samples, of the same inputs."""
    inputs = np.random.default_rng(0).integers(0, 256, (16, 3, SIDE, SIDE), dtype=np.uint8)
    rng = np.random.default_rng([1, own])
    recon, samples = rng.integers(0, 256, (2, *inputs.shape), dtype=np.uint8)
    spectra = {f"spectrum_{name}": rng.normal(size=(SIDE, SIDE)) for name in ("recon", "gen")}
    spectra["spectrum_data"] = np.zeros((SIDE, SIDE))
    return Pictures(0, tuple(range(16)), inputs, recon, samples, {}, None, None, spectra, shown)


def cell_of(key: tuple[str, str, str], own: int) -> Cell:
    """An invented cell with one seed that stored pictures, and kernels where its loss has them."""
    dataset, model, loss = key
    options = json.dumps([{"name": loss, "options": {"warmup": 10}, "weight": 1.0}])
    row = {"images": 40, "generated": 256, "epochs": 100, "loss_options": options, "seed": 0}
    finals, nothing = pd.DataFrame([row]), pd.DataFrame()
    content = snapshots()
    series = {"kernels": (content["epochs_kernels"], content["snapshot_kernels"])}
    shown = Snapshots(content["inputs"], series) if loss.startswith("blur") else None
    return Cell(
        id=f"cell-{own}",
        dataset=dataset,
        model=model,
        loss=loss,
        label=loss,
        seeds=1,
        trials=0,
        protocol={"beta": 0.1},
        finals=finals,
        tunes=nothing,
        attempts=finals,
        state="",
        causes=(),
        stale=False,
        scores=None,
        pictures=(pictures(own, shown),),
    )


def fill(chosen: tuple[Plan, ...], left_out: tuple[str, ...] = ()) -> list[Group]:
    """A cell for every row of these figures; those left out were not run."""
    groups: dict[tuple[str, str], dict[str, Cell]] = {}
    for number, row in enumerate(row for plan in chosen for row in plan.rows):
        cell = cell_of(row.key, number)
        if cell.loss in left_out:
            cell = replace(cell, finals=cell.finals[:0], state="not run", pictures=())
        groups.setdefault(row.key[:2], {}).setdefault(cell.loss, cell)
    return [Group(*key, "-".join(key), tuple(found.values())) for key, found in groups.items()]


def drawn(groups: list[Group]) -> dict[str, PaperFigure]:
    palette = looks(cell.label for group in groups for cell in group.cells)
    found = [paper_figure(plan, by_key(groups), palette) for plan in plans()]
    return {each.drawn.name: each for each in found if each is not None}


def only(document: str, *figures: str) -> tuple[Plan, ...]:
    return tuple(p for p in plans() if p.document == document and p.figure in figures)


@pytest.fixture(scope="module")
def figures() -> dict[str, PaperFigure]:
    return drawn(fill(plans()))


def test_every_figure_of_the_documents_is_there_in_their_order(
    figures: dict[str, PaperFigure],
) -> None:
    numbers = ["2", "3", "4", "5", "6", "7", "7", "8", "8", "9", "9"]
    assert [p.figure for p in plans() if p.document == "bredell"] == numbers
    assert list(figures) == [plan.name for plan in plans()]
    assert figures["bredell-figure-2"].title == "Bredell et al. 2023, Figure 2"
    assert len(figures) == 13 and len({each.title for each in figures.values()}) == 13
    assert {plan.kind for plan in plans()} == set(KINDS)
    drawings = [name for name, each in figures.items() if not each.photographic]
    assert drawings == ["bredell-figure-2", "bredell-figure-6"]


def test_rows_are_cells_of_the_grids_and_so_are_those_of_stand_ins() -> None:
    known = {
        (cell.dataset.spec, cell.model.spec, cell.loss_spec)
        for name in ("paper", "stft", "sharpness", "open")
        for cell in grid.load(name).cells()
    }
    for plan in plans():
        assert len(plan.rows) > 0 and {row.key for row in plan.rows} <= known
        stand_in = plan.stood_in()
        assert (stand_in is None) == (plan.document != "bredell")
        assert stand_in is None or {row.key for row in stand_in.rows} <= known


def test_rows_stand_in_the_documents_order(figures: dict[str, PaperFigure]) -> None:
    data = figures["bredell-figure-8-generations"].drawn.data
    order = ["L2", "L1", "SSIM", "CE", "FFL", "Ours", "VGG", "Watson*"]
    assert list(dict.fromkeys(data["loss"])) == order
    assert list(dict.fromkeys(figures["bredell-figure-6"].drawn.data["loss"])) == order
    caption = figures["bredell-figure-8-generations"].caption
    assert "FFL is `l2 + 50*ffl`; Ours is `blur`; Watson* is `watson-dft[tuned=true]`" in caption
    assert "`conv4` and `czolbe`" in caption and "celeba64[split=80/20]" in caption
    assert list(dict.fromkeys(figures["dalal-figure-2"].drawn.data["loss"])) == [
        "(a) MSE",
        "(b) SSIM",
        "(c) Ours",
    ]


def test_a_grid_of_other_cells_has_no_figure_of_a_document() -> None:
    cells = tuple(cell_of(("photos32", "conv4", loss), 0) for loss in ("l2", "blur"))
    assert drawn([Group("photos32", "conv4", "photos32-conv4", cells)]) == {}


def test_losses_that_are_missing_are_named() -> None:
    found = drawn(fill(only("bredell", "5"), left_out=("ce",)))["bredell-figure-5"]
    assert list(dict.fromkeys(found.drawn.data["loss"])) == ["L2", "FFL", "Ours"]
    assert found.caption.endswith("Not run: CE.")
    assert drawn(fill(only("bredell", "5"), ("l2", "l2 + 50*ffl", "ce", "blur"))) == {}


def test_a_cell_without_pictures_or_of_other_images_is_named() -> None:
    [group] = fill(only("bredell", "5"))
    first, second, *rest = group.cells
    other = replace(second.pictures[0], inputs=second.pictures[0].inputs[:, :, ::-1])
    cells = (replace(first, pictures=()), *rest, replace(second, pictures=(other,)))
    found = drawn([replace(group, cells=cells)])["bredell-figure-5"]
    # The document's first loss with pictures decides which images are shown.
    assert set(found.drawn.data["loss"]) == {"FFL"}
    assert "images not stored or not of the same images: L2, CE, Ours." in found.caption


def test_stand_ins_take_the_place_of_data_that_nobody_ran() -> None:
    own = only("bredell", "5")
    other = tuple(stand_in for plan in own if (stand_in := plan.stood_in()))
    found = drawn(fill(other))["bredell-figure-5"]
    assert "A copy of CIFAR-10 in JPEG stands in for CIFAR-10 (`cifar10-jpeg`)" in found.caption
    assert "the data `" not in found.caption
    both = drawn(fill((*other, *own)))["bredell-figure-5"]
    assert "the data `cifar10`" in both.caption and "JPEG" not in both.caption


def test_pixels_are_whole_and_stand_where_they_belong(figures: dict[str, PaperFigure]) -> None:
    groups = fill(only("bredell", "5"))
    found = drawn(groups)["bredell-figure-5"].drawn
    stored = groups[0].cells[1].pictures[0]
    left, right = (np.asarray(axes.images[0].get_array()) for axes in found.figure.axes)
    count = int(found.data["column"].max()) + 1
    # Second loss, second image; tiles lie 8 + 1 pixels apart.
    assert np.array_equal(left[18:26, 9:17, :3], np.moveaxis(stored.recon[1], 0, -1))
    assert np.array_equal(right[18:26, 9:17, :3], np.moveaxis(stored.samples[1], 0, -1))
    assert np.array_equal(left[:8, :8, :3], np.moveaxis(stored.inputs[0], 0, -1))
    assert np.array_equal(right[:8, :8, :3], np.moveaxis(stored.inputs[count], 0, -1))
    across, up = found.figure.get_size_inches()
    for axes in found.figure.axes:
        box, (tall, wide, _) = axes.get_position(), left.shape
        dots = box.width * across * DPI / wide
        assert dots == pytest.approx(round(dots)) and dots >= 1
        assert box.height * up * DPI / tall == pytest.approx(dots)
    assert max(each.drawn.figure.get_figwidth() for each in figures.values()) <= WIDE + 1e-9


def test_width_is_the_standard_deviation_of_a_gaussian() -> None:
    assert width(gaussian(41, 4.0)) == pytest.approx(2.0, rel=1e-4)
    assert width(np.roll(gaussian(41, 4.0), 3, axis=1)) == pytest.approx(2.0, rel=1e-3)
    assert width(np.ones((11, 11))) == pytest.approx(np.sqrt(10))  # (11² - 1) / 12
    assert width(np.eye(1)) == 0
    assert np.isnan(width(np.zeros((3, 3)))) and np.isnan(width(np.full((3, 3), np.nan)))


def test_epochs_shown_enclose_the_one_where_the_loss_sets_in() -> None:
    assert [int(EPOCHS[i]) for i in moments(EPOCHS, 10.0, 6)] == [10, 15, 35, 55, 75, 100]
    assert moments(EPOCHS, None, 3) == [0, 9, 19]
    assert moments(np.array([1, 2, 3]), 10.0, 6) == [0, 1, 2]
    assert moments(EPOCHS, 1000.0, 2) == [0, 19]


def test_kernels_shrink_as_they_were_made_to(figures: dict[str, PaperFigure]) -> None:
    found = figures["bredell-figure-2"]
    table = found.drawn.data.pivot(index="epoch", columns="training_image", values="width_px")
    assert table.shape == (20, 8)
    assert table.loc[100, 0] == pytest.approx(np.sqrt(0.5), rel=0.01)
    # Images 3 and 4 of 8 have the median: 1.175 times the variance of the first, on 11 pixels.
    assert "Ours 2.08 pixels after epoch 5 and 0.77 pixels after epoch 100" in found.drawn.alt
    assert table.loc[5].median() == pytest.approx(2.08, abs=0.005)
    assert table.loc[15, 0] == pytest.approx(np.sqrt(0.5), rel=0.01)
    board = found.drawn.figure.axes[0]
    titles = [text.get_text() for text in board.texts if "σ" not in text.get_text()]
    assert titles == ["image", "10", "15", "35", "55", "75", "100"]


def kernels_of(losses: dict[str, dict[str, Any]]) -> Group:
    """A group of cells with these snapshots."""
    cells = []
    for number, (loss, content) in enumerate(losses.items()):
        names = [name.removeprefix("epochs_") for name in content if name.startswith("epochs_")]
        series = {name: (content[f"epochs_{name}"], content[f"snapshot_{name}"]) for name in names}
        stored = pictures(number, Snapshots(content["inputs"], series) if content else None)
        cell = cell_of(("photos32", "conv4", loss), number)
        cells.append(replace(cell, pictures=(stored,)))
    return Group("photos32", "conv4", "photos32-conv4", tuple(cells))


def draw(group: Group) -> Drawn | None:
    return kernel_figure(group, looks(cell.label for cell in group.cells))


def test_losses_without_kernels_have_no_figure() -> None:
    assert draw(kernels_of({"l2": {}})) is None


def test_what_a_plugin_shows_under_other_names_or_shapes_is_left_out() -> None:
    flat = snapshots() | {"snapshot_kernels": np.ones((20, 8, 5), np.float32)}
    group = kernels_of({"l2": snapshots("weights"), "mine": flat})
    assert group.cells[0].pictures[0].snapshots is not None
    assert draw(group) is None


def test_terms_of_a_sum_have_kernels_of_their_own() -> None:
    content = snapshots("kernels_1") | snapshots("kernels_2")
    found = draw(kernels_of({"blur + blur[c=0.005]": content}))
    assert found is not None
    labels = list(dict.fromkeys(found.data["loss"]))
    assert labels == ["blur + blur[c=0.005], term 1", "blur + blur[c=0.005], term 2"]


def test_many_losses_and_numbers_that_are_none_are_drawn() -> None:
    broken = snapshots()
    broken["snapshot_kernels"] = np.full_like(broken["snapshot_kernels"], np.nan)
    every = {f"blur[c={0.01 * (n + 1):g}]": snapshots() for n in range(7)}
    found = draw(kernels_of({"blur": broken, **every}))
    assert found is not None
    assert found.figure.get_figheight() < 9 and "2 more" in found.alt
    assert found.data["loss"].nunique() == 8
    assert "blur — pixels after epoch 5" in found.alt
    words = [text.get_text() for axes in found.figure.axes for text in axes.texts]
    assert words.count("not\nfinite") == 6


def test_a_single_epoch_is_drawn_the_same_twice(tmp_path: Path) -> None:
    content = {name: values[:1] for name, values in snapshots().items()}
    content["snapshot_kernels"] = content["snapshot_kernels"][:, :1]
    group = kernels_of({"blur": content})
    written = []
    for found in (draw(group), draw(group)):
        assert found is not None and found.alt.endswith("blur 1.95 pixels after epoch 5.")
        written.append([path.read_bytes() for path in save(found, tmp_path)[0]])
    assert written[0] == written[1]


def test_snapshots_are_read_and_a_damaged_file_has_none(tmp_path: Path) -> None:
    store, images = Store(tmp_path), np.zeros((4, 3, SIDE, SIDE), np.uint8)
    content = snapshots() | {"epochs_lost": EPOCHS}
    write(
        store.artefact("images", "mine", 0, "npz"),
        dict.fromkeys(("inputs", "recon", "samples"), images),
    )
    path = store.artefact("images", "mine", 0, "snapshots.npz")
    write(path, content)
    [whole] = load_pictures(store, "mine", [0])
    assert whole.snapshots is not None and list(whole.snapshots.series) == ["kernels"]
    assert np.array_equal(whole.snapshots.inputs, content["inputs"])
    epochs, values = whole.snapshots.series["kernels"]
    assert np.array_equal(epochs, EPOCHS) and np.array_equal(values, content["snapshot_kernels"])
    path.write_bytes(path.read_bytes()[:1000])
    [without] = load_pictures(store, "mine", [0])
    assert without.snapshots is None and len(without.inputs) == 4
