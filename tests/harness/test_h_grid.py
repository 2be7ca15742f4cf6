"""Grids from TOML: keys, overrides, identity and order of cells."""

from pathlib import Path
from typing import Any

import pytest
from shell import make_cell, make_grid

from harness import grid
from harness.errors import HarnessError
from harness.protocol import Protocol

TEXT = """
title = "T"
[protocol]
epochs = 10
[[block]]
losses = ["l2", {loss = "ssim", protocol = {batch = 32}}]
datasets = ["digits16", "digits8"]
models = ["conv4[width=4]"]
protocol = {epochs = 20}
[[block]]
losses = ["l1"]
datasets = ["digits16"]
models = ["conv4[width=4]", "conv4[width=8]"]
"""


def read(text: str, **overrides: Any) -> grid.Grid:
    return grid.parse(text, "my.toml", overrides)


def test_cells_come_in_the_order_of_the_file() -> None:
    cells = read(TEXT).cells()
    order = [(c.dataset.spec, c.model.spec, c.loss_spec, c.protocol.epochs) for c in cells]
    assert order == [
        ("digits16", "conv4[width=4]", "l2", 20),
        ("digits16", "conv4[width=4]", "ssim", 20),
        ("digits8", "conv4[width=4]", "l2", 20),
        ("digits8", "conv4[width=4]", "ssim", 20),
        ("digits16", "conv4[width=4]", "l1", 10),
        ("digits16", "conv4[width=8]", "l1", 10),
    ]
    assert [c.protocol.batch for c in cells] == [64, 32, 64, 32, 64, 64]
    assert read(TEXT).name == "my"


def test_the_command_line_wins_over_every_level() -> None:
    cells = read(TEXT, epochs=5, batch=8).cells()
    assert {(c.protocol.epochs, c.protocol.batch) for c in cells} == {(5, 8)}


def test_a_cell_that_stands_twice_is_one_cell() -> None:
    cells = make_grid(["l2", "1*l2", "l1", {"loss": "l2", "protocol": {"seeds": 9}}]).cells()
    assert [c.loss_spec for c in cells] == ["l2", "l1"]


def test_identity_is_stable() -> None:
    """A change here retrains every stored cell: it must be meant."""
    assert make_cell().id == "digits16-conv4-mlp16-width4-l2-07a1f2bf"


def test_identity_follows_what_decides_the_numbers_and_nothing_else() -> None:
    base = make_cell().id
    assert make_cell(seeds=7).id == base
    assert make_grid(["l2"], name="other").cells()[0].id == base
    assert make_grid(["1.0*l2"]).cells()[0].id == base
    assert make_cell(tuning_epochs=2).id == base  # the default, written out
    assert make_cell(objective="frd_gen").id == base
    different = [
        make_cell("l1"), make_cell("2*l2"), make_cell(epochs=5), make_cell(batch=8),
        make_cell(trials=4), make_cell(beta=1.0), make_cell(objective="psnr"),
        make_cell(select_on="test"), make_cell(precision="bfloat16"), make_cell(limit=63),
        make_cell(beta_range=[0.1, 1.0]), make_cell(pruner="median"),
    ]  # fmt: skip
    assert len({cell.id for cell in different} | {base}) == len(different) + 1


def test_tuning_keys_are_no_part_of_a_fixed_beta() -> None:
    assert make_cell(beta=1.0, trials=3).id == make_cell(beta=1.0, trials=9, pruner="median").id


def test_long_ids_stay_short_enough_for_file_names() -> None:
    loss = " + ".join(["ssim[window=7,sigma=1.25]", "0.001*l1", "l2", "3*ce", "7*sigma"] * 3)
    assert len(make_cell(loss).id) == 109


def test_a_cell_survives_its_stored_description() -> None:
    cell = make_cell("ssim + 2*l1", beta_range=[0.1, 1.0])
    assert grid.Cell.model_validate(cell.describe()["resolved"]) == cell
    assert cell.describe()["trials"] == 3
    assert make_cell(beta=1.0).describe()["trials"] == 0


def block(losses: str) -> str:
    return f"[[block]]\n{losses}\ndatasets = ['digits']\nmodels = ['conv4']"


GOOD = block("losses = ['l2']")
WRITE = "write at least one [[block]] with the keys losses, datasets and models"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = ", "my.toml is not valid TOML"),
        ("titel = 'x'", "my.toml: unknown key 'titel' (did you mean 'title'?)"),
        ("title = 'x'", f"my.toml: the key 'block' is missing: {WRITE}"),
        ("", f"my.toml: the key 'block' is missing: {WRITE}"),
        ("protocol = 3", "my.toml: protocol = 3: must be a table"),
        ("[protocol]\nepoch = 3\n" + GOOD, "my.toml: protocol: unknown key 'epoch' (did you"),
        (GOOD + "\nprotocol = {trials = 'eight'}", "my.toml: protocol: trials = 'eight': must be"),
        (
            block("losses = [{loss = 'l2', protocol = {epochs = 0}}]"),
            "my.toml: protocol: epochs = 0: must be at least 1",
        ),
        ("[protocol]\npreset = 'larson'\n" + GOOD, "my.toml: unknown preset 'larson' (did you"),
        ("[protocol]\npreset = [1]\n" + GOOD, "my.toml: unknown preset [1]"),
        ("block = []", "my.toml: block = [] is invalid"),
        (
            "[[block]]\nlosses = ['l2']\nmodels = ['m']",
            "the key datasets of [[block]] 1 is missing",
        ),
        (block("loses = ['l2']"), "unknown key 'loses' (did you mean 'losses'?)"),
        (block("losses = []"), "losses of [[block]] 1 = [] is invalid: give at least one"),
        (block("losses = [{los = 'l2'}]"), "unknown key 'los' (did you mean 'loss'?)"),
        (
            block("loss = ['l2']"),
            "unknown key 'loss' (did you mean 'losses'?); valid keys: datasets",
        ),
        (block("losses = [{protocol = {}}]"), "the key losses.1.loss of [[block]] 1 is missing"),
        (block("losses = [3]"), "losses.1 of [[block]] 1 = 3: must be text"),
        (
            "name = '../x'\n" + block("losses = ['l2']"),
            "the name '../x' of the grid cannot name a folder: write letters, digits, dots, dashes",
        ),
        (
            block("losses = ['l2']").replace("[[block]]", "[block]"),
            "my.toml: the grid has [block] with single brackets: write [[block]]",
        ),
    ],
)
def test_one_sentence_for_a_wrong_grid(text: str, message: str) -> None:
    with pytest.raises(HarnessError) as caught:
        read(text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"epoch": 3}, "protocol: unknown key 'epoch' (did you mean 'epochs'?)"),
        ({"learning_rate": 3}, "protocol: unknown key 'learning_rate'; valid keys: batch"),
        ({"epochs": 0}, "epochs = 0: must be at least 1"),
        ({"epochs": 10.0}, "epochs = 10.0: must be a whole number"),
        ({"trials": True}, "trials = True: must be a whole number"),
        ({"batch": 1}, "batch = 1: must be at least 2"),
        ({"lr": "fast"}, "lr = 'fast': must be a number"),
        ({"lr": float("nan")}, "lr = nan: must be a finite number"),
        ({"beta": 0.0}, "beta = 0.0: must be more than 0"),
        ({"beta_range": [1.0, 0.1]}, "beta_range = [1, 0.1] is not rising: write [small"),
        ({"beta_range": [0.1, 0.1]}, "is not rising"),
        ({"beta_range": [-1.0, 0.1]}, "beta_range.1 = -1.0: must be more than 0"),
        ({"beta_range": [0.1]}, "beta_range = [0.1]: must have 2 values"),
        ({"beta_range": []}, "beta_range = []: must have 2 values"),
        ({"beta_range": [1.0, 2.0, 3.0]}, "must have at most 2 values, not 3"),
        ({"beta_range": 3}, "beta_range = 3: must be a list"),
        ({"objective": ["psnr"]}, "objective = ['psnr']: must be text"),
        ({"features": ["random"]}, "features = ['random']: must be 'random', 'squeezenet'"),
        ({"direction": "up"}, "direction = 'up': must be 'minimize' or 'maximize'"),
        ({"epochs": 4, "tuning_epochs": 5}, "tuning_epochs = 5 is more than epochs = 4"),
        ({"features": "resnet"}, "features = 'resnet': must be 'random', 'squeezenet'"),
        ({"objective": "sharp"}, "unknown objective 'sharp'; metrics:"),
        (
            {"objective": "fid_gen"},
            "objective 'fid_gen' needs features = 'inception', but features",
        ),
    ],
)
def test_one_sentence_for_a_wrong_protocol(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(HarnessError) as caught:
        grid.make_protocol(keys)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_protocol_defaults_follow_other_keys() -> None:
    assert Protocol(epochs=9).trial_epochs == 4
    assert Protocol(epochs=1).trial_epochs == 1
    assert Protocol(features="inception").objective == "fid_gen"
    assert Protocol(features="squeezenet").objective == "fsd_gen"
    assert (Protocol(objective="psnr").direction, Protocol().direction) == ("maximize", "minimize")
    assert [Protocol(trials=n).first_trials for n in (1, 3, 6, 8, 9)] == [1, 3, 3, 4, 5]


def test_only_selects_by_glob_or_part() -> None:
    cells = make_grid(["l2", "l1", "ssim"]).cells()
    assert grid.select(cells, None) == cells
    assert [c.loss_spec for c in grid.select(cells, "*-l[12]-*")] == ["l2", "l1"]
    assert [c.loss_spec for c in grid.select(cells, "ssim")] == ["ssim"]
    with pytest.raises(HarnessError, match=r"--only 'zz' matches none of the 3 cells, such as dig"):
        grid.select(cells, "zz")


def test_only_names_cells_where_none_matches() -> None:
    ids = ["photos-l1-00", "photos-l2-11", "photos-ssim-22"]
    assert grid.matching(ids, "*-l[12]-*") == set(ids[:2])
    with pytest.raises(HarnessError) as caught:
        grid.matching(ids, "*zz*")
    assert str(caught.value) == (
        "--only '*zz*' matches none of the 3 cells, such as photos-l1-00 and photos-l2-11"
    )


def test_a_wrong_key_of_the_command_line_is_not_the_files() -> None:
    with pytest.raises(HarnessError) as caught:
        grid.parse(GOOD, "my.toml", {"epoch": 3}).cells()
    assert str(caught.value).startswith("protocol: unknown key 'epoch'")


def test_loads_by_name_or_file(tmp_path: Path) -> None:
    assert grid.load("smoke").name == "smoke"
    path = tmp_path / "mine.toml"
    path.write_text(TEXT)
    assert grid.load(str(path)).name == "mine"
    assert {c.protocol.trials for c in grid.load("smoke", {"trials": 1}).cells()} == {1}


@pytest.mark.parametrize("name", grid.names())
def test_every_grid_of_the_package_can_be_read(name: str) -> None:
    found = grid.load(name)
    assert found.name == name
    assert found.title
    assert found.cells()


def test_one_sentence_for_a_grid_that_cannot_be_loaded(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match=r"unknown grid 'smok' \(did you mean 'smoke'\?\)"):
        grid.load("smok")
    with pytest.raises(HarnessError, match=r"there is no grid file none\.toml"):
        grid.load("none.toml")
    with pytest.raises(HarnessError, match=r"grid\.toml$") as caught:
        grid.load(str(tmp_path))
    assert str(caught.value).startswith(f"--grid {tmp_path} is a folder: name a TOML file, such as")
    with pytest.raises(HarnessError, match="unknown grid 'xxx"):
        grid.load("x" * 300)
    path = tmp_path / "latin.toml"
    path.write_bytes("title = 'é'".encode("latin-1"))
    with pytest.raises(HarnessError, match=r"cannot read the grid file .*latin\.toml: 'utf-8'"):
        grid.load(str(path))
    with pytest.raises(HarnessError, match=r"is a folder: name a TOML file, such as .*latin\.toml"):
        grid.load(str(tmp_path))
