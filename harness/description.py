"""What a results folder says of its grid, in `_grid.json`: every cell, and the command."""

from typing import TYPE_CHECKING, Any

from harness.errors import StoreError
from harness.settled import request
from harness.store import Store, now

if TYPE_CHECKING:
    from harness.run import Options, Todo


def description(todo: "Todo", options: "Options") -> dict[str, Any]:
    """Describe the whole grid, also the cells that `--only` left out."""
    checked = {item.cell.id: item for item in todo.cells}
    requested = todo.grid.cells()
    cells = []
    for cell in requested:
        entry = cell.describe()
        known = checked.get(cell.id)
        if known and known.beta_range:
            entry["protocol"]["beta_range"] = list(known.beta_range)
        cells.append(entry)
    if options.joins:
        cells = [*_named_before(todo.store, cells), *cells]
    return {
        "name": todo.grid.name,
        "title": todo.grid.title,
        "command": options.command,
        "results": str(options.results),
        "created": now(),
        "request": request(todo.grid),
        "requested": [cell.id for cell in requested],
        "cells": cells,
    }


def _named_before(store: Store, cells: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return stored cells of the same data, model and protocol: one more loss to compare with."""
    try:
        stored = store.grid()["cells"]
    except StoreError:  # the first run of this grid
        return []
    settings = [_setting(entry) for entry in cells]
    # The same loss under another id is one whose source has changed, such as a plugin at work.
    named = [(entry["loss"], _setting(entry)) for entry in cells]
    others = [entry for entry in stored if (entry["loss"], _setting(entry)) not in named]
    return [entry for entry in others if _setting(entry) in settings]


def _setting(entry: dict[str, Any]) -> list[Any]:
    free = ("seeds", "curve_points", "beta_range")
    protocol = {key: value for key, value in entry["protocol"].items() if key not in free}
    return [entry["dataset"], entry["model"], protocol]
