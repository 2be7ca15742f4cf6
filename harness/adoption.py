"""Cells that another grid in the results folder trained, wholly or in part: taken over."""

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from harness import plan
from harness.errors import StoreError
from harness.grid import Cell
from harness.row_files import Key
from harness.schema import RETRIED
from harness.store import Store, newest

log = logging.getLogger(__name__)


def adopt(item: plan.Checked, store: Store, results: Path) -> plan.Progress:
    """Take over what other grids know of a cell that is not done, and return how far it is now.

    The same cell gives the same numbers, so rows that are missing here join those that are there.
    Where the numbers differ, as after a run on another device, the further of the two counts as a
    whole: β must not be chosen by trials of two kinds.
    """
    for other in _others(store, results):
        known = _progress(item, store)
        if known.state in ("done", "stale"):
            return known
        if other.files(item.cell.id):
            _adopt_from(item, store, other)
    return _progress(item, store)


def _others(store: Store, results: Path) -> Iterable[Store]:
    found = sorted(results.glob("*/_schema.json"))
    return [Store(path.parent) for path in found if path.parent != store.root]


def _progress(item: plan.Checked, store: Store) -> plan.Progress:
    return plan.progress(item.cell, store.rows(item.cell.id), item.source_digest, item.data_hash)


def _adopt_from(item: plan.Checked, store: Store, other: Store) -> None:
    cell = item.cell.id
    try:
        state = _progress(item, other).state
    except StoreError as error:  # another schema version: not ours to use
        log.info("%s", error)
        return
    if state not in ("done", "partial"):
        return
    mine, theirs = (_results(each, item.cell) for each in (store, other))
    missing = theirs.keys() - mine.keys()
    if not missing:
        return
    if not _agree(mine, theirs, str(item.cell.protocol.objective)):
        if _reach(theirs) <= _reach(mine):
            return
        store.supersede(cell)
        missing = set(theirs)
    log.info("%s: taking over %d results of grid %s", cell, len(missing), other.name)
    trials = [sum(stage == "tune" for stage, _ in keys) for keys in (mine, theirs)]
    store.adopt(cell, other, missing, journal=trials[1] > trials[0])


def _results(store: Store, cell: Cell) -> dict[Key, dict[str, Any]]:
    """Return the rows that are results, by stage and number; of curves the cell's own alone."""
    rows = newest(store.rows(cell.id))
    results = rows[~rows["status"].isin(RETRIED) & (rows["stage"] != "curve")]
    return {
        (row["stage"], int(row["seed"] if row["stage"] == "final" else row["trial"])): row
        for part in (results, plan.curve(cell, rows))
        for row in part.to_dict("records")
    }


def _agree(
    mine: dict[Key, dict[str, Any]], theirs: dict[Key, dict[str, Any]], objective: str
) -> bool:
    """Tell whether what both have is equal, and all final models have one β."""
    for key in mine.keys() & theirs.keys():
        for name in ("status", "beta", objective):
            a, b = mine[key][name], theirs[key][name]
            if a != b and not (pd.isna(a) and pd.isna(b)):
                return False
    rows = [*mine.items(), *theirs.items()]
    return len({row["beta"] for (stage, _), row in rows if stage == "final"}) < 2


def _reach(results: dict[Key, dict[str, Any]]) -> tuple[int, int]:
    """Return the numbers of final models and of trials: what was the most work comes first."""
    finals = sum(stage == "final" for stage, _ in results)
    return finals, len(results) - finals
