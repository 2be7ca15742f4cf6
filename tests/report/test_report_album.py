"""Pictures that are read when they are asked for, and no further."""

import pickle
from pathlib import Path

import pytest
import synthetic

from harness.report import album
from harness.report.album import Album
from harness.store import Store


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The seeds whose files were read, in their order."""
    seeds: list[int] = []
    load = album.load_pictures

    def noted(store: Store, cell: str, wanted: list[int]) -> tuple[object, ...]:
        seeds.extend(wanted)
        return load(store, cell, wanted)

    monkeypatch.setattr(album, "load_pictures", noted)
    return seeds


@pytest.fixture
def found(tmp_path: Path) -> Album:
    """Seeds 0 to 3 of a cell; seed 0 stored none and seed 2 was cut short."""
    store = Store(tmp_path / "grid")
    cell = synthetic.describe("photos32", "l2", 4)
    for seed in (1, 2, 3):
        synthetic.write_pictures(store, cell, seed, 4, 8)
    damaged = store.artefact("images", cell["id"], 2, "npz")
    damaged.write_bytes(damaged.read_bytes()[:100])
    return Album(store, cell["id"], range(4))


def test_nothing_is_read_before_and_no_more_than_asked_for(found: Album, read: list[int]) -> None:
    assert read == []
    assert found and found[0].seed == 1
    assert read == [0, 1]
    assert [each.seed for each in found] == [1, 3]
    assert read == [0, 1, 2, 3]  # the first stayed
    assert found[0].seed == 1 and found and read == [0, 1, 2, 3]


def test_records_beyond_the_first_are_read_whenever_asked_for(
    found: Album, read: list[int]
) -> None:
    assert len(found) == 2
    assert found[1].seed == 3 and found[-1].seed == 3
    assert [each.seed for each in found[:1]] == [1]
    assert read == [0, 1, 2, 3, 2, 3, 2, 3, 2, 3]  # seed 1, the first that is stored, once
    with pytest.raises(IndexError):
        found[2]


def test_the_inputs_of_all_seeds_are_kept_once(found: Album) -> None:
    first, other = found
    assert other.inputs is first.inputs


def test_a_copy_and_one_that_forgot_read_again(found: Album, read: list[int]) -> None:
    assert len(found) == 2
    assert len(pickle.dumps(found)) < 1000
    assert pickle.loads(pickle.dumps(found))[0].seed == 1
    found.forget()
    assert found[1].seed == 3 and read == [0, 1, 2, 3, 0, 1, 0, 1, 2, 3]
    assert found[0].recon.shape == (4, 3, 8, 8)


def test_an_album_without_pictures_is_empty(tmp_path: Path) -> None:
    empty = Album(Store(tmp_path), "nothing", [0, 1])
    assert not empty and len(empty) == 0
    with pytest.raises(IndexError):
        empty[0]
