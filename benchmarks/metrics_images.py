"""SSIM against scikit-image and LPIPS against its package, both sides in one run.

    python -m benchmarks.metrics_images [--images 1000] [--rounds 3]

prints a JSON object per comparison: seconds of either side (the best of interleaved rounds), their
ratio and the largest difference of values. Networks have random weights: time does not depend on
them.
"""

import argparse
import json
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from benchmarks.random_weights import NETWORKS, heads, random_features
from harness.metrics import pixel
from harness.metrics.lpc import lpc_si
from harness.metrics.perceptual import Lpips, MetricNet

Measure = Callable[[], Tensor]
TRUNKS: dict[MetricNet, str] = {"alex": "alexnet", "vgg": "vgg16"}
SIZE = 64
PACKAGE_BATCH = 64


def pairs(count: int) -> tuple[Tensor, Tensor]:
    """Return `count` images of 64x64 in colour with noise, and without."""
    generator = torch.Generator().manual_seed(0)
    target = torch.rand(count, 3, SIZE, SIZE, generator=generator)
    noise = torch.randn(target.shape, generator=generator)
    return (target + 0.1 * noise).clamp(0, 1), target


def compare(ours: Measure, theirs: Measure, rounds: int) -> dict[str, float]:
    """Return the best seconds of either side, measured in turns."""
    values = ours(), theirs()  # warm-up
    seconds = [(_seconds(ours), _seconds(theirs)) for _ in range(rounds)]
    ours_best, theirs_best = (min(side) for side in zip(*seconds, strict=True))
    return {
        "ours_s": round(ours_best, 4),
        "theirs_s": round(theirs_best, 4),
        "times_faster": round(theirs_best / ours_best, 2),
        "largest_difference": float((values[0] - values[1]).abs().max()),
    }


def _seconds(measure: Measure) -> float:
    start = time.perf_counter()
    measure()
    return time.perf_counter() - start


def ssim(images: int, rounds: int) -> dict[str, float]:
    """Compare SSIM with a loop of scikit-image's."""
    from skimage.metrics import structural_similarity

    recon, target = pairs(images)
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}

    def theirs() -> Tensor:
        values = [
            structural_similarity(x, y, data_range=1, channel_axis=0, **options)
            for x, y in zip(recon.numpy(), target.numpy(), strict=True)
        ]
        return torch.from_numpy(np.array(values, dtype=np.float64))

    return compare(lambda: pixel.ssim(recon, target), theirs, rounds)


def lpips(net: MetricNet, images: int, rounds: int) -> dict[str, float]:
    """Compare LPIPS with the package on batches of 64."""
    recon, target = pairs(images)
    trunk = TRUNKS[net]
    with tempfile.TemporaryDirectory() as folder:
        files = {trunk: Path(folder, "trunk.safetensors"), f"lpips-{net}": Path(folder, "lin.pth")}
        save_file(random_features(NETWORKS[trunk]), files[trunk])
        torch.save(heads(net), files[f"lpips-{net}"])
        metric, package = Lpips(net, files), _package(net, files[trunk])
    batches = list(zip(recon.split(PACKAGE_BATCH), target.split(PACKAGE_BATCH), strict=True))

    @torch.no_grad()
    def theirs() -> Tensor:
        return torch.cat([package(x, y, normalize=True).flatten() for x, y in batches])

    return compare(lambda: metric(recon, target), theirs, rounds)


def _package(net: MetricNet, trunk: Path) -> Any:
    import lpips as package

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = package.LPIPS(net=net, pnet_rand=True, pretrained=False, verbose=False)
    network.load_state_dict(heads(net), strict=False)
    # Convolutions come in the order of both state dictionaries, under other names.
    values = load_file(trunk)
    ordered = [values[key] for key in random_features(NETWORKS[TRUNKS[net]])]
    with torch.no_grad():
        for parameter, value in zip(network.net.parameters(), ordered, strict=True):
            parameter.copy_(value)
    return network.eval()


def lpc(images: int) -> dict[str, float]:
    """Return the seconds of LPC-SI, which no package of ours offers."""
    recon, _ = pairs(images)
    lpc_si(recon[:16])
    return {"images": images, "ours_s": round(_seconds(lambda: lpc_si(recon)), 3)}


def main() -> None:
    """Print every comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=1000, help="pairs of 64x64 for SSIM")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    fewer = max(1, given.images // 8)  # networks take longer
    results = {
        "threads": torch.get_num_threads(),
        "ssim": {"images": given.images, **ssim(given.images, given.rounds)},
        "lpips_alex": {"images": fewer, **lpips("alex", fewer, given.rounds)},
        "lpips_vgg": {"images": fewer // 4, **lpips("vgg", max(1, fewer // 4), given.rounds)},
        "lpc_si": lpc(given.images // 2),
    }
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
