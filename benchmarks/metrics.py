"""Measures the metrics against scikit-image and the packages that the field quotes.

    python -m benchmarks.metrics [--quick]

Runs `benchmarks.metrics_images` (SSIM, LPIPS, local phase coherence) and `benchmarks.metrics_sets`
(Inception features, the Fréchet step, kernel distance, neighbourhoods, cached references), each
with both sides in one process, and stores their figures in benchmarks/results/metrics.json.
"""

import json
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

from harness import device
from harness.processors import cores

RESULT = Path(__file__).parent / "results" / "metrics.json"
PARTS = {
    "metrics_images": ["--rounds", "3"],
    "metrics_sets": ["--rounds", "2"],
}
QUICK = {
    "metrics_images": ["--images", "200", "--rounds", "1"],
    "metrics_sets": ["--images", "8", "--rounds", "1"],
}


def main() -> None:
    """Run both parts, store and print the figures."""
    figures: dict[str, Any] = {
        "machine": {
            "cpu": device.label(torch.device("cpu")),
            "cores": cores(),
            "python": platform.python_version(),
            "torch": torch.__version__,
        }
    }
    for part, arguments in (QUICK if "--quick" in sys.argv else PARTS).items():
        command = [sys.executable, "-m", f"benchmarks.{part}", *arguments]
        printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        figures[part] = json.loads(printed[printed.index("{\n") :])  # after what packages print
        RESULT.write_text(json.dumps(figures, indent=1) + "\n")
        print(json.dumps(figures[part], indent=1), flush=True)


if __name__ == "__main__":
    main()
