"""Distances between the features of networks trained on ImageNet, weighted by people's choices."""

from __future__ import annotations

from typing import Any, Literal, Unpack

import torch
from torch import Tensor

from losses.backbones import Extractor, read_tensors, taken
from losses.base import Context, ReconstructionLoss
from losses.networks import ALEXNET, SQUEEZENET, VGG16, Network, Scaling
from losses.options import InvalidOption

EPS = 1e-10  # beside the norm of a feature vector
TINY = 1e-30  # in place of a smaller squared norm
SHIFT = (-0.030, -0.088, -0.188)
SCALE = (0.458, 0.448, 0.450)
# x in [0, 1] as given, and mapped to [-1, 1] first: (2x - 1 - s) / c = (x - (1 + s)/2) / (c/2)
PLAIN = Scaling(SHIFT, SCALE)
SIGNED = Scaling(
    ((1 + SHIFT[0]) / 2, (1 + SHIFT[1]) / 2, (1 + SHIFT[2]) / 2),
    (SCALE[0] / 2, SCALE[1] / 2, SCALE[2] / 2),
)

Net = Literal["vgg", "alex", "squeeze"]
# Which network, at which layers, with how many channels.
NETWORKS: dict[Net, tuple[Network, dict[str, int]]] = {
    "vgg": (
        VGG16,
        {"relu1_2": 64, "relu2_2": 128, "relu3_3": 256, "relu4_3": 512, "relu5_3": 512},
    ),
    "alex": (ALEXNET, {"relu1": 64, "relu2": 192, "relu3": 384, "relu4": 256, "relu5": 256}),
    "squeeze": (
        SQUEEZENET,
        {
            "relu1": 64,
            "fire3": 128,
            "fire5": 256,
            "fire6": 384,
            "fire7": 384,
            "fire8": 512,
            "fire9": 512,
        },
    ),
}


class LinearlyWeighted(ReconstructionLoss):
    """`C*H*W * sum_l 1/(H_l W_l) sum_hw sum_c w_lc (x_lhwc - y_lhwc)^2`, x and y of unit length.

    x and y are the features of target and reconstruction at layer l, divided at each position by
    their Euclidean norm over the channels plus 1e-10; w are learned and not negative.
    """

    def _assemble(self, net: Net, heads: str, scaling: Scaling, min_side: int) -> None:
        shape = self.needed_image_shape()
        network, channels = NETWORKS[net]
        self._check_weights((network.name, heads))
        self.native_scale = float(shape[0] * shape[1] * shape[2])
        self.extractor = Extractor(
            network, tuple(channels), scaling, self.weights_file(network.name), shape, min_side
        )
        path = self.weights_file(heads)
        state = read_tensors(path)
        for index, count in enumerate(channels.values()):
            key, size = f"lin{index}.model.1.weight", (1, count, 1, 1)
            head = taken(state, key, size, path, f"the {heads} weights").flatten()
            self.register_buffer(f"head{index}", head, persistent=False)

    def forward(
        self, recon: Tensor, target: Tensor, latent: Tensor, *, logits: Tensor | None = None
    ) -> Tensor:
        """Return the energy of each image, `(B,)`."""
        pairs = zip(self.extractor(target), self.extractor(recon), strict=True)
        layers = [
            _squares(_unit(x) - _unit(y)) @ self.get_buffer(f"head{index}").to(recon.dtype)
            for index, (x, y) in enumerate(pairs)
        ]
        return self.native_scale * torch.stack(layers).sum(0)


def _unit(features: Tensor) -> Tensor:
    # A clamped square has the gradient 0 at 0, and far below EPS nothing else changes; vector_norm
    # would take twice as long on CPUs.
    squares = features.square().sum(1, keepdim=True).clamp_min(TINY)
    return features / (squares.sqrt() + EPS)


def _squares(difference: Tensor) -> Tensor:
    return difference.square().mean((2, 3))


class LPIPS(LinearlyWeighted):
    """Learned perceptual image patch similarity (version 0.1), times C*H*W.

    `sum_l 1/(H_l W_l) sum_hw || w_l * (x_lhw - y_lhw) ||^2` on features of unit length over the
    channels, of images mapped to [-1, 1] and then by `(v - shift) / scale` with shift
    (-.030, -.088, -.188) and scale (.458, .448, .450). Not a density; from 0 (identical) up, below
    C*H*W for usual images. It is symmetric.

    `net`: the network, `vgg` (VGG-16, relu1_2 to relu5_3; customary as a loss), `alex` (customary
    as a metric: a model trained with it is at home there) or `squeeze` (SqueezeNet 1.1, seven
    layers). The release stores the squares of the equation's w.
    `min_side`: images whose shorter side is below it are enlarged to it, bilinear; the weights
    were learned on patches of 64x64. One channel is repeated to three.

    Source: Zhang et al. 2018, eq. 1, and the authors' release 0.1 (release 0.0 left the scaling
    out). Needs the weights of the network (`vgg16`, `alexnet` or `squeezenet`, torchvision's) and
    `lpips-vgg`, `lpips-alex` or `lpips-squeeze`, which the lpips package brings. Raises
    `MissingWeights`, `WrongWeights`, and `InvalidOption` for images it cannot take.
    """

    # l2's times the ratio of values at blurred photographs, 55 with a real SqueezeNet; not trained.
    beta_range = (0.3, 30.0)

    def __init__(self, *, net: Net = "vgg", min_side: int = 64, **context: Unpack[Context]) -> None:
        super().__init__(**context)
        if net not in NETWORKS:
            raise InvalidOption(f"net is {net!r}; give {' or '.join(map(repr, NETWORKS))}")
        self._assemble(net, f"lpips-{net}", SIGNED, min_side)

    @classmethod
    def required(cls, channels: int | None, **options: Any) -> tuple[str, ...]:
        """Return the network's weights and those of the learned layer."""
        net: Net = options.get("net", "vgg")
        return NETWORKS[net][0].name, f"lpips-{net}"


class _Czolbe(LinearlyWeighted):
    net: Net

    def __init__(
        self, *, signed: bool = False, min_side: int = 32, **context: Unpack[Context]
    ) -> None:
        super().__init__(**context)
        _, heads = self.required(self.needed_image_shape()[0])
        self._assemble(self.net, heads, SIGNED if signed else PLAIN, min_side)

    @classmethod
    def required(cls, channels: int | None, **options: Any) -> tuple[str, ...]:
        """Return the network's weights and those of the learned layer, gray for one channel."""
        colours = "gray" if channels == 1 else "rgb"
        return NETWORKS[cls.net][0].name, f"deeploss-{cls.net}-{colours}"


class VGG(_Czolbe):
    """Deep loss on VGG-16 as retuned by Czolbe et al., times C*H*W.

    The form of `lpips` on relu1_2, relu2_2, relu3_3, relu4_3 and relu5_3: features of unit length
    over the channels, squared differences, learned weights w that are not negative, the mean over
    positions, the sum over layers. Not a density; symmetric; from 0 (identical) up.

    `signed=False` feeds images in [0, 1] to a shift and scale meant for [-1, 1], as the authors'
    released experiments do; True maps them to [-1, 1] first, as `lpips` does. The authors' code
    leaves open which of the two the weights were tuned for.
    `min_side`: images whose shorter side is below it are enlarged to it, bilinear; the authors'
    smallest have 32 pixels. One channel is repeated to three and meets the authors' gray weights.

    Source: Czolbe et al. 2020, "Deeploss-VGG" (Zhang et al. 2018, eq. 1). Needs the weights
    `vgg16` and `deeploss-vgg-rgb`, for one channel `deeploss-vgg-gray`. Raises `MissingWeights`,
    `WrongWeights`, and `InvalidOption` for images it cannot take.
    """

    # From the authors' own, weight e^10 of the mean or 3072 / e^10 = 0.14, to half of lpips's top.
    beta_range = (0.14, 15.0)
    net = "vgg"


class Squeeze(_Czolbe):
    """Deep loss on SqueezeNet 1.1 as retuned by Czolbe et al., times C*H*W.

    The form of `lpips` on seven layers (the first ReLU and the Fire modules 3, 5, 6, 7, 8, 9):
    features of unit length over the channels, squared differences, learned weights w that are not
    negative, the mean over positions, the sum over layers. Not a density; symmetric; from 0 up.

    `signed=False` feeds images in [0, 1] to a shift and scale meant for [-1, 1], as the authors'
    released experiments do; True maps them to [-1, 1] first, as `lpips` does. The authors' code
    leaves open which of the two the weights were tuned for.
    `min_side`: images whose shorter side is below it are enlarged to it, bilinear; the authors'
    smallest have 32 pixels. One channel is repeated to three and meets the authors' gray weights.

    Source: Czolbe et al. 2020, "Deeploss-Squeeze" (Zhang et al. 2018, eq. 1). Needs the weights
    `squeezenet` (torchvision's 1.1) and `deeploss-squeeze-rgb`, for one channel
    `deeploss-squeeze-gray`. Raises `MissingWeights`, `WrongWeights`, and `InvalidOption` for
    images it cannot take.
    """

    # From the authors' own, weight e^9 of the mean or 3072 / e^9 = 0.38, to lpips's top.
    beta_range = (0.38, 30.0)
    net = "squeeze"
