"""Folders of tiny pictures, and a process that prepares one slowly."""

import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

# Decodes one image in a millisecond, marks every block, prints how many it decoded and the hash.
SLOWLY = """
import sys, time
from harness import components, decoding, origin, preparation
decoding.MARK_SECONDS = 0.0
component = components.resolve("dataset", sys.argv[1])
found = origin.find(component)
read, count = found.source.read, [0]
def slow(index):
    count[0] += 1
    time.sleep(0.001)
    return read(index)
found.source.read = slow
made = preparation.prepare(component, found)
print(count[0], made.data_hash)
"""


def make(folder: Path, count: int, side: int = 8, first: int = 0) -> str:
    """Write `count` different grey pictures and return the spec of the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(first, first + count):
        rng = np.random.default_rng(number)
        picture = Image.fromarray(rng.integers(0, 256, (side, side), dtype=np.uint8))
        picture.save(folder / f"{number:05d}.png", compress_level=0)
    return f"folder:{folder}[channels=1,size={side}]"


def slowly(spec: str) -> subprocess.Popen[str]:
    """Start a process that prepares the dataset slowly."""
    return subprocess.Popen(
        [sys.executable, "-c", SLOWLY, spec],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
