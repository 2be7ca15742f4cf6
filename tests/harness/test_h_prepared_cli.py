"""`harness prepare`, `list datasets` and `clean`: what people see of prepared datasets."""

import json
import os
import re
import shutil
from pathlib import Path

import pictures
import pytest
from program import Ended, Harness, program

from harness import components, decoding, manifest
from harness.engines import forkserver
from harness.locks import claim

DATA = os.environ.get("HARNESS_DATA")


@pytest.fixture
def harness(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Harness:
    """Call the program in an empty folder with a cache of its own."""

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HARNESS_PREPARED", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("HARNESS_DATA", raising=False)
    monkeypatch.setattr(forkserver, "warm_up", lambda: None)
    return program(monkeypatch, capsys)


@pytest.fixture
def faces(tmp_path: Path) -> str:
    return pictures.make(tmp_path / "faces", 200, side=16)


def place_of(spec: str) -> Path:
    return manifest.target(components.resolve("dataset", spec))


def assert_refused(found: Ended, message: str) -> None:
    assert found.code == 2 and found.err.count("\n") == 1
    assert found.err.startswith("error: ") and message in found.err


def test_preparing_says_what_there_is_now(harness: Harness, faces: str, tmp_path: Path) -> None:
    (tmp_path / "faces" / "00007.png").write_bytes(b"no image")
    shown = harness("prepare", faces, "digits16")
    assert shown.code == 0
    for word in (str(place_of(faces)), "skipped", "listed in", "1×16×16", "CC BY 4.0", "digits16"):
        assert word in shown.out
    assert "200 of 200 images" in shown.err
    found = json.loads(harness("prepare", faces, "--json").out)
    assert [record["name"] for record in found] == [faces]
    known = manifest.read(place_of(faces))
    assert known is not None and found[0]["data_hash"] == known.data_hash
    assert found[0]["train"] + found[0]["validation"] + found[0]["test"] == 199


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "say what to prepare: harness prepare DATASET"),
        (["nothere"], "unknown dataset 'nothere'"),
        (["digits", "--from", "x"], "digits32 takes no --from, it comes with an installed package"),
        (["folder:x", "--from", "x"], "takes no --from, its path is part of the spec"),
        (["folder:x"], "no folder"),
        (["mnist", "--weights", "--verify"], "--weights and --verify do not go together"),
        (["lpips", "--weights", "--from", "x"], "--weights and --from do not go together"),
        (["mnist[binarise=larochelle]"], "binarized_mnist_train.amat"),
        (["mnist", "--from", "."], "http://yann.lecun.com/exdb/mnist/"),
        (["digits16", "--verify"], "digits16 is not prepared in"),
    ],
)
def test_a_mistake_is_one_sentence_and_writes_nothing(
    harness: Harness, tmp_path: Path, arguments: list[str], message: str
) -> None:
    assert_refused(harness("prepare", *arguments), message)
    assert not (tmp_path / "cache").exists()


def test_verifying_finds_what_a_look_cannot_and_changes_nothing(
    harness: Harness, faces: str
) -> None:
    harness("prepare", faces)
    assert "as it was prepared" in harness("prepare", faces, "--verify").out
    path = place_of(faces) / "test.npy"
    before = path.stat()
    content = bytearray(path.read_bytes())
    content[-1] ^= 1  # of the same size and time
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert_refused(harness("prepare", faces, "--verify"), "delete that folder and make it anew")
    assert path.read_bytes() == content
    os.utime(path, ns=(1, 1))
    assert_refused(harness("prepare", faces, "--verify"), "is damaged: make it anew with: harness")


def test_verifying_compares_the_source(harness: Harness, faces: str, tmp_path: Path) -> None:
    harness("prepare", faces)
    before = manifest.read(place_of(faces))
    pictures.make(tmp_path / "faces", 1, side=16, first=900)
    assert_refused(harness("prepare", faces, "--verify"), "changed since it was prepared")
    assert manifest.read(place_of(faces)) == before
    shutil.rmtree(tmp_path / "faces")
    assert harness("prepare", faces, "--verify").code == 0
    assert harness("prepare", faces).code == 0


def test_an_interrupt_keeps_what_was_decoded(
    harness: Harness, faces: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*given: object, **more: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(decoding, "wait", stop)
        found = harness("prepare", faces)
    assert found.code == 130 and "the same command goes on from there" in found.err
    assert harness("prepare", faces).code == 0


def test_a_run_prepares_what_it_needs_once_it_can_run(
    harness: Harness, faces: str, tmp_path: Path
) -> None:
    small = ["--dataset", faces, "--loss", "l2", "--model", "conv4[width=4,mlp=16]"]
    assert_refused(harness("run", *small, "--set", "batch=500"), "batch = 500 is larger than")
    assert harness("run", *small, "-n", "--set", "batch=16").code == 0
    assert not (tmp_path / "cache").exists() and not (tmp_path / "results").exists()
    assert_refused(harness("run", *small, "--dataset", "mnist"), "train-images-idx3-ubyte")
    assert not (tmp_path / "results").exists()


def test_the_list_says_what_is_ready_found_or_missing(
    harness: Harness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def states() -> dict[str, str]:
        records = json.loads(harness("list", "datasets", "--json").out)
        return {record["name"]: record["state"] for record in records}

    found = states()
    assert found["digits"] == found["photos"] == "ready"
    assert "harness prepare folder:PATH" in found["folder"]
    for name in ("celeba64", "celebahq256", "fairface64"):
        assert found[name].startswith("missing: HARNESS_DATA is not set; get it from http")
        assert found[name].endswith(f"then: harness prepare {name} --from FOLDER")
    monkeypatch.setenv("HARNESS_DATA", str(tmp_path))
    both = r"missing: CelebA needs img_align_celeba .* and list_eval_partition\.txt, .*"
    assert re.fullmatch(both + "then: harness prepare celeba64 --from FOLDER", states()["celeba64"])
    one = json.loads(harness("list", "datasets", "mnist", "--json").out)
    assert one["page"] == "http://yann.lecun.com/exdb/mnist/" and one["needs"]
    assert "root" not in {option["option"] for option in one["options"]}


@pytest.mark.skipif(
    DATA is None or not (Path(DATA) / "mnist").is_dir(), reason="HARNESS_DATA has no mnist folder"
)
def test_the_list_knows_what_was_found_and_prepared(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_DATA", str(DATA))
    state = json.loads(harness("list", "datasets", "mnist", "--json").out)["state"]
    assert state == f"found in {DATA}: harness prepare mnist, or just run"
    assert harness("prepare", "mnist").code == 0
    assert json.loads(harness("list", "datasets", "mnist", "--json").out)["state"] == "ready"


def test_cleaning_frees_prepared_datasets_when_asked(harness: Harness) -> None:
    harness("prepare", "digits16")
    place = place_of("digits16")
    assert place.name in harness("clean").out
    assert harness("clean", "--yes").code == 0 and place.exists()
    with claim(place.with_name(f"_lock-{place.name}"), lambda: False):
        found = harness("clean", "--kind", "data", "--yes")
        assert_refused(found, f"a run is preparing {place.name}: wait")
    assert harness("clean", "--kind", "data", "--yes").code == 0 and not place.exists()
