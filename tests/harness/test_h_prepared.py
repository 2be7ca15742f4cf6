"""Opening prepared datasets: whole, changed, damaged, without a source, of whatever size."""

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pictures
import pytest
import tiny

import datasets
from harness import attempt, components, manifest, origin, prepared
from harness.cell import CellFailed, run_cell
from harness.components import Component
from harness.errors import HarnessError, StoreError

DIGITS = components.resolve("dataset", "digits16")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of this test's own."""
    monkeypatch.setenv("HARNESS_PREPARED", str(tmp_path / "cache"))
    monkeypatch.delenv("HARNESS_DATA", raising=False)
    return tmp_path / "cache"


@pytest.fixture
def faces(tmp_path: Path) -> Component:
    """A folder of forty pictures."""
    return components.resolve("dataset", pictures.make(tmp_path / "faces", 40))


@pytest.mark.parametrize("spec", ["digits16", "photos[train=200,test=20,validation=20]"])
def test_what_is_prepared_is_what_reading_into_memory_gives(spec: str) -> None:
    component = components.resolve("dataset", spec)
    mapped, gathered = prepared.load(component), datasets.find(component.name)(**component.options)
    images = gathered.load()
    assert isinstance(mapped.train, np.memmap) and not mapped.train.flags.writeable
    for name in manifest.SPLITS:
        assert np.array_equal(getattr(mapped, name), getattr(images, name))
    assert (mapped.data_hash, mapped.licence) == (images.data_hash, images.licence)
    assert mapped.image_shape == images.train.shape[1:]
    limited = mapped.limited(5)
    assert (len(limited.train), len(limited.test), limited.data_hash) == (5, 5, images.data_hash)
    assert mapped.limited(None) is mapped


def test_nothing_is_left_beside_a_prepared_dataset(cache: Path) -> None:
    prepared.load(DIGITS)
    place = manifest.target(DIGITS)
    assert {path.name for path in cache.iterdir()} == {place.name, f"_lock-{place.name}"}
    assert {path.name for path in place.iterdir()} == {
        "manifest.json",
        *(f"{name}.npy" for name in manifest.SPLITS),
    }


def test_a_whole_one_is_opened_without_its_source(faces: Component, tmp_path: Path) -> None:
    before = prepared.load(faces)
    shutil.rmtree(tmp_path / "faces")
    assert prepared.load(faces).data_hash == before.data_hash
    assert prepared.ready(faces).data_hash == before.data_hash
    assert prepared.unchanged(faces) is not None


def test_a_changed_source_is_prepared_anew_and_said_so(
    faces: Component, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = prepared.ready(faces)
    assert prepared.ready(faces) == before and not caplog.text
    pictures.make(tmp_path / "faces", 10, first=100)
    assert prepared.unchanged(faces) is None
    after = prepared.ready(faces)
    assert sum(after.counts.values()) == 50 and after.data_hash != before.data_hash
    assert "its files changed since it was prepared" in caplog.text


def test_pixels_that_changed_at_the_same_size_are_noticed(faces: Component, tmp_path: Path) -> None:
    """By the time of the file."""
    before = prepared.ready(faces)
    picture = tmp_path / "faces" / "00003.png"
    size = picture.stat().st_size
    shutil.copyfile(tmp_path / "faces" / "00004.png", picture)
    assert picture.stat().st_size == size
    os.utime(picture, ns=(1, 1))
    assert prepared.ready(faces).data_hash != before.data_hash


def test_another_reader_prepares_anew(
    faces: Component, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    before = prepared.ready(faces)
    monkeypatch.setattr(origin, "reader", lambda component: "another")
    assert prepared.unchanged(faces) is None
    after = prepared.ready(faces)
    assert (after.reader, after.data_hash) == ("another", before.data_hash)
    assert "what reads it changed since it was prepared" in caplog.text


def truncate(place: Path) -> None:
    content = (place / "train.npy").read_bytes()
    (place / "train.npy").write_bytes(content[:-1])


def touch(place: Path) -> None:
    os.utime(place / "test.npy", ns=(1, 1))


def lose(place: Path) -> None:
    (place / "validation.npy").unlink()


@pytest.mark.parametrize("damage", [truncate, touch, lose])
@pytest.mark.parametrize("open_", [prepared.load, prepared.ready])
def test_a_damaged_one_is_prepared_anew_where_its_source_is(
    faces: Component,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    damage: Callable[[Path], None],
    open_: Callable[[Component], Any],
) -> None:
    before = prepared.load(faces)
    place = manifest.target(faces)
    damage(place)
    assert manifest.whole(place) is None
    assert open_(faces).data_hash == before.data_hash
    assert "the prepared dataset is damaged: making it anew" in caplog.text
    damage(place)
    shutil.rmtree(tmp_path / "faces")
    with pytest.raises(HarnessError, match=r"the prepared dataset in .* is damaged; .*: no folder"):
        open_(faces)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"spec": 1}', "null"])
def test_a_manifest_that_cannot_be_read_is_none(text: str) -> None:
    before = prepared.load(DIGITS)
    (manifest.target(DIGITS) / "manifest.json").write_text(text)
    assert manifest.read(manifest.target(DIGITS)) is None
    assert prepared.load(DIGITS).data_hash == before.data_hash


def test_an_outline_writes_nothing_and_is_that_of_the_prepared_set(
    faces: Component, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = prepared.outline(faces)
    with monkeypatch.context() as patch:
        patch.setattr(prepared, "SMALL", 0)
        large = prepared.outline(faces)
    assert not cache.exists()
    assert prepared.load(faces).outline == small == prepared.outline(faces)
    assert large == replace(small, data_hash=None)
    assert small.counts == (32, 4, 4) and small.image_shape == (1, 8, 8)


def test_folders_of_one_name_have_places_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = []
    for name in ("a", "b"):
        pictures.make(tmp_path / name / "faces", 12)
        monkeypatch.chdir(tmp_path / name)
        places.append(manifest.target(components.resolve("dataset", "folder:faces[size=8]")))
    assert places[0] != places[1]


def test_a_cache_that_cannot_be_written_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HARNESS_PREPARED", str(tmp_path / "file"))
    with pytest.raises(StoreError, match="set HARNESS_PREPARED to a folder that can be written"):
        prepared.load(DIGITS)


@pytest.fixture
def probable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Digits whose pixels are probabilities."""
    made = datasets.find("digits")(size=16).open()
    made.stochastic = True
    monkeypatch.setattr(datasets.find("digits"), "open", lambda self: made)


def test_pixels_that_are_probabilities_stay_marked(probable: None) -> None:
    assert prepared.load(DIGITS).limited(3).stochastic
    assert prepared.read(DIGITS).stochastic


def test_a_cell_draws_probabilities_anew(
    probable: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the dataset says of its pixels reaches the trainer."""
    asked = []

    def noted(*given: Any, stochastic: bool, **rest: Any) -> None:
        asked.append(stochastic)
        raise ValueError

    monkeypatch.setattr(attempt, "Trainer", noted)
    with pytest.raises(CellFailed):
        run_cell(tiny.assignment(tiny.tiny_cell(beta=1.0), tmp_path))
    assert asked == [True]
