"""Measures the distances between sets of images against the packages that the field quotes.

    python -m benchmarks.metrics_sets [--images N] [--threads N] [--rounds N] [--parts NAME ...]

Both sides of each figure run in turn in one process, on the same PNG files, weights or features:
Inception features and their Fréchet distance against pytorch-fid's own loop (random weights, whose
values do not change the arithmetic), the Fréchet step at 2048 dimensions against
`scipy.linalg.sqrtm`, the kernel distance against torch-fidelity, neighbourhoods against `prdc`, and
what the cached features of real images save. Prints wall and processor seconds, the least of the
rounds, and how far the values are apart.
"""

import argparse
import contextlib
import io
import json
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from harness import device
from harness.feature_cache import real_features
from harness.metrics.features import make
from harness.metrics.frechet import Moments, frechet_distance
from harness.metrics.inception import InceptionFeatures, skeleton
from harness.metrics.kernel import kernel_distance
from harness.metrics.neighbours import neighbourhoods

SIDE = 64
DIMS = 2048

Side = Callable[[], Any]


def main() -> None:
    """Run both sides of every figure and print them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--images", type=int, default=48, help="images per set for Inception")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=list(PARTS))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    figures: dict[str, Any] = {
        "cpu": device.label(torch.device("cpu")),
        "threads": options.threads,
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
    for part in options.parts:
        figures[part] = PARTS[part](options.images, options.rounds)
        print(json.dumps({part: figures[part]}), file=sys.stderr)
    print(json.dumps(figures, indent=1))


def inception(count: int, rounds: int) -> dict[str, Any]:
    """Time features from PNG files, and the second of two evaluations on the same real images."""
    with tempfile.TemporaryDirectory() as folder:
        return inception_in(Path(folder), count, rounds)


def inception_in(folder: Path, count: int, rounds: int) -> dict[str, Any]:
    """Time the network on files in `folder`."""
    state, files = folder / "inception.pth", write_images(folder / "png", count)
    torch.save(random_inception(), state)
    ours, theirs = make("inception", 3, {"inception": state}), pytorch_fid(state)
    images = np.stack([np.asarray(Image.open(file)) for file in files]).transpose(0, 3, 1, 2)
    images = np.ascontiguousarray(images)
    sides = {
        "harness": lambda: features_of_files(ours, files),
        "pytorch_fid": lambda: activations(theirs, files),
        "first_evaluation": lambda: real_features(images, ours, folder / str(time.time()), ""),
        "cached_evaluation": lambda: real_features(images, ours, folder / "kept", ""),
    }
    real_features(images, ours, folder / "kept", "")
    figures, found = compared(sides, rounds)
    return {"images": count, "side": SIDE, **per_image(figures, count), **difference(found)}


def frechet_step(_: int, rounds: int) -> dict[str, Any]:
    """Time the distance of two sets of moments against the formula with `sqrtm`."""
    from scipy.linalg import sqrtm

    draws = np.random.default_rng(0)
    a, b = (moments(draws, shift) for shift in (0.0, 0.1))

    def literal() -> float:
        first, second, step = a.covariance(), b.covariance(), a.mean() - b.mean()
        root = sqrtm(first @ second)
        return float(step @ step + np.trace(first + second - 2 * root.real))

    sides = {"harness": lambda: frechet_distance(a, b), "scipy_sqrtm": literal}
    figures, found = compared(sides, rounds)
    return {"dims": DIMS, **figures, **difference(found)}


def kernel(_: int, rounds: int) -> dict[str, Any]:
    """Time 100 subsets of 1000 of 2,000 images."""
    from torch_fidelity.metric_kid import kid_features_to_metric

    x, y = features(2000, 0), features(2000, 1)
    both = torch.from_numpy(x).double(), torch.from_numpy(y).double()
    options = {"kid_subsets": 100, "kid_subset_size": 1000, "verbose": False}
    sides = {
        "harness": lambda: kernel_distance(x, y).mean,
        "torch_fidelity": lambda: (
            1000 * kid_features_to_metric(*both, **options)["kernel_inception_distance_mean"]
        ),
    }
    figures, found = compared(sides, rounds)
    return {"images": len(x), "dims": x.shape[1], **figures, "values": found}


def neighbours(_: int, rounds: int) -> dict[str, Any]:
    """Time neighbourhoods among 4,000 images."""
    from prdc import compute_prdc

    x, y = features(4000, 0), features(4000, 1)
    sides = {
        "harness": lambda: neighbourhoods(x, y).__dict__,
        "prdc": lambda: {k: float(v) for k, v in compute_prdc(x, y, 5).items()},
    }
    with contextlib.redirect_stdout(io.StringIO()):
        figures, found = compared(sides, rounds)
    return {"images": len(x), "dims": x.shape[1], **figures, "values": found}


def random_inception(seed: int = 0) -> dict[str, Tensor]:
    """Return weights of pytorch-fid's network that carry a signal through all its layers."""
    draws = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        network = skeleton()
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, generator=draws)
        elif isinstance(module, nn.BatchNorm2d):
            for values, low, high in (
                (module.weight, 0.5, 1.5), (module.bias, -0.2, 0.2),
                (module.running_mean, -0.2, 0.2), (module.running_var, 0.5, 1.5),
            ):  # fmt: skip
                nn.init.uniform_(values, low, high, generator=draws)
    return network.state_dict()


def pytorch_fid(state: Path, dims: int = DIMS) -> nn.Module:
    """Return pytorch-fid's model with the weights in `state` instead of a download."""
    from pytorch_fid import inception as package

    weights = torch.load(state, weights_only=True)
    with mock.patch.object(package, "load_state_dict_from_url", lambda *_, **__: weights):
        return package.InceptionV3([package.InceptionV3.BLOCK_INDEX_BY_DIM[dims]]).eval()


def activations(model: nn.Module, files: list[Path], dims: int = DIMS) -> np.ndarray:
    """Return what pytorch-fid's loop finds in `files`."""
    from pytorch_fid import fid_score

    with mock.patch.object(fid_score, "tqdm", lambda batches: batches):
        found: np.ndarray = fid_score.get_activations(files, model, 50, dims, "cpu", 0)
    return found


def features_of_files(extractor: InceptionFeatures, files: list[Path]) -> np.ndarray:
    """Return 2048 features of image files, read one by one as pytorch-fid's loop does."""
    found = []
    for start in range(0, len(files), 50):
        images = [np.asarray(Image.open(f).convert("RGB")) for f in files[start : start + 50]]
        batch = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float().div_(255)
        found.append(extractor(batch).numpy())
    return np.concatenate(found)


def write_images(folder: Path, count: int, seed: int = 0, blur: int = 8) -> list[Path]:
    """Write PNG files of smooth random images, `SIDE` pixels a side, and return them in order."""
    folder.mkdir(parents=True)
    draws = np.random.default_rng(seed)
    files = [folder / f"{index:05}.png" for index in range(count)]
    for file in files:
        small = draws.integers(0, 256, (blur, blur, 3), dtype=np.uint8)
        Image.fromarray(small).resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(file)
    return files


def moments(draws: np.random.Generator, shift: float) -> Moments:
    """Return well-conditioned moments of more images than dimensions."""
    mixing = draws.standard_normal((DIMS, DIMS)) / DIMS**0.5 + np.eye(DIMS)
    found = Moments()
    found.update(draws.standard_normal((2 * DIMS, DIMS)) @ mixing + shift)
    return found


def features(count: int, seed: int, dims: int = 512) -> np.ndarray:
    """Return float32 features that are never negative, as after a ReLU."""
    draws = np.random.default_rng(seed)
    found: np.ndarray = draws.standard_normal((count, dims)).clip(0) + 0.1 * seed
    return found.astype(np.float32)


def compared(sides: dict[str, Side], rounds: int) -> tuple[dict[str, float], dict[str, Any]]:
    """Return the least wall and processor seconds of each side, run in turn, and what it found."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
    found = {}
    for _ in range(rounds):
        for name, side in sides.items():
            wall, processor = time.perf_counter(), time.process_time()
            found[name] = side()
            times[name].append((time.perf_counter() - wall, time.process_time() - processor))
    figures = {
        f"{name}_{clock}": round(min(run[index] for run in runs), 4)
        for name, runs in times.items()
        for index, clock in enumerate(("wall", "processor"))
    }
    first, second = list(sides)[:2]
    for clock in ("wall", "processor"):
        figures[f"ratio_{clock}"] = round(
            figures[f"{second}_{clock}"] / max(figures[f"{first}_{clock}"], 1e-9), 2
        )
    return figures, found


def per_image(figures: dict[str, float], count: int) -> dict[str, float]:
    """Divide the seconds by the number of images."""
    return {
        name: value if name.startswith("ratio") else round(value / count, 5)
        for name, value in figures.items()
    }


def difference(found: dict[str, Any]) -> dict[str, float]:
    """Return the largest difference of the first two sides over the largest value."""
    ours, theirs = (np.asarray(value) for value in list(found.values())[:2])
    return {"largest_difference": float(np.abs(ours - theirs).max() / np.abs(theirs).max())}


PARTS: dict[str, Callable[[int, int], dict[str, Any]]] = {
    "inception": inception,
    "frechet_step": frechet_step,
    "kernel": kernel,
    "neighbours": neighbours,
}


if __name__ == "__main__":
    main()
