"""Losses from files and entry points: registered, identified, refused in one sentence, run."""

import json
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import tiny
import torch

import losses
from harness import __main__, components, grid, inventory, listing, plan, plugins, provenance
from harness.cell import CellFailed, run_cell
from harness.columns import describe
from harness.errors import HarnessError
from harness.grid import Cell
from harness.settled import request
from harness.store import Store, newest

TOUCH = "__import__('pathlib').Path('{}').touch()\n"
SOURCE = '''
import torch
from losses.base import ReconstructionLoss
from losses.options import InvalidOption

class EdgeLoss(ReconstructionLoss):
    """Half the squared error, and `weight` times that of differences along rows."""

    def __init__(self, *, weight: float = 2.0, **context):
        super().__init__(**context)
        if weight < 0:
            raise InvalidOption(f"weight is {weight}; give a number from 0 on")
        self.weight = weight

    def forward(self, recon, target, latent, *, logits=None):
        error = recon - target
        edges = error.diff(dim=3).square().flatten(1).sum(1)
        return error.square().flatten(1).sum(1) / 2 + self.weight * edges
'''


@pytest.fixture(autouse=True)
def forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Work in an empty folder, and forget afterwards what was registered."""
    monkeypatch.setattr(losses, "REGISTRY", dict(losses.REGISTRY))
    monkeypatch.setattr(plugins, "_registered", {})
    monkeypatch.chdir(tmp_path)
    plugins._entry_points.cache_clear()
    yield
    plugins._entry_points.cache_clear()


def write(source: str = SOURCE, name: str = "my_loss.py") -> Path:
    path = Path(name)
    path.write_text(source)
    return path


def make_cell(spec: str = "edge-loss") -> Cell:
    return tiny.tiny_grid(spec).cells()[0]


def forget() -> None:
    """Be a process that has not seen the plugin."""
    for name in plugins._registered:
        del losses.REGISTRY[name]
    plugins._registered.clear()


def call(*arguments: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(sys, "argv", ["harness", *arguments])
    with pytest.raises(SystemExit) as ended:
        __main__.main()
    return ended.value.code


def test_a_file_brings_its_losses() -> None:
    assert plugins.load(write()) == ["edge-loss"]
    entry = losses.REGISTRY["edge-loss"]
    assert (entry.family, entry.source, entry.needs) == ("plugin", "my_loss.py", "nothing")
    loss = losses.build("edge-loss", image_shape=(1, 2, 2), weight=3.0)
    recon, target = torch.tensor([[[[1.0, 0.0], [0.0, 0.0]]]]), torch.zeros(1, 1, 2, 2)
    assert loss(recon, target, torch.zeros(1, 4)).tolist() == [0.5 + 3.0]
    assert components.resolve_loss("edge-loss[weight=3] + l1")[0].options == {"weight": 3.0}
    (record,) = [each for each in listing.listing("losses") if each["name"] == "edge-loss"]
    assert record["source"] == "my_loss.py"
    assert "Half the squared error" in listing.detail("losses", "edge-loss")["what"]


@pytest.mark.parametrize(
    ("kind", "name"),
    [("EdgeLoss", "edge-loss"), ("SSIMLike", "ssim-like"), ("L2Edge", "l2-edge"), ("Mine", "mine")],
)
def test_names_are_the_class_in_kebab_case(kind: str, name: str) -> None:
    assert plugins.load(write(SOURCE.replace("EdgeLoss", kind))) == [name]


def test_a_class_may_say_its_name_and_family_and_helpers_stay_private() -> None:
    source = SOURCE.replace(
        "    def __init__", "    name = 'edges'\n    family = 'frequency'\n\n    def __init__", 1
    )
    source += "\nclass _Base(EdgeLoss): ...\nclass Other(_Base): ...\n"
    assert plugins.load(write(source)) == ["edges", "other"]
    assert losses.REGISTRY["edges"].family == "frequency"


def test_the_same_file_twice_is_once_and_edited_is_another_loss() -> None:
    path = write()
    assert plugins.load(path) == plugins.load("./my_loss.py") == ["edge-loss"]
    first = make_cell()
    write(SOURCE.replace("2.0", "5.0"))
    assert plugins.load(path) == ["edge-loss"]
    second = make_cell()
    assert components.resolve_loss("edge-loss")[0].options == {"weight": 5.0}
    assert first.id != second.id and first.loss_spec == second.loss_spec


BAD = [
    ("import losses.nothing_here", "cannot import bad.py: ModuleNotFoundError", "(line 1)"),
    ("x = 1\nclass A(", "cannot import bad.py: SyntaxError: ", "(line 2)"),
    ("\n\nraise SystemExit(3)", "cannot import bad.py: SystemExit: 3", "(line 3)"),
    ("x = 1", "bad.py defines no loss: write a subclass of", "README"),
    ("from losses.pointwise import L2", "bad.py defines no loss", ""),
    (
        "from losses.base import ReconstructionLoss\nclass L2(ReconstructionLoss): ...",
        "bad.py: the name 'l2' is a built-in loss's: give the class another one, such as",
        'name = "my-l2"',
    ),
    (
        "from losses.base import ReconstructionLoss\nclass A(ReconstructionLoss): name = 'My loss'",
        "bad.py: the name 'My loss' of the class A cannot stand in a spec",
        "",
    ),
]


@pytest.mark.parametrize(("source", "start", "end"), BAD)
def test_a_bad_file_is_refused_in_one_sentence(source: str, start: str, end: str) -> None:
    before = dict(losses.REGISTRY)
    with pytest.raises(HarnessError) as caught:
        plugins.load(write(source, "bad.py"))
    assert str(caught.value).startswith(start) and end in str(caught.value)
    assert "\n" not in str(caught.value)
    assert before == losses.REGISTRY


def test_a_missing_file_and_another_plugins_name_are_refused() -> None:
    with pytest.raises(HarnessError, match=r"cannot read the plugin file .*no.py: No such file"):
        plugins.load("no.py")
    plugins.load(write())
    with pytest.raises(HarnessError, match=r"other.py: the name 'edge-loss' is another plugin's"):
        plugins.load(write(SOURCE + "\n", "other.py"))


def test_a_plugin_leaves_no_bytecode_and_is_run_only_when_asked_for() -> None:
    write(TOUCH.format("ran") + SOURCE)
    listing.listing("losses")
    assert not Path("ran").exists()
    plugins.load("my_loss.py")
    assert Path("ran").exists()
    assert not list(Path().glob("__pycache__"))


def test_the_id_follows_the_source_not_the_place() -> None:
    plugins.load(write())
    first = make_cell()
    forget()
    Path("sub").mkdir()
    plugins.load(write(name="sub/renamed.py"))
    moved = make_cell()
    assert moved.id == first.id
    assert (first.loss[0].plugin or plugins).path != (moved.loss[0].plugin or plugins).path
    shown = json.loads(describe(moved)["loss_options"])
    assert shown[0]["plugin"] == first.loss[0].plugin.sha256


def test_built_in_cells_know_no_plugins() -> None:
    before = make_cell("l2").id
    plugins.load(write())
    assert make_cell("l2").id == before
    assert json.loads(describe(make_cell("l2"))["loss_options"])[0].keys() == {
        "weight", "name", "options"
    }  # fmt: skip


def test_a_cell_alone_brings_its_plugin_to_another_process() -> None:
    plugins.load(write())
    cell = Cell.model_validate(json.loads(json.dumps(make_cell().model_dump(mode="json"))))
    forget()
    assert type(components.build_loss(cell.loss, (1, 16, 16), 4)).__name__ == "EdgeLoss"
    assert plugins.of("edge-loss") == cell.loss[0].plugin


def test_a_cell_refuses_a_plugin_that_changed_or_went() -> None:
    path = write()
    plugins.load(path)
    cell = make_cell()
    forget()
    write(TOUCH.format("ran") + SOURCE)
    with pytest.raises(HarnessError, match=r"my_loss.py changed since this cell was made: give"):
        components.build_loss(cell.loss, (1, 16, 16), 4)
    assert not Path("ran").exists()
    path.unlink()
    with pytest.raises(HarnessError, match=r"cannot read the plugin file"):
        components.build_loss(cell.loss, (1, 16, 16), 4)


def test_the_source_digest_is_that_of_the_present_file() -> None:
    path = write()
    plugins.load(path)
    cell = make_cell()
    first = provenance.source_digest(cell)
    assert first.partition("-")[0] == provenance.source_digest(make_cell("l2")).partition("-")[0]
    write(SOURCE + "# edited\n")
    assert provenance.source_digest(cell) != first
    path.unlink()
    with pytest.raises(HarnessError, match=r"cannot read the plugin file"):
        provenance.source_digest(cell)


def test_another_plugin_is_another_request() -> None:
    found = grid.make(
        {"name": "g", "block": [{"losses": ["l2"], "datasets": ["digits"], "models": ["conv4"]}]},
        "test",
        {},
    )
    before = request(found)
    plugins.load(write())
    first = request(found)
    forget()
    plugins.load(write(SOURCE + "# edited\n"))
    assert len({before, first, request(found)}) == 3


def test_a_grid_names_plugins_beside_it() -> None:
    Path("grids").mkdir()
    write(name="grids/my_loss.py")
    block = "[[block]]\nlosses = ['edge-loss']\ndatasets = ['digits16']\nmodels = ['conv4']\n"
    Path("grids/mine.toml").write_text(f"plugins = ['my_loss.py']\n{block}")
    (cell,) = grid.load("grids/mine.toml").cells()
    assert cell.loss[0].plugin.path == str(Path("grids/my_loss.py").resolve())
    Path("grids/mine.toml").write_text(f"plugins = ['none.py']\n{block}")
    with pytest.raises(HarnessError, match=r"cannot read the plugin file .*grids/none.py"):
        grid.load("grids/mine.toml")


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An installed package with entry points."""
    folder = tmp_path / "site" / "edgy"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(TOUCH.format("imported"))
    (folder / "loss.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    points = [
        EntryPoint("edgy", "edgy.loss:EdgeLoss", plugins.GROUP),
        EntryPoint("gone", "edgy.nothing:Gone", plugins.GROUP),
        EntryPoint("number", "edgy.loss:torch", plugins.GROUP),
        EntryPoint("l2", "edgy.loss:EdgeLoss", plugins.GROUP),
    ]
    monkeypatch.setattr(plugins, "entry_points", lambda group: points)
    yield folder
    for name in [each for each in sys.modules if each.partition(".")[0] == "edgy"]:
        del sys.modules[name]


def test_entry_points_are_listed_unimported_and_loaded_by_name(package: Path) -> None:
    rows = {each["name"]: each for each in listing.listing("losses")}
    assert rows["edgy"]["family"] == "plugin" and rows["l2"]["family"] == "pointwise"
    make_cell("l2 + ssim")
    assert not Path("imported").exists()
    cell = make_cell("edgy[weight=3]")
    assert Path("imported").exists()
    assert cell.loss[0].plugin.path is None
    assert type(components.build_loss(cell.loss, (1, 16, 16), 4)).__name__ == "EdgeLoss"
    first = provenance.source_digest(cell)
    (package / "__init__.py").write_text("# edited")
    assert provenance.source_digest(cell) != first


def test_bad_entry_points_are_refused(package: Path) -> None:
    with pytest.raises(HarnessError, match=r"cannot import the installed loss 'gone' \(edgy.nothi"):
        components.resolve_loss("gone")
    with pytest.raises(HarnessError, match=r"the installed loss 'number' .* is no subclass of"):
        components.resolve_loss("number")
    source = SOURCE.replace("EdgeLoss", "Edgy")
    with pytest.raises(HarnessError, match=r"the name 'edgy' is another plugin's"):
        plugins.load(write(source))


def test_a_cell_refuses_an_installed_loss_that_changed(package: Path) -> None:
    cell = make_cell("edgy")
    forget()
    (package / "loss.py").write_text(SOURCE + "# edited\n")
    with pytest.raises(HarnessError, match=r"the installed loss 'edgy' changed since"):
        components.build_loss(cell.loss, (1, 16, 16), 4)


def test_results_outlive_their_plugin(tmp_path: Path) -> None:
    path = write()
    plugins.load(path)
    cell = make_cell()
    store = Store(tmp_path / "results" / "tiny")
    assert run_cell(tiny.assignment(cell, store.root.parent)) is None
    store.write_grid({"name": "tiny", "cells": [cell.describe()]})
    (kept,) = inventory.status(store)
    assert kept["state"] == "done"
    write(SOURCE + "# edited\n")
    forget()
    (stale,) = inventory.status(store)
    assert (stale["state"], "source that trains it" in stale["why"]) == ("stale", True)
    path.unlink()
    (gone,) = inventory.status(store)
    assert gone["state"] == "done"
    record = inventory.cell_record(*inventory.find_cell(store.root.parent, "edge-loss"))
    assert "edge-loss" in json.dumps(record["loss"])


def test_a_plugin_edited_while_a_grid_runs_is_a_row(tmp_path: Path) -> None:
    path = write()
    plugins.load(path)
    cell = make_cell()
    forget()
    path.write_text(SOURCE + "# edited\n")
    with pytest.raises(CellFailed, match=r"my_loss.py changed since this cell was made"):
        run_cell(tiny.assignment(cell, tmp_path / "results"))
    row = newest(Store(tmp_path / "results" / "tiny").rows()).iloc[0]
    assert (row["status"], "my_loss.py changed since" in row["cause"]) == ("failed", True)


@pytest.mark.parametrize(
    "declared",
    [
        "*, weight=2.0",
        "weight=2.0",
        "*, weight: torch.Tensor | None = None",
        "*, weight: list[float] = []",
        "*, weight: 'Unknown' = 2.0",
    ],
)
@pytest.mark.parametrize("verb", ["check", "run"])
def test_an_option_that_no_spec_can_give_is_refused(
    verb: str,
    declared: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write(SOURCE.replace("*, weight: float = 2.0", declared))
    rest = ["--plugin", "my_loss.py", "--dataset", "photos16", "--loss", "edge-loss", "-n"]
    arguments = ["my_loss.py"] if verb == "check" else rest
    assert call(verb, *arguments, monkeypatch=monkeypatch) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and err.startswith("error: edge-loss: the ")
    assert "weight cannot be given in a spec" in err or "name 'Unknown' is not defined" in err


def test_a_forgotten_context_and_a_line_to_mend_are_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    forgotten = SOURCE.replace(", **context)", ")").replace("**context", "")
    write(forgotten)
    assert call("check", "my_loss.py", "--size", "16", monkeypatch=monkeypatch) == 2
    out = capsys.readouterr().out
    assert "does not take what every loss is given" in out and "take **context" in out
    forget()
    write(SOURCE.replace("self.weight = weight", "self.weight = self.needed_latent_size(1)"))
    assert call("check", "my_loss.py", "--size", "16", monkeypatch=monkeypatch) == 2
    assert "(my_loss.py, line 13)" in capsys.readouterr().out


def test_a_plugin_that_refuses_a_value_is_not_blamed() -> None:
    plugins.load(write())
    with pytest.raises(HarnessError) as caught:
        plan.check([make_cell("edge-loss[weight=-1]")], {})
    assert str(caught.value) == "edge-loss[weight=-1]: weight is -1.0; give a number from 0 on"


def test_a_broken_plugin_does_not_start_to_run() -> None:
    source = SOURCE.replace(".flatten(1).sum(1) / 2", ".mean()")
    plugins.load(write(source))
    with pytest.raises(HarnessError) as caught:
        plan.check([make_cell("l2 + 2*edge-loss[weight=0]")], {})
    assert str(caught.value).startswith("the loss edge-loss[weight=0] fails its check ")
    assert str(caught.value).endswith("see: harness check my_loss.py")


def test_check_says_what_is_wrong_and_how_to_go_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write()
    assert call("check", "my_loss.py", "--size", "16", monkeypatch=monkeypatch) == 0
    out = capsys.readouterr().out
    assert "edge-loss conforms: none of 27 checks failed" in out
    assert "harness run --plugin my_loss.py --dataset photos --loss l2 --loss edge-loss" in out
    write(
        SOURCE.replace("(recon - target)", "(recon - target).detach()").replace(
            "error = recon", "error = recon.detach()"
        )
    )
    assert call("check", "my_loss.py", "--size", "16", monkeypatch=monkeypatch) == 2
    out = capsys.readouterr().out
    assert "FAILED  gradient: the energy does not depend on recon for autograd" in out
    assert "fix: no detach()" in out and "why: The gradient reaches" in out


def test_one_cause_and_what_is_absent_are_told_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = SOURCE.replace("(recon - target)", "(recon - target).detach()")
    write(source.replace("error = recon", "error = recon.detach()"))
    arguments = ("check", "my_loss.py", "--size", "16")
    assert call(*arguments, monkeypatch=monkeypatch) == 2
    lines = capsys.readouterr().out.splitlines()
    assert "FAILED  slope: as in finite" in lines and "FAILED  training: as in finite" in lines
    assert sum("does not require grad" in line for line in lines) == 1
    (skipped,) = [line for line in lines if line.startswith("skipped")]
    assert "main parameters, companion, decoder loss, snapshot (the loss has none)" in skipped
    forget()
    assert call(*arguments, "--json", monkeypatch=monkeypatch) == 2
    (found,) = json.loads(capsys.readouterr().out)
    told = {each["name"]: each for each in found["results"]}
    assert "does not require grad" in told["training"]["message"]
    assert told["snapshot"]["kind"] == told["companion"]["kind"] == "skipped"


def test_a_slip_in_a_constructor_is_located(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(SOURCE.replace("self.weight = weight", "self.weight = float('two')"))
    assert call("check", "my_loss.py", "--size", "16", monkeypatch=monkeypatch) == 2
    err = capsys.readouterr().err
    assert "could not convert string to float: 'two' (my_loss.py, line 13)" in err


def test_check_as_json(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    write()
    arguments = ("check", "edge-loss[weight=1]", "--plugin", "my_loss.py", "--channels", "1")
    assert call(*arguments, "--size", "12", "--json", monkeypatch=monkeypatch) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["loss"], found["source"], found["conforms"]) == (
        "edge-loss[weight=1]", "my_loss.py", True
    )  # fmt: skip
    assert found["image_shape"] == [1, 12, 12]
    assert {each["kind"] for each in found["results"]} == {"passed", "skipped"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.py"], "cannot read the plugin file"),
        (["empty.py"], "empty.py defines no loss"),
        (["nosuch"], "unknown loss 'nosuch'"),
        (["ssim[window=99]"], "ssim[window=99]: images of 32x32 are smaller than the window"),
        (["ssim", "--size", "0"], "size 0, channels 3 and latent 16 must be positive"),
        (["l2", "--images", "bytes.npy"], "the images are uint8; give floats in [0, 1]"),
        (["l2", "--images", "bright.npy"], "values from 0 to 255; give values in [0, 1]"),
        (["l2", "--images", "flat.npy"], "in [0, 1]: it has the shape (8, 8); make one with numpy"),
        (
            ["l2", "--images", "nothing"],
            "nothing is no .npy array of images (N, C, H, W) in [0, 1]",
        ),
        (["l2", "--images", "nothing"], "it is empty; make one with numpy.save(path, images)"),
        (["l2", "--images", "empty.py"], "empty.py is no .npy array of images (N, C, H, W)"),
        (["l2", "--images", "two.npz"], "it is an .npz archive of arrays; make one with"),
        (["l2", "--images", "zip.npy"], "it is damaged, holds objects or has another format"),
        (["l2", "--images", "objects.npy"], "it is damaged, holds objects or has another format"),
        (["l2", "--images", "words.npy"], "its values are <U1, not numbers"),
        (["l2", "--images", "none.npy"], "cannot read images from none.npy: No such file"),
        (["lpips"], "the pretrained weights"),
    ],
)
def test_what_cannot_be_checked_is_refused(
    arguments: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    import numpy as np

    monkeypatch.setenv("TORCH_HOME", "nowhere")
    monkeypatch.delenv("HARNESS_WEIGHTS", raising=False)
    Path("empty.py").write_text("x = 1\n")
    image = np.zeros((2, 1, 8, 8))
    image[0, 0, 0, 0] = 255
    np.save("bytes.npy", image.astype(np.uint8))
    np.save("bright.npy", image)
    np.save("flat.npy", image[0, 0])
    Path("nothing").touch()
    Path("zip.npy").write_bytes(b"PK\3\4 and no more")
    np.savez("two.npz", image, image)
    np.save("objects.npy", np.array([{}]), allow_pickle=True)
    np.save("words.npy", np.array(["a"]))
    assert call("check", *arguments, monkeypatch=monkeypatch) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ") and err.count("\n") == 1 and message in err
    assert "unsafely" not in err and "pickle" not in err


def test_images_of_a_file_are_what_is_checked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import numpy as np

    np.save("images.npy", np.random.default_rng(0).random((3, 1, 9, 7)).astype(">f4"))
    assert call("check", "l2", "--images", "images.npy", monkeypatch=monkeypatch) == 0
    assert "images 1x9x7" in capsys.readouterr().out


@pytest.mark.slow
def test_a_real_run_trains_the_plugin_in_its_own_process(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write()
    monkeypatch.setenv("CI", "1")
    settings = ["--set", "limit=64", "--set", "batch=16", "--set", "latent=4", "--epochs", "1"]
    axes = ["--dataset", "digits16", "--model", "conv4[width=4,mlp=16]", "--set", "beta=0.1"]
    command = ["run", "--plugin", "my_loss.py", "--loss", "edge-loss", *axes, *settings]
    for done in ("1/1 cell done", "1 cell done before: nothing left to run"):
        assert call(*command, monkeypatch=monkeypatch) == 0
        assert done in capsys.readouterr().out
    write(SOURCE + "# edited\n")
    assert call(*command, "-n", monkeypatch=monkeypatch) == 0
    assert "missing" in capsys.readouterr().out
    (row,) = pd.read_parquet("results/quick").to_dict("records")
    assert (row["loss"], row["status"]) == ("edge-loss", "ok")
