"""Networks trained on ImageNet as frozen feature extractors, read from a local file."""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from losses.networks import Conv, Fire, Layer, Network, Pool, Scaling
from losses.options import InvalidOption

# What a file of other contents raises: no archive, no tensors, objects beyond plain tensors.
_UNREADABLE = (RuntimeError, pickle.UnpicklingError, EOFError, TypeError, SafetensorError)


class WrongWeights(ValueError):
    """A weights file holds something else than the loss expects."""


class Extractor(nn.Module):
    """Map images `(B, C, H, W)` in [0, 1] to the features of some layers, `(B, c, h, w)` each.

    One channel is repeated to three. Images whose shorter side is below `min_side` are enlarged
    to it first (bilinear, `align_corners=False`). Weights and constants are buffers outside the
    state dictionary: they follow `.to(device)`, train with nothing and fill no checkpoint.
    `pool`, where given, replaces the network's max pooling. Raises `InvalidOption` for images
    that the network cannot take and `WrongWeights` for a file of other contents.
    """

    shift: Tensor
    scale: Tensor

    def __init__(
        self,
        network: Network,
        taps: tuple[str, ...],
        scaling: Scaling,
        path: Path,
        image_shape: tuple[int, int, int],
        min_side: int,
        pool: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__()
        layers = network.until(taps[-1])
        self.taps, self.bgr, self.pool = frozenset(taps), scaling.bgr, pool
        self.image_shape = image_shape
        self.size = enlarged(image_shape, min_side)
        _check_size(network.name, layers, image_shape, self.size, needs_room=pool is None)
        state = read_tensors(path)
        wanted = f"the {network.name} weights, with or without their classifier"
        self.names = [name for name, _ in layers]
        self.layers = nn.ModuleList(
            nn.Identity()
            if isinstance(layer, Pool) and pool
            else _module(layer, state, path, wanted)
            for _, layer in layers
        )
        for name, values in (("shift", scaling.shift), ("scale", scaling.scale)):
            constant = torch.tensor(values, dtype=torch.float64).view(3, 1, 1)
            self.register_buffer(name, constant, persistent=False)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the features of the tapped layers, in the network's order."""
        return self.features(self.rgb(images))

    def rgb(self, images: Tensor) -> Tensor:
        """Return the images with three channels and at the size that the network sees."""
        if images.shape[1:] != self.image_shape:
            raise InvalidOption(
                f"the loss was built for images {self.image_shape} but got "
                f"{tuple(images.shape[1:])}; build it with their image_shape"
            )
        if self.size != self.image_shape[1:]:
            images = F.interpolate(images, self.size, mode="bilinear", align_corners=False)
        return images.expand(-1, 3, -1, -1)

    def features(self, rgb: Tensor) -> list[Tensor]:
        """Return the features of images that `rgb` has prepared."""
        values = rgb.flip(1) if self.bgr else rgb
        maps = (values - self.shift.to(rgb.dtype)) / self.scale.to(rgb.dtype)
        found = []
        for name, layer in zip(self.names, self.layers, strict=True):
            maps = self.pool(maps) if self.pool and name.startswith("pool") else layer(maps)
            if name in self.taps:
                found.append(maps)
        return found


class _Convolution(nn.Module):
    weight: Tensor
    bias: Tensor

    def __init__(self, layer: Conv, state: Mapping[str, Tensor], path: Path, wanted: str) -> None:
        super().__init__()
        self.stride, self.padding = layer.stride, layer.padding
        shape = (layer.outputs, layer.inputs, layer.kernel, layer.kernel)
        for name, size in (("weight", shape), ("bias", shape[:1])):
            tensor = taken(state, f"{layer.key}.{name}", size, path, wanted)
            self.register_buffer(name, tensor, persistent=False)

    def forward(self, maps: Tensor) -> Tensor:
        weight, bias = self.weight.to(maps.dtype), self.bias.to(maps.dtype)
        return F.relu(F.conv2d(maps, weight, bias, self.stride, self.padding), inplace=True)


class _FireModule(nn.Module):
    def __init__(self, layer: Fire, state: Mapping[str, Tensor], path: Path, wanted: str) -> None:
        super().__init__()
        key, few, many = layer.key, layer.squeezed, layer.expanded
        convs = (
            Conv(f"{key}.squeeze", layer.inputs, few, kernel=1, padding=0),
            Conv(f"{key}.expand1x1", few, many, kernel=1, padding=0),
            Conv(f"{key}.expand3x3", few, many),
        )
        made = (_Convolution(conv, state, path, wanted) for conv in convs)
        self.squeeze, self.expand1x1, self.expand3x3 = made

    def forward(self, maps: Tensor) -> Tensor:
        few = self.squeeze(maps)
        return torch.cat((self.expand1x1(few), self.expand3x3(few)), 1)


def _module(layer: Layer, state: Mapping[str, Tensor], path: Path, wanted: str) -> nn.Module:
    if isinstance(layer, Pool):
        return nn.MaxPool2d(layer.kernel, 2, ceil_mode=layer.ceil)
    kind = _Convolution if isinstance(layer, Conv) else _FireModule
    return kind(layer, state, path, wanted)  # type: ignore[arg-type]


def read_tensors(path: Path) -> Mapping[str, Tensor]:
    """Return the tensors of a .safetensors file or of a torch file, which may hold nothing else.

    Raises `WrongWeights` when the file cannot be read as such.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except _UNREADABLE as error:
        raise WrongWeights(f"{path} holds no tensors that can be read; fetch it again") from error
    if not isinstance(state, Mapping):
        raise WrongWeights(f"{path} holds {type(state).__name__}, not tensors by name")
    return state


def taken(
    state: Mapping[str, Tensor], key: str, size: tuple[int, ...], path: Path, wanted: str
) -> Tensor:
    """Return a frozen float32 tensor on torch's default device, or raise `WrongWeights`."""
    tensor = state.get(key)
    if tensor is None or tensor.shape != size:
        found = "is not there" if tensor is None else f"has shape {tuple(tensor.shape)}"
        raise WrongWeights(f"{path} is not {wanted}: {key} of shape {size} {found}")
    return tensor.detach().to(torch.get_default_device(), torch.float32)


def enlarged(image_shape: tuple[int, int, int], min_side: int) -> tuple[int, int]:
    """Return the height and width at which the network sees the images."""
    channels, height, width = image_shape
    if channels not in (1, 3):
        raise InvalidOption(
            f"images have {channels} channels; networks trained on photographs take 3, or 1 that "
            "is repeated"
        )
    if min_side < 1:
        raise InvalidOption(f"min_side is {min_side}; give a positive number of pixels such as 64")
    factor = max(1.0, min_side / min(height, width))
    return round(height * factor), round(width * factor)


def _check_size(
    name: str,
    layers: tuple[tuple[str, Layer], ...],
    image_shape: tuple[int, int, int],
    size: tuple[int, int],
    needs_room: bool,
) -> None:
    smallest = next(side for side in itertools.count(1) if _fits(side, layers)) if needs_room else 1
    if min(size) < smallest:
        raise InvalidOption(
            f"images of {image_shape[1]}x{image_shape[2]} are too small for {name}, which needs "
            f"{smallest} pixels; set min_side to {smallest} or more, so that they are enlarged"
        )


def _fits(side: int, layers: tuple[tuple[str, Layer], ...]) -> bool:
    for _, layer in layers:
        side = layer.side(side)
        if side < 1:
            return False
    return True
