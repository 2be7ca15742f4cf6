"""Files of the real architectures with random weights, under the names that losses ask for."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Generator, Tensor

from losses import deep, dists
from losses.networks import ALEXNET, SQUEEZENET, VGG16, VGG19, Conv, Fire, Network

NETWORKS = {network.name: network for network in (VGG16, VGG19, ALEXNET, SQUEEZENET)}


def random_features(network: Network, seed: int = 0) -> dict[str, Tensor]:
    """Return `features.*` of He-normal weights and small biases, as torchvision names them."""
    generator = torch.Generator().manual_seed(seed)
    state: dict[str, Tensor] = {}
    for _, layer in network.layers:
        if isinstance(layer, Conv):
            shape = (layer.outputs, layer.inputs, layer.kernel, layer.kernel)
            _add(state, layer.key, shape, generator)
        elif isinstance(layer, Fire):
            few, many = layer.squeezed, layer.expanded
            _add(state, f"{layer.key}.squeeze", (few, layer.inputs, 1, 1), generator)
            _add(state, f"{layer.key}.expand1x1", (many, few, 1, 1), generator)
            _add(state, f"{layer.key}.expand3x3", (many, few, 3, 3), generator)
    return state


def _add(state: dict[str, Tensor], key: str, shape: tuple[int, ...], generator: Generator) -> None:
    fan_in = shape[1] * shape[2] * shape[3]
    state[f"{key}.weight"] = torch.randn(shape, generator=generator) * (2 / fan_in) ** 0.5
    state[f"{key}.bias"] = 0.1 * torch.randn(shape[:1], generator=generator)


def heads(net: deep.Net, seed: int = 1) -> dict[str, Tensor]:
    """Return linear weights in [0, 1), named as the release names them."""
    generator = torch.Generator().manual_seed(seed)
    counts = deep.NETWORKS[net][1].values()
    return {
        f"lin{index}.model.1.weight": torch.rand(1, count, 1, 1, generator=generator)
        for index, count in enumerate(counts)
    }


def structure_and_texture(seed: int = 2) -> dict[str, Tensor]:
    """Return DISTS's alpha and beta, positive, not yet divided by their sum."""
    generator = torch.Generator().manual_seed(seed)
    size = (1, sum(dists.CHANNELS), 1, 1)
    return {name: torch.rand(size, generator=generator) for name in ("alpha", "beta")}


def write_all(folder: Path) -> Mapping[str, Path]:
    """Write every file that a deep loss may ask for, 140 MB in all, and return them by name."""
    files = {}
    for name, network in NETWORKS.items():
        files[name] = folder / f"{name}.safetensors"
        save_file(random_features(network), files[name])
    files["vgg19-caffe"] = files["vgg19"]
    states = {f"lpips-{net}": heads(net) for net in deep.NETWORKS} | {
        f"deeploss-{net}-{colours}": heads(net, seed)
        for net in ("vgg", "squeeze")
        for seed, colours in enumerate(("rgb", "gray"), start=3)
    }
    for name, state in (states | {"dists": structure_and_texture()}).items():
        files[name] = folder / f"{name}.pth"
        torch.save(state, files[name])
    return files
