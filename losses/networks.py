"""The convolutional parts of the networks that deep losses look through, layer by layer."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Conv:
    """A convolution and its ReLU; `key` is where torchvision keeps its weight and bias."""

    key: str
    inputs: int
    outputs: int
    kernel: int = 3
    stride: int = 1
    padding: int = 1

    def side(self, side: int) -> int:
        """Return the side that a map of this side gets."""
        return (side + 2 * self.padding - self.kernel) // self.stride + 1


@dataclass(frozen=True)
class Fire:
    """SqueezeNet's module: 1x1 to few channels, then 1x1 and 3x3 side by side."""

    key: str
    inputs: int
    squeezed: int
    expanded: int  # of each of the two

    def side(self, side: int) -> int:
        """Return the side that a map of this side gets."""
        return side


@dataclass(frozen=True)
class Pool:
    """Max pooling with stride 2; `ceil` keeps a last incomplete window."""

    kernel: int
    ceil: bool = False

    def side(self, side: int) -> int:
        """Return the side that a map of this side gets."""
        steps = (side - self.kernel) / 2
        return (math.ceil(steps) if self.ceil else math.floor(steps)) + 1


Layer = Conv | Fire | Pool


@dataclass(frozen=True)
class Network:
    """The convolutional part of a network: its layers in order, by name."""

    name: str
    layers: tuple[tuple[str, Layer], ...]

    def until(self, last: str) -> tuple[tuple[str, Layer], ...]:
        """Return the layers up to the named one."""
        names = [name for name, _ in self.layers]
        return self.layers[: names.index(last) + 1]


def _vgg(name: str, blocks: tuple[tuple[int, int], ...]) -> Network:
    layers: list[tuple[str, Layer]] = []
    inputs, index = 3, 0
    for block, (width, depth) in enumerate(blocks, start=1):
        for number in range(1, depth + 1):
            layers.append((f"relu{block}_{number}", Conv(f"features.{index}", inputs, width)))
            inputs, index = width, index + 2
        layers.append((f"pool{block}", Pool(2)))
        index += 1
    return Network(name, tuple(layers))


VGG16 = _vgg("vgg16", ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)))
VGG19 = _vgg("vgg19", ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4)))
ALEXNET = Network(
    "alexnet",
    (
        ("relu1", Conv("features.0", 3, 64, kernel=11, stride=4, padding=2)),
        ("pool1", Pool(3)),
        ("relu2", Conv("features.3", 64, 192, kernel=5, padding=2)),
        ("pool2", Pool(3)),
        ("relu3", Conv("features.6", 192, 384)),
        ("relu4", Conv("features.8", 384, 256)),
        ("relu5", Conv("features.10", 256, 256)),
    ),
)
SQUEEZENET = Network(
    "squeezenet",
    (
        ("relu1", Conv("features.0", 3, 64, stride=2, padding=0)),
        ("pool1", Pool(3, ceil=True)),
        ("fire2", Fire("features.3", 64, 16, 64)),
        ("fire3", Fire("features.4", 128, 16, 64)),
        ("pool3", Pool(3, ceil=True)),
        ("fire4", Fire("features.6", 128, 32, 128)),
        ("fire5", Fire("features.7", 256, 32, 128)),
        ("pool5", Pool(3, ceil=True)),
        ("fire6", Fire("features.9", 256, 48, 192)),
        ("fire7", Fire("features.10", 384, 48, 192)),
        ("fire8", Fire("features.11", 384, 64, 256)),
        ("fire9", Fire("features.12", 512, 64, 256)),
    ),
)


@dataclass(frozen=True)
class Scaling:
    """What a network was trained on: `(x - shift) / scale` per channel of x in [0, 1]."""

    shift: tuple[float, float, float]
    scale: tuple[float, float, float]
    bgr: bool = False  # blue first, in x, shift and scale


IMAGENET = Scaling((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
# 0..255 less the mean, as the authors of VGG trained it in Caffe
CAFFE = Scaling((103.939 / 255, 116.779 / 255, 123.68 / 255), (1 / 255, 1 / 255, 1 / 255), bgr=True)
