"""Preparing datasets: killed, at once, on a full disk, with broken images, of a changed source."""

import errno
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pictures
import pytest

from datasets.images import content_hash
from harness import components, decoding, manifest, origin, preparation, prepared, staging
from harness.components import Component
from harness.errors import HarnessError, StoreError

COUNT = 1000


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of this test's own."""
    monkeypatch.setenv("HARNESS_PREPARED", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Component:
    """A folder of four blocks of pictures."""
    return components.resolve("dataset", pictures.make(tmp_path_factory.mktemp("many"), COUNT))


def staged(component: Component) -> Path:
    place = manifest.target(component)
    return place.with_name(f"_staging-{place.name}")


def counted(component: Component, calls: list[int]) -> origin.Origin:
    """Open the source and note every image that is read."""
    found = origin.find(component)
    read = found.source.read

    def noted(index: int) -> Any:
        calls.append(index)
        return read(index)

    found.source.read = noted  # type: ignore[method-assign]
    return found


def killed(component: Component) -> int:
    """Start to prepare in a process, kill it once a block is marked, return how many are."""
    process = pictures.slowly(component.spec)
    done = staged(component) / "done.jsonl"
    for _ in range(3000):
        if done.exists() and done.read_text().count("\n"):
            break
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.kill()
    process.communicate()
    return done.read_text().count("\n")


def test_a_killed_preparation_goes_on_and_gives_the_same(many: Component) -> None:
    blocks = killed(many)
    assert 0 < blocks < 4 and staged(many).exists()
    assert manifest.read(manifest.target(many)) is None
    calls: list[int] = []
    told: list[tuple[str, int, int]] = []
    made = preparation.prepare(many, counted(many, calls), tell=lambda *n: told.append(n))
    assert len(calls) == len(set(calls)) <= COUNT - (blocks - 1) * 256 - COUNT % 256
    assert made.data_hash == prepared.read(many).data_hash
    assert told[0][1] == COUNT - len(calls) and told[-1] == (many.spec, COUNT, COUNT)
    assert not staged(many).exists()


def test_a_part_of_another_source_is_begun_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "faces"
    component = components.resolve("dataset", pictures.make(folder, COUNT))
    assert killed(component)
    os.utime(folder / "00000.png", ns=(1, 1))
    calls: list[int] = []
    preparation.prepare(component, counted(component, calls))
    assert sorted(calls) == list(range(COUNT))


def test_a_line_cut_short_is_not_believed(many: Component) -> None:
    killed(many)
    with (staged(many) / "done.jsonl").open("a") as stream:
        stream.write("[768, {")
    made = preparation.prepare(many, origin.find(many))
    assert made.data_hash == prepared.read(many).data_hash


def test_two_processes_decode_every_image_once(many: Component) -> None:
    """The second waits for the first and finds what it prepared."""
    both = [pictures.slowly(many.spec) for _ in range(2)]
    answers = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0], answers
    counts, hashes = zip(*(out.split() for out, _ in answers), strict=True)
    assert sorted(map(int, counts)) == [0, COUNT]
    assert len(set(hashes)) == 1


def test_a_stop_keeps_what_is_marked(many: Component, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "MARK_SECONDS", 0.0)

    def stop(name: str, done: int, total: int) -> None:
        if done >= 500:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        preparation.prepare(many, origin.find(many), tell=stop)
    assert (staged(many) / "done.jsonl").read_text().count("\n") >= 1
    calls: list[int] = []
    made = preparation.prepare(many, counted(many, calls))
    assert len(calls) < COUNT and made.data_hash == prepared.read(many).data_hash


@pytest.mark.parametrize(("room", "kept"), [(0, False), (2, True), (4, True)])
def test_a_full_disk_is_one_sentence_and_loses_nothing(
    many: Component, monkeypatch: pytest.MonkeyPatch, room: int, kept: bool
) -> None:
    """Before the pixels, before the first split, before the last: `room` files are allocated."""
    allocate, left = os.posix_fallocate, [room]

    def full(*given: int) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        allocate(*given)

    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", full)
        with pytest.raises(StoreError, match=r"the disk is full: .* goes on from there") as caught:
            preparation.prepare(many, origin.find(many))
    assert "\n" not in str(caught.value)
    assert staged(many).exists() == kept and not (staged(many) / "set").exists()
    calls: list[int] = []
    preparation.prepare(many, counted(many, calls))
    assert len(calls) == (0 if kept else COUNT)


def test_room_is_reserved_where_the_system_cannot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "posix_fallocate")
    for shape in ((3, 1, 2, 2), (700, 3, 32, 32), (0, 1, 1, 1)):
        with (tmp_path / "a.npy").open("wb") as stream:
            staging.allocate(stream, shape)
            begin = stream.tell()
            stream.write(b"\1")
        content = (tmp_path / "a.npy").read_bytes()
        assert content[begin] == 1 and len(content) - begin == max(1, int(np.prod(shape)))
        if shape[0]:
            assert np.load(tmp_path / "a.npy").sum() == 1


def test_unreadable_images_are_listed_and_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    component = components.resolve("dataset", pictures.make(tmp_path / "faces", 400))
    (tmp_path / "faces" / "00123.png").write_bytes(b"no image")
    made = preparation.prepare(component, origin.find(component))
    [(name, reason)] = made.skipped
    assert name.endswith("00123.png") and reason
    assert sum(made.counts.values()) == 399
    assert "1 of 400 images cannot be read" in caplog.text
    stored = json.loads((manifest.target(component) / "manifest.json").read_text())
    assert stored["skipped"] == [[name, reason]]
    splits = prepared.load(component)
    assert content_hash({n: getattr(splits, n) for n in manifest.SPLITS}) == made.data_hash


def test_too_many_unreadable_images_are_refused(tmp_path: Path, cache: Path) -> None:
    component = components.resolve("dataset", pictures.make(tmp_path / "faces", 100))
    for number in range(5):
        (tmp_path / "faces" / f"{number:05d}.png").write_bytes(b"no image")
    with pytest.raises(HarnessError, match="5 of 100 images cannot be read, more than 1%"):
        preparation.prepare(component, origin.find(component))
    assert not list(cache.glob("_staging-*")) and manifest.read(manifest.target(component)) is None
