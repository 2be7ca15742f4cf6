"""The report of a large store: time and memory to render it, one table again, the page in Chromium.

    python -m benchmarks.report [--results FOLDER]

The store is made of invented numbers: `tests/report/fixture_store.py` in full, every cell of every
table of the documents, 1,008 rows with scores of 2,000 images and 16 pictures per final model.
Rendering runs on two cores in a process of its own; the memory is the highest sum over it and its
workers of the proportional set size in `/proc`, looked at five times a second, in runs of its own.
Written to `benchmarks/results/report.json`.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.memory import held_mib

TESTS = Path(__file__).parents[1] / "tests" / "report"
RESULT = Path(__file__).parent / "results" / "report.json"
CORES = 2
RENDER = """
import sys
from pathlib import Path
from harness.report import render
from harness.store import Store

if __name__ == "__main__":
    render(Store(Path(sys.argv[1])), Path(sys.argv[2]), workers=int(sys.argv[3]))
"""


def timed(command: list[str]) -> dict[str, float]:
    """Run a command on two cores; return its seconds and processor seconds."""
    before, started = os.times(), time.perf_counter()
    _end(_begin(command))
    after = os.times()
    return {
        "seconds": round(time.perf_counter() - started, 1),
        "cpu_seconds": round(sum(after[2:4]) - sum(before[2:4]), 1),
    }


def watched(command: list[str]) -> int:
    """Run a command on two cores; return its memory in MiB.

    Looking at it takes a tenth of a core: never while it is timed.
    """
    process, peak = _begin(command), 0.0
    while process.poll() is None:
        peak = max(peak, held_mib(process.pid))
        time.sleep(0.2)
    _end(process)
    return round(peak)


def _begin(command: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        preexec_fn=lambda: os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES]),
        stdout=subprocess.DEVNULL,
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.wait():
        sys.exit(f"{process.args!r} failed")


def opening(page: Path, folder: Path, rounds: int = 3) -> dict[str, list[float]] | None:
    """Return the seconds from the address to the painted page, or None without Chromium."""
    from devtools import CHROMIUM, browser

    if CHROMIUM is None:
        return None
    times = {}
    for width in (1280, 400):
        with browser(folder / f"profile-{width}") as running:
            running.resize(width)
            times[f"{width}_px"] = [round(running.open(page), 2) for _ in range(rounds)]
    return times


def measure(folder: Path, results: Path | None) -> dict[str, Any]:
    """Measure everything; `results` is a store made before."""
    import fixture_store

    root = results or folder / "papers"
    if results is None:
        fixture_store.build(root, replace(fixture_store.FULL, others=False))
    script = folder / "render.py"
    script.write_text(RENDER)
    python, out = sys.executable, folder / "out"
    rendering = [python, str(script), str(root), str(out), str(CORES)]
    load = round(os.getloadavg()[0], 1)
    shutil.rmtree(root / "_report", ignore_errors=True)  # as if nothing had been rendered before
    first, again = timed(rendering), timed(rendering)
    memory_again = watched(rendering)
    shutil.rmtree(root / "_report")
    memory_first = watched(rendering)
    one = [python, "-m", "harness", "report", "--grid", root.name, "--results", str(root.parent)]
    page = out / "index.html"
    return {
        "rows": len(list(root.glob("*.parquet"))),
        "cores": CORES,
        "cpu": platform.machine(),
        "load_before": load,
        "render": {**first, "peak_mib": memory_first},
        "render_again": {**again, "peak_mib": memory_again},
        "one_table": [timed([*one, "--table", "bredell-2"]) for _ in range(3)],
        "page_mib": round(page.stat().st_size / 2**20, 1),
        "page_opens_seconds": opening(page, folder),
    }


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, help="a fixture store made before")
    given = parser.parse_args()
    sys.path.insert(0, str(TESTS))
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), given.results)
    RESULT.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
