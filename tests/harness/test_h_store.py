"""The store: whole files or none, damage, locks, full disks, stale and shared rows."""

import contextlib
import errno
import fcntl
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from shell import make_cell, make_row

from harness import row_files
from harness.errors import Interrupted, StoreError
from harness.files import write_atomically
from harness.plan import progress
from harness.store import Store, newest

CELL = make_cell()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "g")
    made.prepare()
    return made


@contextlib.contextmanager
def small_disk() -> Iterator[None]:
    """Let no file of this process grow beyond 4 KiB: writes fail as on a full disk.

    Nothing may be printed inside: standard output may be a file too.
    """
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def fill(store: Store, **columns: Any) -> list[Path]:
    trials = [store.write(make_row(CELL, "tune", k, **columns)) for k in range(3)]
    return trials + [store.write(make_row(CELL, "final", k, **columns)) for k in range(2)]


def listing(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


def test_pandas_reads_every_row_beside_what_is_none(store: Store) -> None:
    paths = fill(store)
    for folder in ("_scores", "_superseded"):
        pd.DataFrame({"x": [1]}).to_parquet(store.root / folder / paths[0].name)
    (store.root / "_tmp-0123").write_bytes(paths[0].read_bytes()[:100])
    store.write_grid({"cells": []})
    (store.root / "_lock").write_text("1")
    read = pd.read_parquet(store.root)
    assert sorted(zip(read["stage"], read["trial"].fillna(read["seed"]), strict=True)) == [
        ("final", 0), ("final", 1), ("tune", 0), ("tune", 1), ("tune", 2),
    ]  # fmt: skip
    assert set(read["schema_version"]) == {1}
    assert set(read["grid"]) == {"g"}
    assert len(store.rows()) == 5


def test_absent_values_are_null_and_types_fixed(store: Store) -> None:
    [path] = [store.write(make_row(CELL, "tune", 0))]
    found = pq.read_table(path)
    assert found["seed"].to_pylist() == [None]
    assert found["ssim"].to_pylist() == [None]
    assert str(found.schema.field("ssim").type) == "double"


def test_an_unknown_column_is_a_programming_error(store: Store) -> None:
    with pytest.raises(KeyError, match="no such result columns: sharpnes"):
        store.write(make_row(CELL, "tune", 0, sharpnes=1.0))
    assert store.files() == []


def test_one_process_at_a_time_works_on_a_cell(store: Store) -> None:
    """The next waits until the first has ended, however it ends, or until it is told to stop."""
    store.prepare()
    script = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from harness.store import Store\n"
        "with Store(Path(sys.argv[1])).claim('c'):\n"
        "    print('claimed', flush=True)\n"
        "    time.sleep(60)\n"
    )
    command = [sys.executable, "-c", script, str(store.root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None and first.stdout.readline() == "claimed\n"
        with store.claim("another"):
            pass
        answers = iter([False, True])
        with pytest.raises(Interrupted), store.claim("c", lambda: next(answers)):
            raise AssertionError("two processes have the cell")

        def killed() -> bool:
            first.kill()
            return False

        with store.claim("c", killed):
            assert first.wait(10) == -signal.SIGKILL


def test_what_a_killed_process_half_wrote_is_swept(store: Store) -> None:
    """Files an hour old and folders too; younger ones may still be written."""
    store.prepare()
    old = [store.root / "_tmp-a", store.root / "_models" / "_tmp-b", store.root / "_tmp-folder"]
    young = store.root / "_images" / "_tmp-c"
    old[2].mkdir()
    for path in (*old[:2], young):
        path.write_bytes(b"half")
    for path in old:
        os.utime(path, (0, 0))
    store.tidy()
    assert [path.exists() for path in (*old, young)] == [False, False, False, True]


def test_a_file_cut_short_is_set_aside_and_its_cell_runs_again(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    paths = fill(store)
    assert progress(CELL, store.rows()).state == "done"
    whole = paths[1].read_bytes()
    paths[1].write_bytes(whole[: len(whole) // 2])
    state = progress(CELL, store.rows())
    assert (state.state, state.trials, state.seeds) == ("partial", 2, 2)
    assert f"{paths[1].name} is damaged" in caplog.text
    assert paths[1].exists()  # reading alone, as for `status` or a dry run, moves nothing
    store.tidy()
    assert not paths[1].exists()
    assert (store.root / "_superseded" / paths[1].name).exists()
    assert len(pd.read_parquet(store.root)) == 4


@pytest.mark.slow
def test_a_changed_bit_never_passes_for_a_result(store: Store) -> None:
    """Parquet alone notices half of them; some would be other numbers, some a traceback."""
    path = fill(store)[1]
    whole = path.read_bytes()
    for place in range(0, len(whole), 997):
        content = bytearray(whole)
        content[place] ^= 1 << place % 8
        path.write_bytes(content)
        assert progress(CELL, store.rows(CELL.id)).state == "partial", place
    assert store.damaged == {path}
    path.write_bytes(whole)
    assert progress(CELL, store.rows()).state == "done"


def test_a_column_younger_than_a_file_is_null(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of a metric that came later: `harness evaluate` fills it in."""
    schema = row_files.arrow_schema()
    younger = schema.append(pa.field("of_tomorrow", pa.float64()))
    fill(store)
    monkeypatch.setattr(row_files, "arrow_schema", lambda: younger)
    rows = store.rows()
    assert rows["of_tomorrow"].isna().all() and rows["psnr"].tolist() == [20.0] * 5
    assert rows.columns.tolist() == younger.names
    monkeypatch.setattr(row_files, "arrow_schema", lambda: schema.remove(5))
    assert store.rows().columns.tolist() == schema.remove(5).names


def test_trouble_of_the_system_sets_no_file_aside(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = fill(store)

    def refuse(path: Path) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(StoreError, match=r"cannot read .*Too many open files"):
        store.rows()
    assert all(path.exists() for path in paths)


def test_a_grid_of_another_schema_version_is_refused(store: Store) -> None:
    store.write_grid({"name": "smoke", "cells": []})
    assert store.grid()["name"] == "smoke"
    (store.root / "_grid.json").write_text('{"schema_version": 7, "name": "smoke", "cells": []}')
    with pytest.raises(StoreError, match="written with results schema 7, this harness reads"):
        store.grid()


@pytest.mark.parametrize("note", ['{"schema_version": 0}', "[]", "{", "{}"])
def test_another_schema_version_is_refused(store: Store, note: str) -> None:
    (store.root / "_schema.json").write_text(note)
    found = "0" if "0" in note else "unreadable"
    for action in (store.prepare, store.rows, store.check_schema):
        with pytest.raises(
            StoreError, match=f"results schema {found}, this harness reads schema 1"
        ):
            action()


def test_a_row_file_of_another_schema_is_refused(store: Store) -> None:
    pd.DataFrame({"cell": ["x"]}).to_parquet(store.root / f"{CELL.id}.tune000.0.parquet")
    with pytest.raises(StoreError, match="was written with results schema none"):
        store.rows()


def test_a_full_disk_leaves_no_part_of_a_row(store: Store) -> None:
    (store.root / "_tmp-old").write_bytes(b"left by a crash")
    before = listing(store.root)
    row = make_row(CELL, "tune", 0, cause="x" * 20_000)
    full = r"the disk is full: .* what was stored before is whole"
    with pytest.raises(StoreError, match=full), small_disk():
        store.write(row)
    assert listing(store.root) == before


@pytest.mark.skipif(os.geteuid() != 0 or sys.platform != "linux", reason="mounts a file system")
def test_a_really_full_disk(tmp_path: Path) -> None:
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=128k", "none", str(place)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        store = Store(place / "g")
        store.prepare()
        stored = 0
        with pytest.raises(StoreError, match="the disk is full"):
            for number in range(1000):
                store.write(make_row(CELL, "tune", number))
                stored += 1
        assert 0 < stored == len(store.rows())
        assert len(store.files()) == stored
        assert not list(store.root.glob("_tmp-*"))
    finally:
        subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_is_full_at_the_flush(
    store: Store, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", refuse)
    before = listing(store.root)
    with pytest.raises(StoreError, match="free some space and run the same command again"):
        store.write(make_row(CELL, "tune", 0))
    assert listing(store.root) == before


def test_a_crash_before_the_rename_leaves_the_old_file_whole(tmp_path: Path) -> None:
    path = tmp_path / "x"
    write_atomically(path, lambda stream: stream.write(b"old"))

    def crash(stream: Any) -> None:
        stream.write(b"ne")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, crash)
    assert path.read_bytes() == b"old"


def test_rows_are_read_beside_one_that_a_crash_cut_short(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store)

    def crash(descriptor: int) -> None:
        os.ftruncate(descriptor, 100)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(os, "fsync", crash)
        store.write(make_row(CELL, "tune", 9))
    left = {path.name for path in store.root.iterdir() if path.is_file()}
    assert len(left) == 5 + 2  # rows, the crashed one, the note of the schema
    assert len(pd.read_parquet(store.root)) == len(store.rows()) == 5


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"cannot write to .*choose another folder with --results"):
        Store(tmp_path / "file" / "g").prepare()
    assert listing(tmp_path) == ["file"]


def test_a_disk_without_locks_is_said(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(stream: object, how: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    sentence = r"cannot be locked against a second run \(No locks available\): choose a folder on"
    with pytest.raises(StoreError, match=sentence), store.lock():
        pass


def test_the_lock_of_another_process_is_respected(store: Store) -> None:
    script = (
        "import fcntl, os, sys\n"
        "stream = open(sys.argv[1], 'a+')\n"
        "fcntl.flock(stream, fcntl.LOCK_EX)\n"
        "stream.write(str(os.getpid())); stream.flush()\n"
        "print(flush=True); sys.stdin.read()\n"
    )
    assert not store.locked()
    with subprocess.Popen(
        [sys.executable, "-S", "-c", script, store.root / "_lock"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        assert store.locked()
        with (
            pytest.raises(StoreError, match=rf"another run \(process {other.pid}\) is writing to"),
            store.lock(),
        ):
            pass
        other.communicate()
    assert not store.locked()
    with store.lock():
        assert store.locked()
        assert (store.root / "_lock").read_text() == str(os.getpid())
    with (store.root / "_lock").open() as stream:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_superseding_sets_a_cell_aside_and_no_other(store: Store) -> None:
    fill(store)
    other = make_cell("l1")
    kept = store.write(make_row(other, "tune", 0))
    for folder in ("_journal", "_checkpoints"):
        (store.root / folder / f"{CELL.id}.log").write_text("x")
    store.supersede(CELL.id)
    assert store.files() == [kept]
    assert progress(CELL, store.rows()).state == "missing"
    assert len(list((store.root / "_superseded").iterdir())) == 7
    assert not list((store.root / "_journal").iterdir())
    store.supersede(CELL.id)  # nothing left: nothing happens


ALL = [(stage, number) for stage in ("tune", "final") for number in range(3)]


def test_adopting_shares_rows_and_models_but_no_journal(store: Store, tmp_path: Path) -> None:
    fill(store)
    model = store.artefact("models", CELL.id, 0, "safetensors")
    journal = store.root / "_journal" / f"{CELL.id}.log"
    for path in (model, journal, store.root / "_logs" / f"{CELL.id}.log"):
        path.write_text("x\n")
    second = Store(tmp_path / "second")
    second.prepare()
    second.adopt(CELL.id, store, ALL, journal=True)
    assert progress(CELL, second.rows()).state == "done"
    assert second.artefact("models", CELL.id, 0, "safetensors").samefile(model)
    copy = second.root / "_journal" / journal.name
    assert copy.read_text() == "x\n"
    assert not copy.samefile(journal)
    assert not list((second.root / "_logs").iterdir())
    second.supersede(CELL.id)
    assert len(store.rows()) == 5


def test_adopting_works_across_file_systems(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(source: Path, target: Path) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    fill(store)
    monkeypatch.setattr(os, "link", refuse)
    second = Store(tmp_path / "second")
    second.adopt(CELL.id, store, ALL, journal=True)
    assert len(second.rows()) == 5


def test_adopting_some_rows_takes_their_files_alone(store: Store, tmp_path: Path) -> None:
    """A study and files that are here stay, unless the row they belong to is adopted."""
    fill(store)
    second = Store(tmp_path / "second")
    second.prepare()
    for each in (store, second):
        for seed in (0, 1):
            each.artefact("models", CELL.id, seed, "safetensors").write_text(each.name)
            each.artefact("images", CELL.id, seed, "snapshots.npz").write_text(each.name)
        (each.root / "_journal" / f"{CELL.id}.log").write_text(each.name)
        (each.root / "_checkpoints" / f"{CELL.id}.final001.pt").write_text(each.name)
    second.adopt(CELL.id, store, {("tune", 1), ("final", 1)}, journal=False)
    assert [path.name.split(".")[1] for path in second.files()] == ["final001", "tune001"]
    for kind, suffix in (("models", "safetensors"), ("images", "snapshots.npz")):
        texts = [second.artefact(kind, CELL.id, seed, suffix).read_text() for seed in (0, 1)]
        assert texts == ["second", store.name]
    assert (second.root / "_journal" / f"{CELL.id}.log").read_text() == "second"
    assert (second.root / "_checkpoints" / f"{CELL.id}.final001.pt").read_text() == "second"


def rows_of(*given: dict[str, Any]) -> pd.DataFrame:
    whole = ("trial", "seed")
    dated = [{**dict.fromkeys(whole), **row, "created": f"{k:03d}"} for k, row in enumerate(given)]
    return pd.DataFrame(dated)


def test_newest_keeps_the_last_of_each_place() -> None:
    rows = rows_of(
        make_row(CELL, "tune", 0, psnr=1.0),
        make_row(CELL, "tune", 1, psnr=2.0),
        make_row(CELL, "final", 0, psnr=3.0),
        make_row(CELL, "tune", 0, psnr=4.0),
    )
    assert newest(rows)["psnr"].tolist() == [2.0, 3.0, 4.0]
    assert newest(rows.iloc[::-1])["psnr"].tolist() == [2.0, 3.0, 4.0]
    assert newest(rows.iloc[:0]).empty


@pytest.mark.parametrize("column", ["source_digest", "data_hash"])
def test_newest_drops_the_rows_of_an_older_state(column: str) -> None:
    other = make_cell("l1")
    rows = rows_of(
        make_row(other, "tune", 0, psnr=0.0),
        make_row(CELL, "tune", 0, psnr=1.0),
        make_row(CELL, "tune", 1, psnr=2.0),
        make_row(CELL, "tune", 0, psnr=3.0, **{column: "changed"}),
    )
    assert sorted(newest(rows)["psnr"]) == [0.0, 3.0]


def test_a_later_failure_hides_no_result() -> None:
    """A process that dies before its first step leaves a row under trial 0, which may be done."""
    rows = rows_of(
        make_row(CELL, "tune", 0, psnr=1.0),
        make_row(CELL, "tune", 1, status="failed", cause="first"),
        make_row(CELL, "tune", 0, status="out_of_memory", cause="killed"),
    )
    assert newest(rows)["status"].tolist() == ["ok", "failed"]
    found = progress(CELL, rows)
    assert (found.state, found.trials) == ("failed", 1)
    assert found.failed == "out_of_memory in tune 0: killed"
    retried = rows_of(*rows.to_dict("records"), make_row(CELL, "tune", 1))
    assert progress(CELL, retried).state == "partial"


def test_the_grid_description_is_kept_with_the_schema(store: Store) -> None:
    with pytest.raises(
        StoreError, match=r"no results in .*: start with 'harness run --grid smoke'"
    ):
        store.grid()
    store.write_grid({"name": "g", "cells": []})
    assert store.grid() == {"schema_version": 1, "name": "g", "cells": []}
    assert json.loads((store.root / "_schema.json").read_text()) == {"schema_version": 1}
    cell = {"id": "a", "dataset": "d", "model": "m", "loss": "l2", "protocol": {}}
    store.write_grid({"name": "g", "cells": [cell]})
    assert store.grid()["cells"] == [cell]
    without = [{k: v for k, v in cell.items() if k != key} for key in ("id", "dataset")]
    broken = [{"name": "g", "cells": cells} for cells in ({}, [3], *([cell, x] for x in without))]
    texts = ["", "{", "[1]", "{}", *map(json.dumps, broken)]
    for damaged in texts:
        (store.root / "_grid.json").write_text(damaged)
        with pytest.raises(StoreError, match=r"_grid.json is damaged .*: give the command that"):
            store.grid()
    with pytest.raises(StoreError, match=r"is damaged \(no dataset of cell 2\)"):
        store.grid()
