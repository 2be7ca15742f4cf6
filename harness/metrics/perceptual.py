"""Learned perceptual distance of reconstructions to their targets, one value per image."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.metrics.features import MissingFeatureWeights
from harness.metrics.pairs import check_pair
from harness.metrics.precision import float64, full_convolutions
from harness.weight_files import TABLE
from harness.weights import sha256
from losses.backbones import Extractor, enlarged, read_tensors, taken
from losses.base import full_products
from losses.deep import NETWORKS, SIGNED

MetricNet = Literal["alex", "vgg"]

SMALLEST = 64
EPS = 1e-10  # beside the norm of a feature vector


class Lpips(nn.Module):
    """Learned perceptual image patch similarity, version 0.1: 0 for identical images, then up.

    Features of unit length over the channels, squared differences, learned weights that are not
    negative, the mean over positions, the sum over five layers. Images in [0, 1] are neither
    clipped nor rounded, mapped to [-1, 1] and normalised as in the release; grey is repeated to
    three channels; images whose shorter side is below 64 are enlarged to 64 (bilinear,
    `align_corners=False`), which the signature says of all. `net` is "alex", customary as a
    metric, or "vgg".

    `official` tells whether both files are those of the release: only then is the number LPIPS.
    `signature` names both by their sha256. Source: Zhang et al. 2018, eq. 1, and the authors'
    release; equals the `lpips` package.
    """

    def __init__(self, net: MetricNet, weights: Mapping[str, Path]) -> None:
        """Read the network (`alexnet` or `vgg16`) and its linear layer (`lpips-<net>`).

        Raises MissingFeatureWeights when `weights` lacks one of the two or it is not a file, and
        ValueError on an unknown `net` or a file of other contents.
        """
        super().__init__()
        if net not in ("alex", "vgg"):
            raise ValueError(f"LPIPS has no network {net!r}; choose 'alex' or 'vgg'.")
        network, channels = NETWORKS[net]
        names = (network.name, f"lpips-{net}")
        trunk, linear = (_file(name, weights) for name in names)
        self.net = net
        self.official = all(_is_official(name, Path(weights[name])) for name in names)
        digests = "+".join(sha256(path)[:8] for path in (trunk, linear))
        self.signature = (
            f"lpips|v0.1|net={net}|range=-1..1|rounding=none|bilinear>={SMALLEST}"
            f"|weights={digests}|per-image|v1"
        )
        shape = (3, SMALLEST, SMALLEST)
        self.extractor = Extractor(network, tuple(channels), SIGNED, trunk, shape, SMALLEST)
        state = read_tensors(linear)
        for index, count in enumerate(channels.values()):
            key, size = f"lin{index}.model.1.weight", (1, count, 1, 1)
            head = taken(state, key, size, linear, f"the lpips-{net} weights").flatten()
            self.register_buffer(f"head{index}", head, persistent=False)

    @torch.no_grad()
    def forward(self, recon: Tensor, target: Tensor) -> Tensor:
        """Return the distance of each image, `(B,)` float64.

        `recon`, `target`: `(B, C, H, W)` in [0, 1], C 1 or 3, any size. Raises ValueError when the
        shapes differ or C is another.
        """
        check_pair(recon, target)
        size = enlarged((recon.shape[1], recon.shape[2], recon.shape[3]), SMALLEST)
        chunk = _chunk(self.net, size, recon.device.type)
        pairs = zip(recon.float().split(chunk), target.float().split(chunk), strict=True)
        whole = torch.autocast(recon.device.type, enabled=False)
        with whole, full_products(), full_convolutions():
            return float64(torch.cat([self._distance(x, y, size) for x, y in pairs]))

    def _distance(self, recon: Tensor, target: Tensor, size: tuple[int, int]) -> Tensor:
        rgb = torch.cat([recon, target]).expand(-1, 3, -1, -1)
        if size != tuple(rgb.shape[2:]):
            rgb = F.interpolate(rgb, size, mode="bilinear", align_corners=False)
        layers = [
            _weighted(maps, self.get_buffer(f"head{index}"))
            for index, maps in enumerate(self.extractor.features(rgb))
        ]
        return torch.stack(layers).sum(0)


def _weighted(maps: Tensor, weights: Tensor) -> Tensor:
    """Return the weighted squared distance of the first half of unit features to the second."""
    # In place: the network has no more use for its maps. vector_norm would take longer on CPUs.
    maps.div_(maps.square().sum(1, keepdim=True).sqrt_().add_(EPS))
    recon, target = maps.chunk(2)
    return recon.sub_(target).square_().mean((2, 3)) @ weights


def _chunk(net: str, size: tuple[int, int], device: str) -> int:
    # AlexNet's first layer has a sixteenth of the positions of VGG's: more images fit a cache.
    pixels = {"alex": 2**18, "vgg": 2**14}[net] * (1 if device == "cpu" else 2**5)
    return max(1, pixels // (size[0] * size[1]))


def _file(name: str, weights: Mapping[str, Path]) -> Path:
    path = weights.get(name)
    if path is None or not Path(path).is_file():
        seen = "no path was given" if path is None else f"{path} is not a file"
        raise MissingFeatureWeights(
            f"LPIPS needs the weights {name!r}, but {seen}; give the path of its file."
        )
    return Path(path)


def _is_official(name: str, path: Path) -> bool:
    expected = {file.sha256 for file in TABLE[name].files}
    return sha256(path) in expected
