"""Settings, the guard of the import names, seeds, prepared data, and the digest of the source."""

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import harness
from harness import components, guard, prepared, provenance, seeds
from harness.errors import HarnessError, suggestion
from harness.settings import settings

DIGITS = components.resolve("dataset", "digits16")


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment without any of the harness's variables."""
    names = ("HARNESS_DATA", "HARNESS_WEIGHTS", "HARNESS_PREPARED", "XDG_CACHE_HOME", "TORCH_HOME")
    for name in (*names, "CI"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_settings_without_an_environment(bare: pytest.MonkeyPatch) -> None:
    found = settings()
    assert (found.data, found.weights, found.ci) == (None, None, False)
    assert found.cache == Path.home() / ".cache" / "vae-loss-harness"
    assert found.prepared == found.cache / "datasets"
    assert found.torch_home == Path.home() / ".cache" / "torch"


def test_settings_from_the_environment(bare: pytest.MonkeyPatch) -> None:
    values = {"HARNESS_DATA": "~/d", "HARNESS_WEIGHTS": "/w", "XDG_CACHE_HOME": "/c", "CI": "true"}
    for name, value in values.items():
        bare.setenv(name, value)
    found = settings()
    assert (found.data, found.weights) == (Path.home() / "d", Path("/w"))
    assert (found.cache, found.torch_home, found.ci) == (
        Path("/c/vae-loss-harness"),
        Path("/c/torch"),
        True,
    )
    assert found.prepared == Path("/c/vae-loss-harness/datasets")
    bare.setenv("TORCH_HOME", "/t")
    bare.setenv("HARNESS_PREPARED", "~/p")
    assert settings().torch_home == Path("/t")
    assert settings().prepared == Path.home() / "p"


def test_the_guard_accepts_its_own_packages() -> None:
    guard.check()


@pytest.mark.parametrize(
    ("spec", "owner"),
    [
        (SimpleNamespace(origin="/elsewhere/models/__init__.py"), "/elsewhere/models/__init__.py"),
        (SimpleNamespace(origin=None, submodule_search_locations=["/cwd/models"]), "/cwd/models"),
        (None, "nothing here"),
    ],
)
def test_the_guard_names_who_took_a_name(
    monkeypatch: pytest.MonkeyPatch, spec: object, owner: str
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: spec if name == "models" else find(name)
    )
    with pytest.raises(HarnessError, match=f"the import name 'models' belongs to {owner}, not to"):
        guard.check()


def test_seeds_are_functions_of_their_axes() -> None:
    assert seeds.derive("a", 1) == seeds.derive("a", 1)
    different = {
        seeds.derive(*axes) for axes in (("a", 1), ("a", "1"), ("a1",), ("a", 1, ""), (1, "a"))
    }
    assert len(different) == 5
    # SHA-256 of '["a", 1]', first eight bytes, halved: the same on every machine
    assert seeds.derive("a", 1) == 1381375925460027057
    drawn = [seeds.generator("x", 0).initial_seed() for _ in range(2)]
    assert drawn == [seeds.derive("x", 0)] * 2


def test_the_nearest_name_is_suggested_or_none() -> None:
    assert suggestion("epoch", ["epochs", "batch"]) == " (did you mean 'epochs'?)"
    assert suggestion("zzz", ["epochs", "batch"]) == ""


def test_relative_folders_are_looked_up_in_the_data_folder(
    tmp_path: Path, bare: pytest.MonkeyPatch
) -> None:
    bare.chdir(tmp_path)
    (tmp_path / "data" / "faces").mkdir(parents=True)
    faces = components.resolve("dataset", "folder:faces[size=16]")
    with pytest.raises(HarnessError, match=r"^folder:faces\[size=16\]: no folder .*/faces: give"):
        prepared.read(faces)
    bare.setenv("HARNESS_DATA", str(tmp_path / "data"))
    with pytest.raises(HarnessError, match=f"no image below {tmp_path / 'data' / 'faces'}"):
        prepared.read(faces)


SCRIPT = """
import json, sys
from harness import provenance
from harness.components import Component, Term
from harness.grid import Cell
from harness.protocol import Protocol
from pathlib import Path
home = Path(provenance.__file__).parent.parent
digits = Component(name="digits", options={}, spec="digits")
conv4 = Component(name="conv4", options={}, spec="conv4")
cells = {
    name: Cell(dataset=digits, model=conv4, protocol=Protocol(),
               loss=tuple(Term(name=n, options={}, spec=n) for n in name.split("+")))
    for name in ("l2", "ssim", "l2+ssim")
}
found = []
def note():
    provenance._digest.cache_clear(); provenance._imports.cache_clear()
    found.append({name: provenance.source_digest(cell) for name, cell in cells.items()})
def change(path):
    with (home / path).open("a") as stream: stream.write("\\n# changed\\n")
    note()
note()
change("losses/new_loss.py")
for path in %s: change(path)
assert "torch" not in sys.modules
json.dump(found, sys.stdout)
"""
CHANGED = [
    "harness/report/table.py", "harness/cli/run.py", "models/conv5_bilinear.py",
    "datasets/photos.py",
    "losses/structural.py", "losses/base.py", "harness/train.py", "harness/steps.py",
    "harness/metrics/pixel.py", "harness/metrics/latent.py",
    "models/blocks.py", "datasets/digits.py", "datasets/splitting.py",
]  # fmt: skip


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """The digests of three cells before and after changes to a copy of the source."""
    home, here = tmp_path_factory.mktemp("source"), Path(harness.__file__).parent.parent
    for name in ("harness", "losses", "models", "datasets"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(here / name, home / name, ignore=ignored)
    command = [sys.executable, "-c", SCRIPT % CHANGED]
    ended = subprocess.run(command, cwd=home, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    digests = json.loads(ended.stdout)
    steps = ["losses/new_loss.py", *CHANGED]
    return {
        step: [name for name in before if before[name] != after[name]]
        for step, before, after in zip(steps, digests[:-1], digests[1:], strict=True)
    }


EVERY = ["l2", "ssim", "l2+ssim"]


@pytest.mark.parametrize(
    ("path", "stale"),
    [
        ("losses/new_loss.py", []),
        ("harness/report/table.py", []),
        ("harness/cli/run.py", []),
        ("models/conv5_bilinear.py", []),
        ("datasets/photos.py", []),
        ("losses/structural.py", ["ssim", "l2+ssim"]),
        ("losses/base.py", EVERY),
        ("harness/train.py", EVERY),
        ("harness/steps.py", EVERY),
        ("harness/metrics/pixel.py", []),  # scores models: harness evaluate renews it
        ("harness/metrics/latent.py", EVERY),  # the KL divergence is trained on
        ("models/blocks.py", EVERY),  # imported by conv4
        ("datasets/digits.py", EVERY),
        ("datasets/splitting.py", []),  # not used by digits
    ],
)
def test_a_change_makes_those_cells_stale_that_it_concerns(
    history: dict[str, list[str]], path: str, stale: list[str]
) -> None:
    assert history[path] == stale


def test_every_way_to_import_counts(tmp_path: Path) -> None:
    path = tmp_path / "x.py"
    path.write_text(
        "import numpy, losses.a\nfrom losses import b, c as d\nfrom losses.e import F\n"
        "def g():\n    import losses.h as h\n    from models.i import j\n"
    )
    assert sorted(provenance._imports(path, "losses")) == [f"losses.{x}" for x in "abceh"]
    # The blur loss takes its kernels and its Fourier solution from modules of their own.
    files = {found.stem for found in provenance._closure(["losses.blur"])}
    assert {"blur", "kernels", "wiener", "base"} <= files


# They decide where and whether things are kept, not what comes of them; images have a hash.
NO_NUMBERS = {"checkpoint", "components", "errors", "grid", "snapshots", "specs"}
NO_NUMBERS |= {"manifest", "origin", "preparation"}


def test_all_that_training_imports_counts_in_the_digest() -> None:
    for name in ("train", "steps", "schedule", "batches", "tune", "prepared", "seeds", "device"):
        source = (Path(harness.__file__).parent / f"{name}.py").read_text()
        found = set(re.findall(r"^from harness\.([\w.]+) import", source, re.MULTILINE))
        found |= set(re.findall(r"^from harness import (\w+)", source, re.MULTILINE))
        missing = {module.replace(".", "/") for module in found} - set(provenance._TRAINING)
        assert missing <= NO_NUMBERS | {"files", "settings"}, name


def test_versions_are_those_that_run() -> None:
    import torch

    found = provenance.versions()
    assert found["torch_version"] == torch.__version__
    assert found["harness_version"] == harness.__version__
