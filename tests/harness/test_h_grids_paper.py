"""The grids of the published tables: what they hold, what they cost, what they share."""

import csv
import os
import re
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

import losses
from harness import components, grid, listing, plan
from harness.cli import app
from harness.errors import HarnessError
from harness.grid import Cell
from harness.schedule import check_optimizer, make_schedule
from losses import kernels
from losses.base import MissingWeights
from losses.half_plane import radial_ramp

GRIDS = resources.files("harness") / "grids"
NAMES = [
    "paper", "table1", "table2", "table3", "table4", "table5", "table6", "figure2", "figure6",
    "stft", "stft-ablation", "sharpness", "all-losses", "open",
]  # fmt: skip
OF_THE_PAPER = NAMES[1:9]
FACES, LONDON = "celeba64[split=80/20]", 'folder:london256[group="(\\d+)_",size=256]'
FFL, WATSON = "l2 + 50*ffl", "watson-dft[tuned=true]"

# Rows of Bredell et al. in print, top to bottom: dataset, model, loss.
ABLATION = ["blur[kernel=gaussian]", "blur[kernel=gaussian,variance=4]", "blur[epsilon=0.001]"]
ABLATION += ["blur", "blur[c=0.005]", "blur[c=0.1]"]
EIGHT = ["l2", "l1", "ssim", "ce", FFL, "blur", "vgg", WATSON]
LARGE = ["l2", "l1", "ssim", "ce", FFL, "blur[size=41]", "vgg", WATSON]
CELEBA = [(FACES, "czolbe" if loss == WATSON else "conv4", loss) for loss in EIGHT]
HCP = ["l2", "l1", "ssim", "ce", FFL, "blur[warmup=20]"]
PRINTED = {
    "table1": [(FACES, "conv4", loss) for loss in ABLATION],
    "table2": [*CELEBA, *(("celebahq256", "conv4", loss) for loss in LARGE)],
    "table3": [("hcp64", "conv4", loss) for loss in HCP],
    "table4": [(FACES, "conv5-bilinear", x) for x in ["l2", "l1", "ssim", FFL, "blur", "vgg"]],
    "table5": [("cifar10", "conv4", loss) for loss in ["l2", FFL, "ce", "blur"]],
    "table6": [(FACES, "conv4", loss) for loss in ["l2", "blur"]],
    "figure2": [(FACES, "conv4", "blur")],
    "figure6": CELEBA,
}
# Training images left after test and validation: 202,599 and 30,000 less a fifth, less a tenth.
TRAINING = {
    FACES: 145_871, "celebahq256": 21_600, "hcp64": 16_384, "cifar10": 45_000,
    "cifar10-jpeg": 45_000, "mnist28[binarise=threshold]": 54_000, "mnist32": 54_000,
    "fairface64": 7_373, LONDON: 164, "nifti:brain_t1": 4_096, "photos32": 4_096,
}  # fmt: skip
HEADER = re.compile(
    r"# (\d+) cells?, (\d+) trials, (\d+) finals; ([\d.,]+) million training images; "
    r"estimate: ([\d.]+) GPU hours\.\n"
)
BLOCK = {"losses": ["l2"], "datasets": ["digits16"], "models": ["conv4[width=4]"]}


def cells_of(name: str) -> list[Cell]:
    return grid.load(name).cells()


def names_of(cells: list[Cell]) -> list[tuple[str, str, str]]:
    return [(cell.dataset.spec, cell.model.spec, cell.loss_spec) for cell in cells]


def without_beta(cell: Cell) -> tuple[Any, ...]:
    kept = cell.protocol.model_dump(exclude={"beta"})
    return cell.dataset.spec, cell.model.spec, cell.loss_spec, kept


def million_images(cells: list[Cell]) -> float:
    total = 0
    for cell in cells:
        own = cell.protocol
        epochs = own.seeds * own.epochs + (own.trials * own.trial_epochs if own.tuned else 0)
        total += epochs * min(TRAINING[cell.dataset.spec], own.limit or 10**9)
    return total / 1e6


@pytest.mark.parametrize("name", NAMES)
def test_a_grid_opens_with_what_it_costs(name: str) -> None:
    text = (GRIDS / f"{name}.toml").read_text()
    comment = text.partition("name = ")[0]
    assert comment.startswith(f"# harness run --grid {name}\n")
    found = HEADER.search(comment)
    assert found
    cells = cells_of(name)
    tuned = [cell.protocol.trials for cell in cells if cell.protocol.tuned]
    finals = sum(cell.protocol.seeds for cell in cells)
    assert [int(found[n]) for n in (1, 2, 3)] == [len(cells), sum(tuned), finals]
    assert float(found[4].replace(",", "")) == pytest.approx(million_images(cells), rel=0.01)
    assert float(found[5]) > 0
    assert "# Basis of the estimate" in comment and "# Headline: " in comment
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize("name", NAMES)
def test_every_cell_of_a_grid_can_be_built(name: str) -> None:
    seen = set()
    for cell in cells_of(name):
        shape = components.build_dataset(cell.dataset).image_shape()
        make_schedule(cell.protocol.schedule, cell.protocol.epochs)
        check_optimizer(cell.protocol.optimizer)
        latent = cell.protocol.latent
        if (cell.model.spec, shape) not in seen:
            with torch.device("meta"):
                components.build_model(cell.model, shape, latent)
        seen.add((cell.model.spec, shape))
        try:
            loss = components.build_loss(cell.loss, shape, latent)
        except MissingWeights:
            assert components.required_weights(cell.loss, shape[0])
            continue
        assert loss.starts_at < cell.protocol.epochs


@pytest.mark.parametrize("name", OF_THE_PAPER)
def test_the_papers_rows_stand_in_the_papers_order(name: str) -> None:
    assert names_of(cells_of(name)) == PRINTED[name]


def test_the_paper_is_its_tables_and_the_watson_loss_with_the_common_model() -> None:
    ids = [cell.id for name in OF_THE_PAPER for cell in cells_of(name)]
    paper = cells_of("paper")
    assert [cell.id for cell in paper[:-1]] == list(dict.fromkeys(ids))
    assert names_of(paper[-1:]) == [(FACES, "conv4", WATSON)]
    assert len(ids) - len(paper[:-1]) == 1 + 2 + 1 + 8  # of tables 2 and 6, figures 2 and 6


def test_settings_are_the_papers() -> None:
    for cell in cells_of("paper"):
        own = cell.protocol
        assert (own.lr, own.latent, own.optimizer, own.schedule) == (1e-4, 256, "adam", "constant")
        epochs = {"celebahq256": 200, "hcp64": 400}.get(cell.dataset.spec, 100)
        assert (own.epochs, own.select_on) == (epochs, "validation")
        grey = cell.dataset.spec == "hcp64"
        assert own.objective == ("frd_gen" if grey else "fid_gen")
        for term in cell.loss:
            if term.name == "blur":
                assert term.options["warmup"] == (20 if grey else 10)
    assert (kernels.side(None, 64, 64), kernels.side(41, 256, 256)) == (11, 41)


def test_published_numbers_have_a_cell_each() -> None:
    folder = Path(str(resources.files("harness"))) / "report" / "published"
    for document in ("bredell", "dalal"):
        file = folder / f"{document}.csv"
        if not file.is_file():
            pytest.skip("the published numbers are not there")
        with file.open(encoding="utf-8", newline="") as lines:
            rows = list(csv.DictReader(lines))
        for table in sorted({row["table"] for row in rows}):
            name = f"table{table}" if document == "bredell" else "stft"
            printed = [_published(row) for row in rows if row["table"] == table]
            assert list(dict.fromkeys(printed)) == list(dict.fromkeys(names_of(cells_of(name))))


def _published(row: dict[str, str]) -> tuple[str, str, str]:
    text = row["loss"] + (f"[{row['options']}]" if row["options"] else "")
    loss = components.loss_spec(components.resolve_loss(text))
    return components.resolve("dataset", row["dataset"]).spec, row["model"], loss


def test_stft_has_the_codes_weights_and_the_same_cells_tuned() -> None:
    fixed, tuned = cells_of("stft")[:5], cells_of("stft")[5:]
    assert [cell.loss_spec for cell in fixed] == ["l2", "l1", "ssim", "dft", "stft"]
    assert [without_beta(cell) for cell in fixed] == [without_beta(cell) for cell in tuned]
    assert {cell.protocol.beta for cell in tuned} == {None}
    # 0.005 KL beside 500 SSIM or a mean over 784 pixels; here 784 SSIM, sums, and half of squares
    whole = 0.005 * 784
    expected = [whole / 2, whole, *[whole / 500] * 3]
    assert [cell.protocol.beta for cell in fixed] == pytest.approx(expected)
    protocol = fixed[0].protocol
    assert (protocol.epochs, protocol.batch, protocol.latent) == (50, 50, 2)


def side(cell: Cell, option: str) -> int:
    value = cell.loss[0].options[option]
    assert isinstance(value, int)
    return value


def test_windows_and_strides_weigh_the_frequencies_alike() -> None:
    cells = cells_of("stft-ablation")
    assert cells[0].id == cells_of("stft")[-1].id
    options = [cell.loss[0].options for cell in cells]
    assert [one["base"] for one in options[:5]] == ["ssim", "l1", "l2", "ce", "none"]
    swept = [cells[0], *cells[5:9]]
    grids = [(side(cell, "window"), side(cell, "stride")) for cell in swept]
    assert grids == [(16, 4), (8, 4), (28, 4), (16, 2), (16, 8)]
    totals = []
    for (window, stride), cell in zip(grids, swept, strict=True):
        weights = ((28 - window) // stride + 1) ** 2 * float(radial_ramp(window, window).sum())
        totals.append(weights * float(cell.loss[0].options["lambda_freq"] or 0))
    assert totals == pytest.approx([totals[0]] * 5, rel=2e-3)
    assert (options[9]["variant"], options[9]["lambda_freq"]) == ("released", 2.35e-3)


def test_sharpness_has_the_reports_weights_and_the_same_cells_tuned() -> None:
    cells = cells_of("sharpness")
    fixed, tuned = cells[:7], cells[7:]
    assert [without_beta(cell) for cell in fixed] == [without_beta(cell) for cell in tuned]
    assert [cell.protocol.beta for cell in cells] == [1.0] * 7 + [None] * 7
    assert [[term.name for term in cell.loss] for cell in fixed] == [
        ["l2"], *[["l2", "sharpness"]] * 4, ["vae-gan"], ["vae-gan", "sharpness"],
    ]  # fmt: skip
    assert [cell.loss[1].options["variant"] for cell in fixed[1:5]] == list("abcd")
    game = {"gan_weight": 1.0, "prior_samples": False, "margin": None, "eps": 0.0}
    assert game.items() <= fixed[5].loss[0].options.items()
    assert {term.weight for cell in cells for term in cell.loss} == {1.0}
    assert {cell.protocol.limit for cell in cells} == {50_000}


def test_every_registered_loss_is_tried_once() -> None:
    cells = cells_of("all-losses")
    assert {(cell.dataset.spec, cell.model.spec) for cell in cells} == {
        ("photos32", "conv4[mlp=256,width=16]")
    }
    tried = [cell.loss[-1].name for cell in cells]
    assert sorted(tried) == sorted(losses.REGISTRY)


def test_open_is_the_paper_on_stand_ins() -> None:
    stand_ins = {FACES: "fairface64", "celebahq256": LONDON, "hcp64": "nifti:brain_t1"}
    stand_ins["cifar10"] = "cifar10-jpeg"
    paper, stood = cells_of("paper")[:-1], cells_of("open")
    assert names_of(stood) == [(stand_ins[d], model, loss) for d, model, loss in names_of(paper)]
    for published, ours in zip(paper, stood, strict=True):
        assert published.protocol.epochs == ours.protocol.epochs
        assert ours.protocol.objective == "frd_gen"


@pytest.mark.slow
def test_open_runs_on_the_open_data() -> None:
    data = Path(os.environ.get("HARNESS_DATA", "no-data"))
    for folder in ("fairface64", "london256", "brain_t1", "cifar10-jpeg"):
        if not (data / folder).is_dir():
            pytest.skip(f"HARNESS_DATA has no {folder}")
    checked = plan.check(cells_of("open"), {})
    for each in checked:
        assert each.images[0] == TRAINING[each.cell.dataset.spec]
        needing = {"vgg", "watson-dft"} & {term.name for term in each.cell.loss}
        assert each.missing is None or needing


def test_features_of_the_command_line_bring_their_objective() -> None:
    for name in ("table3", "stft", "open"):
        cells = grid.load(name, {"features": "inception"}).cells()
        assert {cell.protocol.objective for cell in cells} == {"fid_gen"}


def test_a_line_for_each_grid_is_listed() -> None:
    titles = {row["name"]: row["title"] for row in listing.listing("grids")}
    assert set(NAMES) <= titles.keys()
    assert all(20 < len(title) <= 90 and "\n" not in title for title in titles.values())
    shown = CliRunner().invoke(app, ["list", "grids"], env={"COLUMNS": "140"})
    assert shown.exit_code == 0
    lines = shown.output.splitlines()
    assert all(sum(line.split()[:1] == [name] for line in lines) == 1 for name in NAMES)


def make(**content: Any) -> grid.Grid:
    return grid.make({"name": "mine"} | content, "mine.toml", {})


def test_included_cells_stand_first_and_are_the_same() -> None:
    found = make(include=["table6", "smoke"], protocol={"epochs": 3}, block=[BLOCK]).cells()
    parts = [*cells_of("table6"), *cells_of("smoke")]
    assert [cell.id for cell in found[:-1]] == [cell.id for cell in parts]
    assert (found[-1].dataset.spec, found[-1].protocol.epochs) == ("digits16", 3)
    assert [cell.id for cell in make(include=["table6"]).cells()] == [cell.id for cell in parts[:2]]


def test_the_command_line_wins_over_included_grids() -> None:
    content = {"name": "mine", "include": ["stft"]}
    cells = grid.make(content, "mine.toml", {"epochs": 7, "tuning_epochs": 2, "beta": 0.5}).cells()
    assert {(cell.protocol.epochs, cell.protocol.beta) for cell in cells} == {(7, 0.5)}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"include": ["tabel2"]}, "include names 'tabel2', no grid of the package (did you mean"),
        ({"include": "table2"}, "include = 'table2' is invalid: write a list such as"),
        ({"include": []}, "the key 'block' is missing"),
        ({"include": [], "block": []}, "block = [] is invalid: write at least one [[block]]"),
        ({"includes": ["table2"]}, "unknown key 'includes' (did you mean 'include'?)"),
    ],
)
def test_one_sentence_for_a_wrong_include(content: dict[str, Any], message: str) -> None:
    with pytest.raises(HarnessError) as caught:
        make(**content)
    assert f"mine.toml: {message}" in str(caught.value)
