"""Measures the libraries that could decode, crop and reduce JPEGs of CelebA's size.

    python -m benchmarks.decode [--images 2000]

Each turns files of 178 × 218 pixels, in memory, into the centred 148 × 148 reduced to 64 × 64
(bilinear, antialiased), on 1 and 2 threads of its own. Prints images per second of wall time and
milliseconds of processor time per image, the least of some rounds, all libraries in turn in every
round so that a busy moment hits none alone; and how far the pixels are from Pillow's. libvips
takes part where pyvips is installed.
"""

import argparse
import io
import os
import platform
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec

import numpy as np
import simplejpeg
import skimage.data
import torch
import torchvision
from PIL import Image
from torch.nn.functional import interpolate
from torchvision.io import ImageReadMode, decode_jpeg

from datasets.decode import Framing, decode

WIDTH, HEIGHT, CROP, SIZE = 178, 218, 148, 64
LEFT, TOP = (WIDTH - CROP) // 2, (HEIGHT - CROP) // 2
BOX = (LEFT, TOP, LEFT + CROP, TOP + CROP)
ROUNDS, CHUNK = 3, 128
FRAMING = Framing(size=SIZE, crop=CROP)

Side = Callable[[bytes], np.ndarray]


def main() -> None:
    """Run every library and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=2000)
    files = list(make_files(parser.parse_args().images))
    os.environ["VIPS_CONCURRENCY"] = "1"  # threads are ours
    torch.set_num_threads(1)
    print(versions(len(files), sum(map(len, files)) / len(files)))
    found = measure(files)
    print(f"{'':24}{'1 thread':>14}{'2 threads':>14}{'ms of processor':>18}{'from Pillow':>14}")
    reference = np.stack([pillow(data) for data in files[:200]]).astype(int)
    for name, side in sides().items():
        (wall, processor), (wall_2, _) = found[name, 1], found[name, 2]
        apart = np.abs(np.stack([side(data) for data in files[:200]]) - reference).max()
        print(
            f"{name:24}{len(files) / wall:10.0f} i/s{len(files) / wall_2:10.0f} i/s"
            f"{1000 * processor / len(files):18.3f}{apart:14}"
        )


def make_files(count: int) -> Iterator[bytes]:
    """Yield JPEGs of CelebA's size and quality: crops of a portrait, reduced as much as it was."""
    portrait = Image.fromarray(skimage.data.astronaut())
    generator = np.random.default_rng(0)
    for _ in range(count):
        width = int(generator.integers(WIDTH, 400))
        height = round(width * HEIGHT / WIDTH)
        left = int(generator.integers(0, portrait.width - width))
        top = int(generator.integers(0, portrait.height - height))
        box = (left, top, left + width, top + height)
        buffer = io.BytesIO()
        portrait.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC, box).save(buffer, "JPEG")
        yield buffer.getvalue()


def sides() -> dict[str, Side]:
    """Return what is compared, by name."""
    found = {
        "Pillow": pillow,
        "simplejpeg (ours)": lambda data: FRAMING(decode(data, 3)),
        "torchvision.io": torchvision_io,
        "torchvision.io, Pillow": torchvision_and_pillow,
    }
    return found | ({"libvips": libvips} if find_spec("pyvips") else {})


def pillow(data: bytes) -> np.ndarray:
    """Everything by Pillow."""
    with Image.open(io.BytesIO(data)) as image:
        return FRAMING(image.convert("RGB"))


def torchvision_io(data: bytes) -> np.ndarray:
    """Everything by torchvision and torch."""
    cut = _tensor(data)[:, TOP : TOP + CROP, LEFT : LEFT + CROP]
    return interpolate(cut[None], (SIZE, SIZE), mode="bilinear", antialias=True)[0].numpy()


def torchvision_and_pillow(data: bytes) -> np.ndarray:
    """Decode by torchvision, resize by Pillow."""
    return FRAMING(Image.fromarray(np.ascontiguousarray(_tensor(data).permute(1, 2, 0).numpy())))


def libvips(data: bytes) -> np.ndarray:
    """Everything by libvips, whose linear kernel is antialiased."""
    import pyvips

    image = pyvips.Image.new_from_buffer(data, "", access="sequential")
    cut = image.crop(LEFT, TOP, CROP, CROP).resize(SIZE / CROP, kernel="linear")
    return cut.numpy().transpose(2, 0, 1)


def measure(files: list[bytes]) -> dict[tuple[str, int], tuple[float, float]]:
    """Return the least wall and processor seconds, by name and threads."""
    least: dict[tuple[str, int], tuple[float, float]] = {}
    chunks = [files[start : start + CHUNK] for start in range(0, len(files), CHUNK)]
    for _ in range(ROUNDS):
        for name, side in sides().items():
            for threads in (1, 2):
                seconds = _timed(side, chunks, threads)
                before = least.get((name, threads), seconds)
                least[name, threads] = min(before[0], seconds[0]), min(before[1], seconds[1])
    return least


def versions(count: int, mean: float) -> str:
    """Return what was measured with what."""
    return (
        f"{count} files of {mean / 1000:.1f} kB; {os.cpu_count()} processors, Python "
        f"{platform.python_version()}, Pillow {Image.__version__}, simplejpeg "
        f"{simplejpeg.__version__}, torchvision {torchvision.__version__}"
    )


def _tensor(data: bytes) -> torch.Tensor:
    return decode_jpeg(torch.frombuffer(bytearray(data), dtype=torch.uint8), ImageReadMode.RGB)


def _timed(side: Side, chunks: list[list[bytes]], threads: int) -> tuple[float, float]:
    def run(chunk: list[bytes]) -> None:
        for data in chunk:
            side(data)

    wall, processor = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(run, chunks))
    return time.perf_counter() - wall, time.process_time() - processor


if __name__ == "__main__":
    main()
