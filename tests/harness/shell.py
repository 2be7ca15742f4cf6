"""Cells and rows made up for tests of the shell: nothing here was trained."""

from typing import Any

from harness import grid
from harness.columns import describe
from harness.grid import Cell

SMALL = {"epochs": 4, "batch": 16, "latent": 4, "trials": 3, "seeds": 2, "limit": 64}
DIGEST, DATA = "11111111-22222222", "data-1"


def make_grid(losses: list[Any], name: str = "g", **protocol: Any) -> grid.Grid:
    """A grid of losses on small digits with a small model."""
    block = {"losses": losses, "datasets": ["digits[size=16]"], "models": ["conv4[width=4,mlp=16]"]}
    return grid.make({"name": name, "protocol": SMALL | protocol, "block": [block]}, "test", {})


def make_cell(loss: str = "l2", **protocol: Any) -> Cell:
    """One cell of `make_grid`."""
    return make_grid([loss], **protocol).cells()[0]


def make_row(cell: Cell, stage: str, number: int, **columns: Any) -> dict[str, Any]:
    """A row as a run would store it, with invented numbers."""
    axis = "trial" if stage == "tune" else "seed"
    row = {"stage": stage, axis: number, "status": "ok", "beta": 0.1 * (number + 1)}
    row |= {"source_digest": DIGEST, "data_hash": DATA, "psnr": 20.0, "frd_gen": 1.0 + number}
    return describe(cell) | row | columns
