"""Features of the Inception network that defines FID, at four depths in one pass."""

from pathlib import Path
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from harness.metrics import pretrained
from harness.metrics.features import Extractor

SIZE = 299
CHUNK = 16

# The last layer of each stretch between pytorch-fid's taps, by the tap's number of features.
TAPS = {64: "maxpool1", 192: "maxpool2", 768: "Mixed_6e", 2048: "avgpool"}


class InceptionFeatures(Extractor):
    """2048 features: the last average pool of the Inception network that defines FID.

    Images are resized to 299x299 (bilinear, no antialiasing, `align_corners=False`) and scaled to
    [-1, 1], as pytorch-fid does. `taps` gives the 64, 192 and 768 features of earlier layers too.
    Batch normalisation is folded into the convolutions, which changes features by rounding alone.
    Source: Heusel et al. 2017; architecture and weights of pytorch-fid.
    """

    name = "inception"
    weights_file: ClassVar[str] = "pytorch-fid's weights file pt_inception-2015-12-05-6726825d.pth"

    def __init__(self, channels: int, path: Path) -> None:
        """Read the weights from `path`; raises ValueError on other contents."""
        super().__init__(channels)
        network = pretrained.load(skeleton, path, self.weights_file)
        self.stretches = nn.ModuleList(_cut(dict(_folded(network).named_children())))
        self.signature = (
            f"inception|dims={self.dims}|pytorch-fid|bilinear={SIZE}"
            f"|rounding=8bit|weights={pretrained.digest(path)}|v1"
        )

    def extract(self, rgb: Tensor) -> Tensor:
        """Map `(b, 3, H, W)` in [0, 1] to `(b, 2048)`."""
        return self._stages(rgb, self.dims)[self.dims]

    @torch.no_grad()
    def taps(self, images: Tensor, deepest: int = 2048) -> dict[int, Tensor]:
        """Return the features of every tap down to `deepest` by their number, from one pass.

        `images`: `(B, C, H, W)` in [0, 1]. Returns `(B, n)` float32 for n of 64, 192, 768 (spatial
        means of feature maps, as pytorch-fid takes them) and 2048. Each is a metric of its own.
        """
        chunks = self.in_chunks(images, lambda rgb: self._stages(rgb, deepest))
        return {dims: torch.cat([chunk[dims] for chunk in chunks]) for dims in chunks[0]}

    def tap_signature(self, dims: int) -> str:
        """Return the signature of a tap; raises ValueError where there is none of `dims`."""
        if dims not in TAPS:
            raise ValueError(f"Inception has no tap of {dims} features; use one of {list(TAPS)}.")
        return self.signature.replace(f"|dims={self.dims}|", f"|dims={dims}|")

    def chunk(self, height: int, width: int) -> int:
        """Return 16: a map of the stem takes 5.5 MB an image, whatever the image's own size."""
        return CHUNK

    def _stages(self, rgb: Tensor, deepest: int) -> dict[int, Tensor]:
        maps = 2 * F.interpolate(rgb, size=(SIZE, SIZE), mode="bilinear", align_corners=False) - 1
        maps = maps.contiguous(memory_format=torch.channels_last)
        found = {}
        for dims, stretch in zip(TAPS, self.stretches, strict=True):
            maps = stretch(maps)
            found[dims] = maps.mean((2, 3))
            if dims == deepest:
                break
        return found


def skeleton() -> nn.Module:
    """Return pytorch-fid's network without its weights.

    Its own constructor downloads them, so its blocks are put in place here.
    """
    from pytorch_fid import inception as fid
    from torchvision.models import inception_v3

    network: nn.Module = inception_v3(
        weights=None, num_classes=1008, aux_logits=False, init_weights=False
    )
    for name, inputs, pooled in (("5b", 192, 32), ("5c", 256, 64), ("5d", 288, 64)):
        setattr(network, f"Mixed_{name}", fid.FIDInceptionA(inputs, pool_features=pooled))
    for name, width in (("6b", 128), ("6c", 160), ("6d", 160), ("6e", 192)):
        setattr(network, f"Mixed_{name}", fid.FIDInceptionC(768, channels_7x7=width))
    network.Mixed_7b = fid.FIDInceptionE_1(1280)
    network.Mixed_7c = fid.FIDInceptionE_2(2048)
    return network


def _folded(network: nn.Module) -> nn.Module:
    """Fold every batch normalisation into its convolution, in float64."""
    for block in network.modules():
        convolution, normalisation = getattr(block, "conv", None), getattr(block, "bn", None)
        if isinstance(convolution, nn.Conv2d) and isinstance(normalisation, nn.BatchNorm2d):
            block.double()
            block.conv = fuse_conv_bn_eval(convolution, normalisation).float()
            block.bn = nn.Identity()
    return network.requires_grad_(False).to(memory_format=torch.channels_last)


def _cut(layers: dict[str, nn.Module]) -> list[nn.Sequential]:
    """Cut the layers after each tap; what follows the last one is the classifier."""
    names = list(layers)
    ends = [names.index(last) + 1 for last in TAPS.values()]
    starts = [0, *ends[:-1]]
    return [
        nn.Sequential(*(layers[name] for name in names[start:end]))
        for start, end in zip(starts, ends, strict=True)
    ]
