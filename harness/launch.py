"""From the command line's options to a grid, and from a finished run to its summary."""

import shlex
import sys
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from harness import components, grid, plan
from harness.errors import HarnessError, StoreError
from harness.grid import Grid
from harness.run import Options, Todo
from harness.specs import parse
from harness.store import Store, newest
from harness.terminal import wording

if TYPE_CHECKING:
    from harness.estimate import Estimate


@dataclass(frozen=True)
class Axes:
    """Components named on the command line."""

    datasets: list[str]
    models: list[str]
    losses: list[str]
    size: int | None


def make_grid(
    name: str | None, ad_hoc_name: str, axes: Axes, given: dict[str, Any], pairs: list[str]
) -> Grid:
    """Return the named grid with the axes and keys of the command line in place of its own.

    Without a name the axes are the grid.

    Raises:
        HarnessError: neither a grid nor all axes, or an invalid value.
    """
    overrides = {key: value for key, value in given.items() if value is not None}
    overrides |= dict(_pair(text) for text in pairs)
    if name is None:
        return _ad_hoc(ad_hoc_name, axes, overrides)
    written = grid.load(name, overrides)
    if axes == Axes([], [], [], None):
        return written
    found = written.model_copy(deep=True)
    for block in found.block:
        block.losses = list(axes.losses) or block.losses
        block.datasets = _sized(axes.datasets or block.datasets, axes.size)
        block.models = axes.models or block.models
    _check_blocks(written, found)
    return found


Names = tuple[str, str, str]  # dataset, model, loss


def _check_blocks(written: Grid, found: Grid) -> None:
    """Refuse options that put blocks on the same cells though their protocols differ.

    Where the grid itself compares protocols on the same cells, it is meant.
    """
    clashes = _clashes(found)
    if not clashes:
        return
    for blocks, (names, keys) in clashes.items():
        if blocks in _clashes(written):
            continue
        first, second = blocks
        given = " ".join(f"--set {key}=…" for key in keys)
        raise HarnessError(
            f"blocks {first} and {second} of grid {found.name!r} both become {' × '.join(names)} "
            f"under different protocols: add {given}, or leave out --grid"
        )


def _clashes(found: Grid) -> dict[tuple[int, int], tuple[Names, list[str]]]:
    """Return pairs of blocks, counted from 1, with the first cell and the keys that differ."""
    seen: dict[Names, tuple[int, dict[str, Any]]] = {}
    pairs: dict[tuple[int, int], tuple[Names, list[str]]] = {}
    for number, block in enumerate(found.block, 1):
        for cell in found.block_cells(block):
            names = (cell.dataset.spec, cell.model.spec, cell.loss_spec)
            keys = cell.protocol.identity()
            before, known = seen.setdefault(names, (number, keys))
            differing = [key for key in known | keys if known.get(key) != keys.get(key)]
            if before != number and differing:
                pairs.setdefault((before, number), (names, differing))
    return pairs


def _ad_hoc(name: str, axes: Axes, overrides: dict[str, Any]) -> Grid:
    if not axes.losses:
        raise HarnessError(
            "nothing to run: give --grid NAME or --loss NAME (with --dataset and --model); "
            "see: harness list grids"
        )
    block = {
        "losses": axes.losses,
        "datasets": _sized(axes.datasets or ["photos"], axes.size),
        "models": axes.models or ["conv4"],
    }
    return grid.make({"name": name, "block": [block]}, "command line", {"seeds": 1} | overrides)


def _sized(datasets: list[str], size: int | None) -> list[str]:
    """Add the size to the specs that give none."""
    if size is None:
        return datasets
    found = []
    for text in datasets:
        options = dict(parse(text, components.registry("dataset")).options)
        if "size" not in options:
            body = text[:-1] + "," if text.endswith("]") else f"{text}["
            text = f"{body}size={size}]"
        found.append(text)
    return found


def _pair(text: str) -> tuple[str, Any]:
    """Read KEY=VALUE; the value is TOML or else plain text."""
    key, equals, value = text.partition("=")
    if not equals:
        raise HarnessError(f"--set {text!r} is not KEY=VALUE")
    try:
        return key.strip(), tomllib.loads(f"v = {value}")["v"]
    except tomllib.TOMLDecodeError:
        return key.strip(), value.strip()


def command() -> str:
    """Return the command as typed, for the report."""
    return shlex.join(["harness", *sys.argv[1:]])


def expect(todo: Todo) -> "Estimate":
    """Estimate the run of the chosen cells."""
    from harness.estimate import estimate  # imports torch: a misspelt grid is refused before

    runnable = [item for item in todo.chosen if not item.missing]
    return estimate(runnable, todo.rows, todo.slots, todo.threads)


def cost(expected: "Estimate") -> str:
    """Return the estimate in words."""
    memory = wording.size(expected.memory_mib * 2**20)
    return f"about {wording.duration(expected.seconds)} and {memory} of memory; nothing was run"


def dry_run(records: list[dict[str, Any]], expected: "Estimate") -> dict[str, Any]:
    """Return the cells and the estimate of a run as plain data."""
    return {"seconds": expected.seconds, "memory_mib": expected.memory_mib, "cells": records}


@dataclass(frozen=True)
class Summary:
    """What a run came to."""

    grid: str
    done: int
    cells: int
    rows: int
    failed: dict[str, str]  # cell -> cause
    diverged: list[str]
    lines: list[str]

    @property
    def exit_code(self) -> int:
        """1 when cells failed, else 0; a diverged cell is a result."""
        return 1 if self.failed else 0

    def plain(self) -> dict[str, Any]:
        """Return the summary as plain data, for programs."""
        return {key: value for key, value in vars(self).items() if key != "lines"}


def _described(store: Store) -> set[str]:
    try:
        return {entry["id"] for entry in store.grid()["cells"]}
    except StoreError:
        return set()


def _cause(failure: str) -> str:
    """Return the cause alone of `unavailable in tune 0: cause`."""
    return failure.partition(": ")[2]


def summarise(
    known: list[plan.Known], store: Store, rows: pd.DataFrame, options: Options
) -> Summary:
    """Count what is stored now and say what to type next."""
    progress = {
        item.cell.id: plan.progress(item.cell, rows, item.source_digest, item.data_hash)
        for item in known
    }
    current = newest(rows)
    failed = {name: p.failed for name, p in progress.items() if p.state == "failed" and p.failed}
    final = current[(current["stage"] == "final") & (current["status"] == "diverged")]
    diverged = sorted(set(final["cell"]) & set(progress))
    done = sum(p.state == "done" for p in progress.values())
    lines = [
        f"{done}/{wording.plural(len(progress), 'cell')} done, "
        f"{wording.plural(len(rows), 'row')} in {store.root}"
    ]
    others = len(set(rows["cell"]) - set(progress) - _described(store))
    if others:
        lines.append(
            f"{store.root} also holds {wording.plural(others, 'cell')} of other settings, "
            "which the report leaves out: give each comparison a --name of its own"
        )
    lines += [f"diverged: {name}" for name in diverged]
    lacking = {name: cause for name, cause in failed.items() if cause.startswith("unavailable")}
    lines += [f"unavailable: {name}: {_cause(cause)}" for name, cause in lacking.items()]
    lines += [f"failed: {name}: {cause}" for name, cause in failed.items() if name not in lacking]
    lines.append(f"next: {wording.report_command(store.name, options.results)}")
    if lacking:
        lines.append("unavailable cells run once what they lack is there: give the command again")
    if len(failed) > len(lacking):
        lines.append("try the failed cells again with --rerun failed")
    return Summary(store.name, done, len(progress), len(rows), failed, diverged, lines)
