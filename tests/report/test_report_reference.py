"""The runs that are kept in the repository: whole, of our own data, with the verdicts committed."""

from pathlib import Path

import pytest

from harness.inventory import grids_stored, store_of
from harness.report import check
from harness.store import Store

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "results" / "reference"
STORES = [store_of(RESULTS, name) for name in grids_stored(RESULTS)]
# Made of photographs and digits that come with scikit-image and scikit-learn: ours to pass on.
FREE = ("photos", "digits")
each = pytest.mark.parametrize("store", STORES, ids=lambda store: store.name)


@each
def test_rows_are_whole_and_of_data_that_may_be_passed_on(store: Store) -> None:
    rows = store.rows()  # which checks every file against the digest in its name
    assert len(rows) == len(list(store.root.glob("*.parquet"))) > 0
    assert rows["dataset"].str.startswith(FREE).all()
    assert {"ok"} <= set(rows["status"]) <= {"ok", "diverged", "unavailable"}


@each
def test_verdicts_are_those_committed(store: Store) -> None:
    assert check(store, ROOT / "reports" / "reference" / store.name) == []
