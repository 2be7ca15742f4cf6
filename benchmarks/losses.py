"""Measures what every loss costs: alone, against reference packages, and in a training step.

    python -m benchmarks.losses [energies] [steps] [--only GLOB ...] [--sizes 64 256] [--threads N]

`energies`: forward and backward of a loss as far as the reconstruction, in turn with `l2` and with
the reference package where there is one, at 64 images of 3x64x64 and 16 of 3x256x256; medians,
and the memory that a first call takes beyond what was there. `steps`: one training step of
architecture A (43.6 million parameters) by the harness's own trainer, companion included, in turn
with the same step under `l2`. Each loss runs in a process of its own. Figures go to
benchmarks/results/losses.json, the table made of them to losses.md beside it. Deep losses take
random weights of the real shapes.
"""

import argparse
import ctypes
import fnmatch
import itertools
import json
import multiprocessing
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import models
from benchmarks import losses_packages, losses_table
from benchmarks.random_weights import write_all
from harness import components, device
from harness.protocol import Protocol
from harness.seeds import generator
from harness.train import Job, Trainer

SHAPES = {"64": (64, 3, 64, 64), "256": (16, 3, 256, 256)}
LATENT = 256
WEIGHTS: dict[str, Path] = {}  # random ones of the real shapes: the time does not depend on them
SECONDS = 1.5  # of repeats per side, at least three of them
REPEATS = 200  # at most
STEPS = {"64": 3, "256": 2}  # rounds at least
Times = list[list[float]]  # the seconds of each side
ROUNDS = 5  # rounds at most, where the machine was disturbed
L2_MIB: dict[str, float] = {}  # of a step, by size: the same for every loss
SPECS = (
    "l2", "l1", "charbonnier", "log-cosh", "ce", "continuous-bernoulli", "sigma",
    "sigma[shared=true]", "student-t", "ssim", "ms-ssim", "ffl", "ffl[log_matrix=true]", "dft",
    "fourier", "spectral", "haar", "laplacian-pyramid", "fixed-spectrum", "blur",
    "blur[epsilon=0.5]", "blur[kernel=gaussian]", "stft", "sharpness", "l2 + sharpness[variant=a]",
    "watson-dft", "watson-dct", "adaptive", "adaptive[representation=dct]",
    "adaptive[representation=pixel,colour=rgb]", "l2 + 50*ffl", "vae-gan", "lpips[net=alex]",
    "lpips[net=squeeze]", "lpips", "vgg", "squeeze", "dfc", "dists",
)  # fmt: skip
M_MMAP_THRESHOLD = -3  # of mallopt


def main() -> None:
    """Measure what was asked for, store the figures and print the table."""
    asked = _arguments()
    path = Path(__file__).parent / "results" / "losses.json"
    figures: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    figures["machine"] = {
        "cpu": device.label(torch.device("cpu")),
        "threads": asked.threads,
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
    chosen = [spec for spec in SPECS if _matches(spec, asked.only)]
    torch.set_num_threads(1)  # forked processes cannot use a pool of threads begun here
    with tempfile.TemporaryDirectory() as folder:
        WEIGHTS.update(write_all(Path(folder)))
        for part, spec, size in itertools.product(asked.parts, chosen, asked.sizes):
            found = _in_own_process(PARTS[part], spec, size, asked.threads)
            if part == "steps" and "l2_mib" in found:
                L2_MIB[size] = found["l2_mib"]
            figures.setdefault(part, {}).setdefault(spec, {})[size] = found
            print(part, spec, size, json.dumps(found), flush=True)
            path.write_text(json.dumps(figures, indent=1) + "\n")
            path.with_suffix(".md").write_text(losses_table.markdown(figures))


def _matches(spec: str, patterns: list[str]) -> bool:
    name = spec.replace("[", "(")  # brackets are the grammar's here, not fnmatch's
    return any(fnmatch.fnmatchcase(name, pattern.replace("[", "(")) for pattern in patterns)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="energies|steps")
    parser.add_argument("--only", nargs="*", default=["*"], metavar="GLOB")
    parser.add_argument("--sizes", nargs="*", choices=[*SHAPES], default=[*SHAPES])
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    asked = parser.parse_args()
    asked.parts = asked.parts or [*PARTS]
    return asked


def energies(spec: str, size: str) -> dict[str, Any]:
    """Time forward and backward of a loss, of `l2`, and of its reference package."""
    shape = SHAPES[size]
    draws = torch.Generator().manual_seed(0)
    target = torch.rand(shape, generator=draws)
    recon = target.lerp(torch.rand(shape, generator=draws), 0.2).requires_grad_()
    latent = torch.randn(shape[0], LATENT, generator=draws)
    sides = {"ours": _ours(spec, recon, target, latent), "l2": _ours("l2", recon, target, latent)}
    memory = {side: _peak_mib(run) for side, run in sides.items()}
    if theirs := losses_packages.find(spec, recon, target):
        sides["package"] = theirs
    for run in sides.values():
        run()
    medians = _in_turn(sides, SECONDS)
    return {f"{side}_ms": 1000 * seconds for side, seconds in medians.items()} | {
        f"{side}_mib": mib for side, mib in memory.items()
    }


def steps(spec: str, size: str) -> dict[str, Any]:
    """Time one training step of architecture A with a loss and with `l2`, in turn."""
    count, *shape = SHAPES[size]
    made = {side: _step(text, count, tuple(shape)) for side, text in (("ours", spec), ("l2", "l2"))}
    memory = {
        side: L2_MIB[size] if side == "l2" and size in L2_MIB else _peak_mib(run)
        for side, run in made.items()
    }
    medians = _undisturbed(made, STEPS[size])
    return {f"{side}_ms": 1000 * seconds for side, seconds in medians.items()} | {
        f"{side}_mib": mib for side, mib in memory.items()
    }


PARTS = {"energies": energies, "steps": steps}


def _ours(spec: str, recon: Tensor, target: Tensor, latent: Tensor) -> Callable[[], None]:
    loss = _loss(spec, tuple(recon.shape[1:]))

    def run() -> None:
        (gradient,) = torch.autograd.grad(loss(recon, target, latent).mean(), recon)
        del gradient

    return run


def _loss(spec: str, shape: tuple[int, ...]) -> Any:
    draws = torch.Generator().manual_seed(1)
    built = components.build_loss(
        components.resolve_loss(spec), shape, LATENT, generator=draws, weights=WEIGHTS
    )
    built.start_epoch(1000.0)  # past every warm-up and late start
    return built.requires_grad_(False)


def _step(spec: str, count: int, shape: tuple[int, ...]) -> Callable[[], None]:
    images = (255 * torch.rand((count, *shape), generator=generator("images"))).byte().numpy()
    protocol = Protocol(batch=count, latent=LATENT, epochs=1000, lr=1e-4)
    model = models.build(
        "conv4", image_shape=shape, latent_size=LATENT, generator=generator("model")
    )
    job = Job(protocol, 0.1, 1000, ("images", "conv4", 0), torch.device("cpu"))
    trainer = Trainer(job, model, _loss(spec, shape), images)
    noise = {name: generator(name) for name in ("posterior", "prior")}
    (batch,) = trainer.batches.shuffled(generator("order"))
    return lambda: trainer.steps.step(batch, noise, 0.0)


def _in_turn(sides: dict[str, Callable[[], None]], seconds: float) -> dict[str, float]:
    """Run the sides in turn, three times at least and for so many seconds a side."""
    started = time.perf_counter()

    def enough(times: Times) -> bool:
        spent = time.perf_counter() - started
        return len(times[0]) > 2 and spent > seconds * len(sides)

    return _medians(sides, REPEATS, enough)


def _undisturbed(sides: dict[str, Callable[[], None]], rounds: int) -> dict[str, float]:
    """Run the sides in turn: further rounds while the median of one is 5 % above its best."""

    def enough(times: Times) -> bool:
        even = all(statistics.median(found) <= 1.05 * min(found) for found in times)
        return len(times[0]) >= rounds and even

    return _medians(sides, ROUNDS, enough)


def _medians(
    sides: dict[str, Callable[[], None]], most: int, enough: Callable[[Times], bool]
) -> dict[str, float]:
    """Run the sides in turn until it is enough; return the median seconds of each."""
    times: dict[str, list[float]] = {side: [] for side in sides}
    for _ in range(most):
        for side, run in sides.items():
            before = time.perf_counter()
            run()
            times[side].append(time.perf_counter() - before)
        if enough([*times.values()]):
            break
    return {side: statistics.median(found) for side, found in times.items()}


def _peak_mib(run: Callable[[], None]) -> float:
    """Return by how much the resident memory of a forked process rises while it runs once."""

    def child(answer: Any) -> None:
        # Blocks given back at once, so that the peak is what is alive at the same time.
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, 65536)
        torch.set_num_threads(1)  # a forked process may not use its parent's thread pool
        Path("/proc/self/clear_refs").write_text("5")
        before = _status("VmHWM")
        run()
        answer.send((_status("VmHWM") - before) / 1024)

    return _forked(child)


def _status(key: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith(key)))


def _in_own_process(part: Callable[[str, str], Any], spec: str, size: str, threads: int) -> Any:
    def child(answer: Any) -> None:
        torch.set_num_threads(threads)
        try:
            answer.send(part(spec, size))
        except ValueError as error:  # a size that a loss cannot take
            answer.send({"unavailable": str(error)})

    return _forked(child)


def _forked(child: Callable[[Any], None]) -> Any:
    context = multiprocessing.get_context("fork")
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=child, args=(sending,))
    process.start()
    sending.close()
    found = receiving.recv()
    process.join()
    return found


if __name__ == "__main__":
    main()
