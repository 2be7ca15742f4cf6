"""Measures the companion's step of `blur`, in the Fourier domain against convolution in space.

    python -m benchmarks.blur

Forward and backward of `mean ||x * k - y||^2` with a kernel per image, as far as the kernels: a
circular convolution, by `blur` itself and by `conv2d` on padded images, images as groups. Prints
wall and processor seconds of both sides, the slow one measured once.
"""

import json
import platform
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

import losses
from harness import device

SETTINGS = ((64, 64, 7), (16, 256, 5))  # images, their side, repeats of the fast side
LATENT = 256
THREADS = 2


def main() -> None:
    """Run both sides of every setting and print the figures."""
    torch.set_num_threads(THREADS)
    figures = {
        "cpu": device.label(torch.device("cpu")),
        "threads": THREADS,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "settings": [measure(*setting) for setting in SETTINGS],
    }
    print(json.dumps(figures, indent=1))


def measure(count: int, side: int, repeats: int) -> dict[str, float]:
    """Return seconds of both sides and how far their values and gradients are apart."""
    draws = torch.Generator().manual_seed(0)
    x, y = torch.rand(2, count, 3, side, side, generator=draws)
    latent = torch.randn(count, LATENT, generator=draws)
    loss = losses.build("blur", image_shape=(3, side, side), latent_size=LATENT)
    parameters = list(loss.companion.parameters())

    def fourier() -> list[Tensor]:
        value = loss.companion_loss(y, x, latent, None)
        return [value.detach(), *torch.autograd.grad(value, parameters)]

    def space() -> list[Tensor]:
        value = (convolve(x, loss.companion(latent)) - y).square().sum() / count
        return [value.detach(), *torch.autograd.grad(value, parameters)]

    fourier()  # plans of the transforms
    fast, ours = timed(fourier, repeats)
    slow, theirs = timed(space, 1)
    return {
        "images": count,
        "side": side,
        "kernel": loss.companion.size,
        **{f"fourier_{clock}": round(seconds, 4) for clock, seconds in fast.items()},
        **{f"space_{clock}": round(seconds, 4) for clock, seconds in slow.items()},
        **{f"ratio_{clock}": round(slow[clock] / fast[clock], 1) for clock in fast},
        "largest_difference": max(map(relative_difference, ours, theirs)),
    }


def convolve(images: Tensor, kernels: Tensor) -> Tensor:
    """Convolve each image with its kernel: channels as a batch, images as groups."""
    half = kernels.shape[-1] // 2
    around = pad(images, (half,) * 4, "circular").transpose(0, 1)
    mirrored = kernels.flip(1, 2).unsqueeze(1)  # conv2d correlates
    return conv2d(around, mirrored, groups=len(images)).transpose(0, 1)


def timed(side: Callable[[], list[Tensor]], repeats: int) -> tuple[dict[str, float], list[Tensor]]:
    """Return the least wall and processor seconds of some runs, and what the last one found."""
    runs = []
    for _ in range(repeats):
        wall, processor = time.perf_counter(), time.process_time()
        found = side()
        runs.append((time.perf_counter() - wall, time.process_time() - processor))
    least = [min(times) for times in zip(*runs, strict=True)]
    return dict(zip(("wall", "processor"), least, strict=True)), found


def relative_difference(ours: Tensor, theirs: Tensor) -> float:
    """Return the largest difference over the largest value."""
    return float((ours - theirs).abs().max() / theirs.abs().max())


if __name__ == "__main__":
    main()
