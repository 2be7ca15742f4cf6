"""Deep feature consistency: squared differences of VGG-19's features."""

from __future__ import annotations

from typing import Any, Literal, Unpack

from torch import Tensor

from losses.backbones import Extractor
from losses.base import Context, ReconstructionLoss
from losses.networks import CAFFE, IMAGENET, VGG19
from losses.options import InvalidOption

Layers = Literal[123, 345]
Backbone = Literal["torchvision", "caffe"]

TAPS: dict[Layers, tuple[str, ...]] = {
    123: ("relu1_1", "relu2_1", "relu3_1"),
    345: ("relu3_1", "relu4_1", "relu5_1"),
}
LAYER_WEIGHT = 0.5  # beside a KL weight of 1
# The squared ratio of the scales of their inputs, 255 and 1/0.226
CAFFE_SCALE = (255 * 0.226) ** 2


class DFC(ReconstructionLoss):
    """Deep feature consistent loss on VGG-19, times C*H*W.

    `sum_l 1/2 * 1/(2 C_l W_l H_l) sum_cwh (phi_l(x) - phi_l(y))^2`: the paper's per-layer loss,
    each weighted by 0.5. The authors' code leaves out the inner 1/2 and averages over the batch.
    Not a density; symmetric; from 0 (identical) up, without a bound.

    `layers`: `123` for relu1_1, relu2_1, relu3_1 (their VAE-123) or `345` for relu3_1, relu4_1,
    relu5_1 (VAE-345).
    `backbone`: `torchvision` (default) takes torchvision's VGG-19, on images normalised by
    ImageNet's mean and standard deviation; `caffe` takes the network that the authors used,
    converted with torchvision's tensor names, on BGR images of 0 to 255 less the mean. Its
    energies are some thousand times larger, and so is its `beta_range`.
    `min_side`: images whose shorter side is below it are enlarged to it, bilinear. One channel is
    repeated to three.

    Source: Hou et al. 2017 (DFC-VAE). Needs the weights `vgg19`, or `vgg19-caffe`. Raises
    `MissingWeights`, `WrongWeights`, and `InvalidOption` for images it cannot take.
    """

    # l2's times the ratio of gradients, 33, with random weights; the authors' KL weight 1 beside
    # means at 128x128x3 on Caffe's scale comes to 3072 / CAFFE_SCALE = 0.92.
    beta_range = (0.5, 15.0)

    def __init__(
        self,
        *,
        layers: Layers = 123,
        backbone: Backbone = "torchvision",
        min_side: int = 32,
        **context: Unpack[Context],
    ) -> None:
        super().__init__(**context)
        if layers not in TAPS:
            raise InvalidOption(f"layers is {layers!r}; give 123 or 345")
        if backbone not in ("torchvision", "caffe"):
            raise InvalidOption(f"backbone is {backbone!r}; give 'torchvision' or 'caffe'")
        shape = self.needed_image_shape()
        self.native_scale = float(shape[0] * shape[1] * shape[2])
        scaling = IMAGENET
        if backbone == "caffe":
            scaling = CAFFE
            self.beta_range = (CAFFE_SCALE * self.beta_range[0], CAFFE_SCALE * self.beta_range[1])
        path = self.weights_file(self.required(shape[0], backbone=backbone)[0])
        self.extractor = Extractor(VGG19, TAPS[layers], scaling, path, shape, min_side)

    @classmethod
    def required(cls, channels: int | None, **options: Any) -> tuple[str, ...]:
        """Return the name of the network's weights."""
        return ("vgg19-caffe" if options.get("backbone") == "caffe" else "vgg19",)

    def forward(
        self, recon: Tensor, target: Tensor, latent: Tensor, *, logits: Tensor | None = None
    ) -> Tensor:
        """Return the energy of each image, `(B,)`."""
        pairs = zip(self.extractor(target), self.extractor(recon), strict=True)
        first, second, third = ((x - y).square().mean((1, 2, 3)) / 2 for x, y in pairs)
        return self.native_scale * LAYER_WEIGHT * (first + second + third)
