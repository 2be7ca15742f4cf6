"""Measures what the main job promises: `make bench` prints the figures and stores them.

    python -m benchmarks.spine [--quick]

`--quick` leaves out the smoke grid. Figures go to benchmarks/results/spine.json.
"""

import json
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks import memory
from harness import device
from harness.metrics import METRICS
from harness.processors import cores

HARNESS = [sys.executable, "-m", "harness"]
# A cell that trains for about thirty seconds on one core.
CELL = [
    "--dataset=photos24", "--loss=l2", "--model=conv4[width=8,mlp=128,blocks=2]",
    "--trials=3", "--seeds=1", "--epochs=20", "--set", "tuning_epochs=6", "--set", "limit=1280",
    "--set", "batch=16", "--set", "latent=16",
]  # fmt: skip
TINY = [
    "--dataset=digits16", "--loss=l2", "--loss=ssim", "--model=conv4[width=4,mlp=16,blocks=2]",
    "--trials=4", "--seeds=2", "--epochs=4", "--set", "limit=256", "--set", "batch=16",
]  # fmt: skip


def main() -> None:
    """Run every measurement and store the figures."""
    figures: dict[str, Any] = {"machine": machine(), "help_seconds": help_seconds()}
    figures["list_losses_imports_torch"] = imports_torch(["list", "losses"])
    with tempfile.TemporaryDirectory() as folder:
        if "--quick" not in sys.argv:
            figures["smoke"] = smoke(Path(folder))
        figures["overhead"] = overhead(Path(folder))
        figures["identical"] = identical(Path(folder))
    text = json.dumps(figures, indent=1)
    (Path(__file__).parent / "results" / "spine.json").write_text(text + "\n")
    print(text)


def machine() -> dict[str, Any]:
    """Return what the figures were measured on."""
    import torch

    return {
        "cpu": device.label(torch.device("cpu")),
        "cores": cores(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def help_seconds() -> float:
    """Return the median wall time of `harness --help`."""
    times = []
    for _ in range(7):
        started = time.perf_counter()
        subprocess.run([*HARNESS, "--help"], check=True, capture_output=True)
        times.append(time.perf_counter() - started)
    return round(statistics.median(times), 3)


def imports_torch(arguments: list[str]) -> bool:
    """Tell whether a command imports torch."""
    command = [sys.executable, "-X", "importtime", "-m", "harness", *arguments]
    shown = subprocess.run(command, check=True, capture_output=True, text=True).stderr
    return bool(re.search(r"\|\s+torch$", shown, re.MULTILINE))


def smoke(folder: Path) -> dict[str, float]:
    """Return time and memory of what `make smoke` runs once everything is installed."""
    results, reports = folder / "results", folder / "reports"
    run = memory.run([*HARNESS, "run", "--grid=smoke", f"--results={results}"])
    report = memory.run(
        [*HARNESS, "report", "--grid=smoke", f"--results={results}", f"--reports={reports}"]
    )
    return {
        "run_seconds": round(run.seconds, 1),
        "report_seconds": round(report.seconds, 1),
        "total_seconds": round(run.seconds + report.seconds, 1),
        "peak_mib": round(max(run.peak_mib, report.peak_mib)),
        **margins(pd.read_parquet(results / "smoke")),
    }


def margins(rows: pd.DataFrame) -> dict[str, float]:
    """Return the smallest lead of the final rows over predicting the mean image."""
    final = rows[rows["stage"] == "final"]
    pixel = final[final["loss"] != "ssim"]
    structural = final[final["loss"] == "ssim"]
    psnr = (pixel["psnr"] - pixel["psnr_mean_image"]).min()
    ssim = (structural["ssim"] - structural["ssim_mean_image"]).min()
    return {"least_psnr_lead_db": round(psnr, 2), "least_ssim_lead": round(ssim, 3)}


def overhead(folder: Path) -> dict[str, float]:
    """Return the share of a cell's time that is neither training nor evaluation."""
    command = [*HARNESS, "run", *CELL, f"--results={folder / 'overhead'}", "--jobs=1"]
    whole = memory.run(command)
    rows = pd.read_parquet(folder / "overhead" / "quick")
    work = float(rows["seconds"].sum() + rows["seconds_evaluate"].sum())
    cell = cell_seconds(folder / "overhead" / "quick")
    return {
        "training_seconds": round(float(rows["seconds"].sum()), 1),
        "evaluation_seconds": round(float(rows["seconds_evaluate"].sum()), 1),
        "cell_seconds": round(cell, 1),
        "share_of_cell": round((cell - work) / cell, 4),
        "command_seconds": round(whole.seconds, 1),
    }


def cell_seconds(grid: Path) -> float:
    """Return the time from the start of the cell's process to its end, as the engine saw it."""
    events = [json.loads(line) for line in (grid / "_logs" / "run.jsonl").read_text().splitlines()]
    return float(next(event["seconds"] for event in events if event["event"] == "ended"))


def identical(folder: Path) -> dict[str, Any]:
    """Run one grid twice and compare every metric of every row."""
    frames = []
    for name in ("first", "second"):
        memory.run([*HARNESS, "run", *TINY, f"--results={folder / name}"])
        rows = pd.read_parquet(folder / name / "quick")
        frames.append(rows.sort_values(["cell", "stage", "trial", "seed"]).reset_index(drop=True))
    compared = ["beta", *(name for name in METRICS if frames[0][name].notna().any())]
    same = frames[0][compared].equals(frames[1][compared])
    return {"rows": len(frames[0]), "columns": len(compared), "identical": same}


if __name__ == "__main__":
    main()
