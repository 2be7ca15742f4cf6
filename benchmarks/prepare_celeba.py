"""Preparing as many JPEGs as CelebA has, in its layout: time, private memory, opening.

    python -m benchmarks.prepare_celeba [--images 202599] [--distinct 4000]

`--distinct` crops of a photograph are written as JPEG files of CelebA's size and linked under the
names of the aligned images, beside a partition file with CelebA's proportions. A process of its own
prepares `celeba64` with two threads; its private memory (`RssAnon` of `/proc/PID/status`, which
leaves out mapped files) is read every 50 ms. Written to `benchmarks/results/prepare_celeba.json`.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.prepare import THREADS, make_files

IMAGES = 202_599
RESULT = Path(__file__).parent / "results" / "prepare_celeba.json"
PREPARE = """
import sys, time
from pathlib import Path
from harness import components, decoding, manifest, origin, preparation, prepared
decoding.cores = lambda: int(sys.argv[2])
component = components.resolve("dataset", "celeba64")
found = origin.find(component, Path(sys.argv[1]))
listed = time.perf_counter()
made = preparation.prepare(component, found)
started = time.perf_counter()
splits = prepared.load(component)
opened = time.perf_counter()
print(started - listed, 1000 * (opened - started), *made.counts.values(), made.bytes)
"""


def make_layout(root: Path, images: int, distinct: int) -> None:
    """Write the aligned images and the partition file as CelebA's owners hand them out."""
    originals, aligned = root / "originals", root / "img_align_celeba"
    originals.mkdir()
    aligned.mkdir()
    make_files(originals, distinct)
    sources = sorted(originals.iterdir())
    lines = []
    for number in range(images):
        name = f"{number + 1:06d}.jpg"
        os.link(sources[number % distinct], aligned / name)
        share = number / images  # the official split is by number too: 80.3, 9.8 and 9.9 %
        lines.append(f"{name} {0 if share < 0.8034 else 1 if share < 0.9015 else 2}\n")
    (root / "list_eval_partition.txt").write_text("".join(lines))


def measure(images: int, distinct: int) -> dict[str, Any]:
    """Prepare in a process of its own and watch its memory."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "data"
        root.mkdir()
        make_layout(root, images, distinct)
        process = subprocess.Popen(
            [sys.executable, "-c", PREPARE, str(root), str(THREADS)],
            env=os.environ | {"HARNESS_PREPARED": str(Path(folder) / "prepared")},
            stdout=subprocess.PIPE,
            text=True,
        )
        peak = 0
        while process.poll() is None:
            peak = max(peak, _private_kib(process.pid))
            time.sleep(0.05)
        said = process.stdout.read().split() if process.stdout else []
    if process.returncode:
        raise SystemExit(f"preparing ended with {process.returncode}")
    seconds, opening = map(float, said[:2])
    train, validation, test, size = map(int, said[2:])
    return {
        "images": images,
        "distinct_files": distinct,
        "threads": THREADS,
        "counts": [train, validation, test],
        "seconds": round(seconds, 1),
        "images_per_second": round(images / seconds),
        "peak_private_mib": round(peak / 1024),
        "pixels_mib": round(size / 2**20),
        "opening_ms": round(opening, 2),
    }


def _private_kib(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:  # it has just ended
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("RssAnon")), 0)


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=IMAGES)
    parser.add_argument("--distinct", type=int, default=4000)
    given = parser.parse_args()
    found = measure(given.images, given.distinct)
    RESULT.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
