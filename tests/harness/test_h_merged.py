"""Rows read from one merged file are those of the row files, however these change."""

from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from shell import make_cell, make_row

from harness import row_files
from harness.merged import MERGED, MergedStore
from harness.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Two cells with two rows each."""
    found = Store(tmp_path / "g")
    found.prepare()
    for loss in ("l2", "l1"):
        for seed in range(2):
            found.write(make_row(make_cell(loss), "final", seed))
    return found


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The row files that are opened."""
    names: list[str] = []
    read = row_files.read
    monkeypatch.setattr(row_files, "read", lambda path: names.append(path.name) or read(path))
    return names


def texts(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with absent texts as None, as older versions of pandas read them."""
    kinds = row_files.arrow_schema()
    names = [name for name in rows if str(kinds.field(name).type) == "string"]
    plain = {name: rows[name].astype(object).where(rows[name].notna(), None) for name in names}
    return rows.assign(**plain)


def same(store: Store) -> None:
    pd.testing.assert_frame_equal(MergedStore(store.root).rows(), texts(Store(store.root).rows()))


def test_a_second_reading_opens_no_row_file(store: Store, opened: list[str]) -> None:
    expected = texts(Store(store.root).rows())
    opened.clear()
    pd.testing.assert_frame_equal(MergedStore(store.root).rows(), expected)
    assert len(opened) == 4
    pd.testing.assert_frame_equal(MergedStore(store.root).rows(), expected)
    assert len(opened) == 4


def test_new_and_replaced_rows_are_read_and_old_ones_dropped(store: Store) -> None:
    same(store)
    store.write(make_row(make_cell("l2"), "final", 0, psnr=33.0))
    store.write(make_row(make_cell("ce"), "final", 0))
    next(store.root.glob(f"{make_cell('l1').id}.final001.*")).unlink()
    same(store)
    assert pq.read_table(store.root / MERGED, partitioning=None).num_rows == 4


def test_a_file_changed_under_its_name_is_read_again(store: Store) -> None:
    same(store)
    damaged = store.files()[0]
    damaged.write_bytes(damaged.read_bytes()[:-9])
    assert len(MergedStore(store.root).rows()) == 3


def test_chosen_cells_open_only_their_files(store: Store, opened: list[str]) -> None:
    cell = make_cell("l1").id
    found = MergedStore(store.root, [cell]).rows()
    assert set(found["cell"]) == {cell} and len(opened) == 2
    assert MergedStore(store.root, ()).rows().empty and len(opened) == 2
    assert len(MergedStore(store.root).rows()) == 4 and len(opened) == 4
    assert len(MergedStore(store.root).rows(cell)) == 2 and len(opened) == 4


def test_what_lies_in_its_place_is_no_harm(store: Store) -> None:
    (store.root / "_report").mkdir()
    (store.root / MERGED).write_bytes(b"no Parquet")
    same(store)
    same(store)


def test_a_folder_that_cannot_be_written_is_read_all_the_same(store: Store) -> None:
    (store.root / "_report").write_text("in the way")
    same(store)
    assert not (store.root / MERGED).exists()


def test_pandas_still_reads_the_folder_as_all_rows(store: Store) -> None:
    same(store)
    assert len(pd.read_parquet(store.root)) == 4
