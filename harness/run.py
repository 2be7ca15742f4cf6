"""One run of a grid: check, lock, find what is missing, hand it to an engine."""

import contextlib
import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from harness import manifest, plan, prepared
from harness.adoption import adopt
from harness.description import description
from harness.errors import HarnessError, Interrupted
from harness.grid import Cell, Grid, select
from harness.preparation import Tell as Decoded
from harness.preparation import silent
from harness.processors import cores
from harness.store import Store, now

log = logging.getLogger(__name__)

# A process on the CPU is given no less than this memory.
PROCESS_MIB = 700


@dataclass(frozen=True)
class Options:
    """How to run, beside what to run."""

    results: Path
    device: str = "auto"
    jobs: int | None = None  # cells at once; one per GPU, or one per CPU core
    timeout: float | None = None  # seconds per cell
    only: str | None = None
    rerun: str = "missing"
    keep_models: str = "all"
    command: str = ""  # what the user typed, shown in the report
    joins: bool = False  # cells named on the command line join those named before


@dataclass(frozen=True)
class Todo:
    """The cells of a grid, what each came to so far, and which of them run now."""

    grid: Grid
    store: Store
    cells: list[plan.Checked]
    progress: dict[str, plan.Progress]
    chosen: list[plan.Checked]
    slots: list[str]
    threads: int
    rows: pd.DataFrame  # as stored when the run was planned


Tell = Callable[[str, dict[str, Any]], None]


def check(options: Options) -> None:
    """Refuse options out of range.

    Raises:
        HarnessError: naming the option, the value and what is valid.
    """
    if options.rerun not in plan.RERUN:
        raise HarnessError(f"--rerun {options.rerun} is unknown; valid: {', '.join(plan.RERUN)}")
    if options.keep_models not in ("all", "first-seed", "none"):
        raise HarnessError(
            f"--keep-models {options.keep_models} is unknown; valid: all, first-seed, none"
        )
    if options.timeout is not None and not options.timeout > 0:
        minutes = options.timeout / 60
        raise HarnessError(f"--timeout {minutes:g} must be more than 0 minutes")
    if options.jobs is not None and options.jobs < 1:
        raise HarnessError(f"--jobs {options.jobs} must be at least 1")


def ready(grid: Grid, options: Options, tell: Decoded = silent) -> None:
    """Prepare the datasets of the grid that are not, or whose source changed.

    A grid that cannot run is refused before anything is decoded.

    Raises:
        HarnessError: something in the grid cannot run, or a dataset is missing or unusable.
        StoreError: a dataset cannot be kept.
    """
    check(options)
    cells = select(grid.cells(), options.only)
    datasets = {cell.dataset.spec: cell.dataset for cell in cells}
    kept = [manifest.whole(manifest.target(dataset)) for dataset in datasets.values()]
    if None in kept:
        plan.check(cells, {})
    for dataset in datasets.values():
        prepared.ready(dataset, tell=tell)


def prepare(grid: Grid, options: Options) -> Todo:
    """Check the grid against its data and find what is left to do; nothing is written.

    Raises:
        HarnessError: something in the grid cannot run.
    """
    check(options)
    store = Store(options.results / grid.name)
    cells = grid.cells()
    slots, threads = _slots(options, len(cells))
    store.check_schema()
    checked = plan.check(select(cells, options.only), {})
    rows = store.rows()
    progress = {
        item.cell.id: plan.progress(item.cell, rows, item.source_digest, item.data_hash)
        for item in checked
    }
    for item in checked:  # its weights have come: nothing stands in the way any more
        known = progress[item.cell.id]
        if known.state == "failed" and str(known.failed).startswith("unavailable"):
            progress[item.cell.id] = known if item.missing else replace(known, failed=None)
    chosen = [c for c in checked if plan.wanted(progress[c.cell.id].state, options.rerun)]
    return Todo(grid, store, checked, progress, chosen, slots, threads, rows)


def execute(todo: Todo, options: Options, tell: Tell) -> pd.DataFrame:
    """Run the chosen cells and return all current rows of the grid.

    Raises:
        StoreError: another run holds the folder, or it cannot be written.
        Interrupted: stopped by the user, state saved.
    """
    from harness.engines.local import LocalEngine

    todo.store.prepare()
    with todo.store.lock(), _recorded(tell, todo.store.root / "_logs" / "run.jsonl") as told:
        todo.store.tidy()
        todo.store.write_grid(description(todo, options))
        chosen = _adopt(todo, options, told)
        for item in chosen:
            if options.rerun == "all" or todo.progress[item.cell.id].state == "stale":
                todo.store.supersede(item.cell.id)
        _store_unavailable(todo.store, [item for item in chosen if item.missing], told)
        digests = {item.cell.id: (item.source_digest, item.data_hash) for item in chosen}
        assignments = [_assignment(c.cell, todo, options) for c in chosen if not c.missing]
        with _resumable(options.rerun):
            LocalEngine(todo.slots, todo.threads, options.timeout, told, digests).run(assignments)
    return todo.store.rows()


@contextlib.contextmanager
def _resumable(rerun: str) -> Iterator[None]:
    """Say how to go on where the same command would begin again."""
    try:
        yield
    except Interrupted:
        if rerun != "all":
            raise
        raise Interrupted(
            "everything finished is stored; the same command without --rerun all goes on"
        ) from None


@contextlib.contextmanager
def _recorded(tell: Tell, path: Path) -> Iterator[Tell]:
    """Pass every event on, and append it to a log that programs can read."""
    with path.open("ab", buffering=0) as log_file:

        def record(cell: str, event: dict[str, Any]) -> None:
            line = json.dumps({"time": now(), "cell": cell, **event}, default=str)
            with contextlib.suppress(OSError):  # a full disk is the rows' business to report
                log_file.write(f"{line}\n".encode())
            tell(cell, event)

        yield record


def _assignment(cell: Cell, todo: Todo, options: Options) -> Any:
    from harness import weights
    from harness.cell import Assignment
    from harness.settings import settings

    return Assignment(
        cell=cell,
        results=todo.store.root,
        data=settings().prepared,
        weights=weights.available(),
        keep_models=options.keep_models,
    )


def _slots(options: Options, cells: int) -> tuple[list[str], int]:
    """Return the device of each slot and the CPU threads of each process.

    Both follow from the machine, the grid and `--jobs` alone, not from what is left to do: an
    interrupted grid goes on with the same threads, and so with the same bits.
    """
    from harness import device

    found = device.slots(options.device)
    available = cores()
    if found[0].startswith("cuda"):
        jobs = options.jobs or len(found)
        return [found[k % len(found)] for k in range(jobs)], max(1, available // jobs)
    room = max(1, int(device.total_memory_mib() // PROCESS_MIB))
    jobs = options.jobs or max(1, min(available, cells, room))
    return ["cpu"] * jobs, max(1, available // jobs)


def _adopt(todo: Todo, options: Options, tell: Tell) -> list[plan.Checked]:
    """Take over what other grids in the results folder trained, and return what is left."""
    if options.rerun == "all":
        return todo.chosen
    left = []
    for item in todo.chosen:
        if adopt(item, todo.store, options.results).state == "done":
            tell(item.cell.id, {"event": "adopted"})
        else:
            left.append(item)
    return left


def _store_unavailable(store: Store, cells: list[plan.Checked], tell: Tell) -> None:
    from harness.columns import describe

    for item in cells:
        protocol = item.cell.protocol
        place = {"stage": "tune", "trial": 0} if protocol.tuned else {"stage": "final", "seed": 0}
        row = place | {"status": "unavailable", "cause": item.missing}
        state = {"source_digest": item.source_digest, "data_hash": item.data_hash}
        store.write(describe(item.cell) | row | state)
        told = {"objective": protocol.objective, "direction": protocol.direction}
        tell(item.cell.id, {"event": "stored", **told, **row})
        tell(item.cell.id, {"event": "ended", "code": None, "seconds": 0.0})
