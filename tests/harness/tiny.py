"""The smallest settings on which the whole harness runs: 64 digits, four latent units."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

import models
from harness import grid
from harness.cell import Assignment
from harness.grid import Cell
from harness.metrics import METRICS
from harness.protocol import Protocol
from harness.seeds import generator
from harness.store import Store
from harness.train import Job, Trainer

MODEL = "conv4[width=4,mlp=16]"
DATASET = "digits[size=16]"
KEYS: dict[str, Any] = {
    "epochs": 2,
    "tuning_epochs": 1,
    "batch": 16,
    "latent": 4,
    "limit": 64,
    "trials": 3,
    "seeds": 1,
}
AXES = ("digits16", "conv4", 0)
# Columns that no repetition changes; times, memory and versions may differ.
NUMBERS = [
    "cell", "stage", "trial", "seed", "split", "beta", "beta_source", "beta_flag", "status",
    "diverged_step", "epochs", "images_seen", "images", "generated", "parameters",
    *METRICS, *(f"{name}_std" for name, metric in METRICS.items() if metric.per_image),
    *(f"{name}_signature" for name in METRICS),
]  # fmt: skip


def protocol(**keys: Any) -> Protocol:
    """Return the tiny protocol with `keys` in place of its own."""
    return Protocol(**(KEYS | keys))


def tiny_grid(*losses: str, name: str = "tiny", model: str = MODEL, **keys: Any) -> grid.Grid:
    """Return a grid of the losses on the tiny dataset and model."""
    block = {"losses": list(losses), "datasets": [DATASET], "models": [model]}
    return grid.make({"name": name, "block": [block]}, "test", KEYS | keys)


def tiny_cell(loss: str = "l2", **keys: Any) -> Cell:
    """Return one tiny cell."""
    return tiny_grid(loss, **keys).cells()[0]


def assignment(cell: Cell, folder: Path, **rest: Any) -> Assignment:
    """Return what `run_cell` needs to run the cell with results in `folder`."""
    Store(folder / "tiny").prepare()
    return Assignment(cell, folder / "tiny", folder / "_data", threads=1, **rest)


def images(count: int = 64, channels: int = 1, side: int = 16, seed: int = 0) -> np.ndarray:
    """Return smooth random uint8 images, unlike one another."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (count, channels, side // 4, side // 4))
    return coarse.repeat(4, 2).repeat(4, 3).astype(np.uint8)


def model(seed: int = 0, channels: int = 1, side: int = 16) -> Any:
    """Return a tiny VAE with initial values of `seed`."""
    return models.build(
        "conv4",
        image_shape=(channels, side, side),
        latent_size=4,
        generator=generator("init", seed),
        width=4,
        mlp=16,
    )


def trainer(
    loss: Any, *, keys: dict[str, Any] | None = None, beta: float = 0.1, **rest: Any
) -> Trainer:
    """Return a trainer of a fresh tiny model with this loss."""
    found = protocol(**(keys or {}))
    epochs = rest.pop("epochs", found.epochs)
    job = Job(found, beta, epochs, rest.pop("axes", AXES), torch.device("cpu"))
    return Trainer(job, rest.pop("model", None) or model(), loss, images(), **rest)


def state_of(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Return a copy of a module's parameters and buffers."""
    return {name: value.detach().clone() for name, value in module.state_dict().items()}


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    """Tell whether two states hold the same bits."""
    return first.keys() == second.keys() and all(
        torch.equal(value, second[name]) for name, value in first.items()
    )


def stop_after(calls: int) -> Callable[[], bool]:
    """Return a stop function that says so from call number `calls` (from 0) on."""
    left = [calls]

    def stop() -> bool:
        left[0] -= 1
        return left[0] < 0

    return stop


def numbers(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the columns that must repeat exactly, in an order of their own."""
    order = ["cell", "stage", "trial", "seed"]
    return rows[NUMBERS].sort_values(order).reset_index(drop=True)


def assert_same_numbers(first: pd.DataFrame, second: pd.DataFrame) -> None:
    """Compare all numbers and curves of two sets of rows, bit by bit."""
    pd.testing.assert_frame_equal(
        numbers(first), numbers(second), check_exact=True, check_dtype=False
    )
    for name in ("curve_epoch", "curve_energy", "curve_kl"):
        curves = [
            [
                None if row is None else list(row)
                for row in rows.sort_values(["cell", "stage", "trial", "seed"])[name]
            ]
            for rows in (first, second)
        ]
        assert curves[0] == curves[1], name
