"""Preparing JPEGs of CelebA's size against a bare loop of decode, crop and resize.

    python -m benchmarks.prepare [--images 10000] [--rounds 3]

Both sides read the same files with two threads, in turn; the best of the rounds counts. Then a
prepared set is opened, and the memory of a second process that touches all its pixels is read from
`/proc/self/smaps_rollup` while a first one holds them too. Written to
`benchmarks/results/prepare.json`.
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
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from skimage import data

from datasets.decode import Framing, decode
from harness import components, decoding, manifest, origin, preparation, prepared
from harness.components import Component

WIDTH, HEIGHT, SIZE, THREADS = 178, 218, 64, 2
RESULT = Path(__file__).parent / "results" / "prepare.json"
FRAMING = Framing(channels=3, size=SIZE)
TOUCH = """
import sys
from harness import components, prepared
def kib():
    lines = open("/proc/self/smaps_rollup").read().splitlines()[1:]
    found = {line.split(":")[0]: int(line.split()[1]) for line in lines}
    return [sum(v for k, v in found.items() if k.startswith(w)) for w in ("Private", "Shared")]
component = components.resolve("dataset", sys.argv[1])
before = kib()
splits = prepared.load(component)
touched = sum(int(getattr(splits, n).sum()) for n in ("train", "validation", "test"))
private, shared = (b - a for a, b in zip(before, kib()))
print(private, shared, flush=True)
sys.stdin.read()
"""


def make_files(folder: Path, count: int) -> None:
    """Write crops of a photograph as JPEG files of CelebA's size and about its quality."""
    picture = np.asarray(Image.fromarray(data.astronaut()).resize((1024, 1024)))
    rng = np.random.default_rng(0)
    for number in range(count):
        top, left = rng.integers(0, 1024 - HEIGHT), rng.integers(0, 1024 - WIDTH)
        crop = Image.fromarray(picture[top : top + HEIGHT, left : left + WIDTH])
        crop.save(folder / f"{number + 1:06d}.jpg", quality=92)


@dataclass
class Seconds:
    """What a piece of work took, once it has ended."""

    wall: float = 0.0
    cpu: float = 0.0


@contextmanager
def timed() -> Iterator[Seconds]:
    """Time a piece of work by the clock and by the processor, which others slow less."""
    found, wall, cpu = Seconds(), time.perf_counter(), time.process_time()
    yield found
    found.wall, found.cpu = time.perf_counter() - wall, time.process_time() - cpu


def bare_loop(folder: Path) -> Seconds:
    """Decode, crop and resize, nothing else."""
    paths = sorted(folder.iterdir())
    with timed() as taken, ThreadPoolExecutor(THREADS) as pool:
        for _ in pool.map(_one, paths):
            pass
    return taken


def _one(path: Path) -> int:
    return FRAMING(decode(path.read_bytes(), 3)).nbytes


def preparing(component: Component) -> Seconds:
    """Prepare, from listing the files to the renamed folder."""
    shutil.rmtree(manifest.target(component), ignore_errors=True)
    with timed() as taken:
        preparation.prepare(component, origin.find(component))
    return taken


def opening(component: Component) -> float:
    """Return the milliseconds of the slowest of ten openings."""
    times = []
    for _ in range(10):
        started = time.perf_counter()
        prepared.load(component)
        times.append(time.perf_counter() - started)
    return 1000 * max(times)


def second_process(component: Component) -> dict[str, float]:
    """Return the MiB that a second process adds by touching all pixels of a prepared set."""
    both = []
    for _ in range(2):
        process = subprocess.Popen(
            [sys.executable, "-c", TOUCH, component.spec],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        both.append((process, process.stdout.readline() if process.stdout else ""))
    for process, _ in both:
        process.communicate()
    private, shared = (int(word) / 1024 for word in both[1][1].split())
    return {"private_mib": round(private, 1), "shared_mib": round(shared, 1)}


def measure(images: int, rounds: int) -> dict[str, Any]:
    """Measure everything in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder) / "files"
        files.mkdir()
        os.environ["HARNESS_PREPARED"] = str(Path(folder) / "prepared")
        make_files(files, images)
        component = components.resolve("dataset", f"folder:{files}[size={SIZE}]")
        sides = [(bare_loop(files), preparing(component)) for _ in range(rounds)]
        bare, ours = (
            {
                "images_per_second": round(images / min(s.wall for s in side)),
                "cpu_ms_per_image": round(1000 * min(s.cpu for s in side) / images, 3),
            }
            for side in zip(*sides, strict=True)
        )
        known = manifest.whole(manifest.target(component))
        return {
            "images": images,
            "rounds": rounds,
            "threads": THREADS,
            "cpu": platform.machine(),
            "bare": bare,
            "prepare": ours,
            "share_of_bare": round(ours["images_per_second"] / bare["images_per_second"], 3),
            "opening_ms": round(opening(component), 2),
            "pixels_mib": round(known.bytes / 2**20, 1) if known else 0.0,
            "second_process": second_process(component),
        }


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    decoding.cores = lambda: THREADS  # both sides have as many
    found = measure(given.images, given.rounds)
    RESULT.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
