"""Runs each cell in a fresh process on this machine, so that a crash ends one cell only."""

import contextlib
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from harness.cell import Assignment, CellFailed, run_cell
from harness.columns import describe
from harness.engines.forkserver import warm_up
from harness.errors import Interrupted, StoreError
from harness.store import Store

Tell = Callable[[str, dict[str, Any]], None]

EXIT_FAILED, EXIT_STORE, EXIT_INTERRUPTED = 3, 4, 130
# How long a stopping cell may take to save its state.
GRACE_SECONDS = 120.0


@dataclass
class Worker:
    """A running cell as its parent sees it."""

    assignment: Assignment
    slot: str
    process: Any
    connection: Connection
    started: float
    last: dict[str, Any]  # the newest `start` event: what it was doing
    error: str | None = None
    timed_out: bool = False


class LocalEngine:
    """Spreads cells over slots, each a device; a slot runs one cell at a time."""

    def __init__(
        self, slots: list[str], threads: int, timeout: float | None, tell: Tell, digests: dict
    ) -> None:
        self.free, self.threads, self.timeout = list(slots), threads, timeout
        self.tell, self.digests = tell, digests
        self.workers: list[Worker] = []
        self.context = warm_up()

    def run(self, assignments: list[Assignment]) -> None:
        """Run all cells; failures are rows and the rest goes on.

        Raises:
            StoreError: results cannot be stored; the other cells were stopped, their state saved.
            Interrupted: stopped by the user; all state is saved.
        """
        waiting = list(assignments)
        try:
            while waiting or self.workers:
                while waiting and self.free:
                    self._start(waiting.pop(0), self.free.pop(0))
                self._listen()
        except KeyboardInterrupt:
            self._stop()
            raise Interrupted from None
        except StoreError:
            self._stop()
            raise

    def _start(self, assignment: Assignment, slot: str) -> None:
        ours, theirs = self.context.Pipe()
        placed = replace(assignment, device=slot, threads=self.threads)
        log = assignment.results / "_logs" / f"{assignment.cell.id}.log"
        process = self.context.Process(target=work, args=(placed, theirs, log), daemon=True)
        process.start()
        theirs.close()
        worker = Worker(placed, slot, process, ours, time.monotonic(), {})
        self.workers.append(worker)
        self.tell(assignment.cell.id, {"event": "began", "device": slot})

    def _listen(self) -> None:
        """Wait a moment for news, pass it on, and clear away who has ended."""
        by_source: dict[Any, Worker] = {}
        for worker in self.workers:
            by_source[worker.connection] = by_source[worker.process.sentinel] = worker
        for source in wait(list(by_source), 0.2):
            self._receive(by_source[source])
        for worker in list(self.workers):
            if not worker.process.is_alive():
                self._receive(worker)
                self._finish(worker)
            elif self.timeout and time.monotonic() - worker.started > self.timeout:
                worker.timed_out = True
                worker.process.kill()

    def _receive(self, worker: Worker) -> None:
        with contextlib.suppress(EOFError, OSError):
            while worker.connection.poll():
                event = worker.connection.recv()
                if event["event"] == "start":
                    worker.last = event
                if event["event"] == "store_error":
                    worker.error = event["message"]
                self.tell(worker.assignment.cell.id, event)

    def _finish(self, worker: Worker) -> None:
        worker.process.join()
        worker.connection.close()
        self.workers.remove(worker)
        self.free.append(worker.slot)
        code = worker.process.exitcode
        if code == EXIT_STORE:
            raise StoreError(worker.error or "results could not be stored")
        if code not in (0, EXIT_FAILED, EXIT_INTERRUPTED):
            self._store_death(worker, code)
        seconds = time.monotonic() - worker.started
        ended = {"event": "ended", "code": code, "seconds": seconds}
        self.tell(worker.assignment.cell.id, ended)

    def _store_death(self, worker: Worker, code: int) -> None:
        """Store the row that the dead process could not."""
        cell, last = worker.assignment.cell, worker.last
        stage = last.get("stage", "tune" if cell.protocol.tuned else "final")
        axis = "seed" if stage == "final" else "trial"
        status, cause = _cause(worker, code, self.timeout)
        source_digest, data_hash = self.digests[cell.id]
        row = {
            **describe(cell),
            "stage": stage,
            axis: last.get("number", 0),
            "beta": last.get("beta"),
            "status": status,
            "cause": cause,
            "device": worker.slot,
            "source_digest": source_digest,
            "data_hash": data_hash,
        }
        Store(worker.assignment.results).write(row)
        told = {"objective": cell.protocol.objective, "direction": cell.protocol.direction}
        self.tell(cell.id, {"event": "stored", **told, **{k: row.get(k) for k in _SHOWN}})

    def _stop(self) -> None:
        """Ask every cell to save its state and wait; a second interrupt ends them at once."""
        try:
            for worker in self.workers:
                with contextlib.suppress(OSError):
                    worker.connection.send("stop")
            limit = time.monotonic() + GRACE_SECONDS
            for worker in self.workers:
                worker.process.join(max(0.0, limit - time.monotonic()))
        except KeyboardInterrupt:
            pass
        finally:
            for worker in self.workers:
                worker.process.kill()
                worker.process.join()
            self.workers.clear()


_SHOWN = ("stage", "trial", "seed", "beta", "status", "cause")


def _cause(worker: Worker, code: int, timeout: float | None) -> tuple[str, str]:
    if worker.timed_out:
        return "timeout", f"the cell took longer than {(timeout or 0) / 60:g} minutes"
    if code == -signal.SIGKILL:
        return "out_of_memory", "the process was killed, most likely for lack of memory (signal 9)"
    log = worker.assignment.results / "_logs" / f"{worker.assignment.cell.id}.log"
    if code < 0:
        return "failed", f"the process crashed with {signal.Signals(-code).name}; see {log}"
    return "failed", f"the process ended with exit code {code}; see {log}"


def work(assignment: Assignment, connection: Connection, log: Path) -> None:
    """Run one cell in this process and exit; the parent learns how from the exit code."""
    # Ctrl-C reaches the whole process group: only the parent answers it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _write_to(log)
    gone = False

    def stop() -> bool:
        # A message means stop; an end of file means that the parent is gone.
        return gone or connection.poll()

    def tell(event: dict[str, Any]) -> None:
        nonlocal gone
        try:
            connection.send(event)
        except OSError:
            gone = True

    try:
        run_cell(assignment, tell, stop)
    except CellFailed:
        sys.exit(EXIT_FAILED)
    except Interrupted:
        sys.exit(EXIT_INTERRUPTED)
    except StoreError as error:
        logging.error("%s", error)
        tell({"event": "store_error", "message": str(error)})
        sys.exit(EXIT_STORE)


def _write_to(log: Path) -> None:
    """Send everything this process prints or logs to the cell's log file."""
    log.parent.mkdir(parents=True, exist_ok=True)
    target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(target, 1)
    os.dup2(target, 2)
    os.close(target)
    sys.stdout = open(1, "w", buffering=1, closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True
    )
