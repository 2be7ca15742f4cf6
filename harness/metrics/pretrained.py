"""Pretrained networks read from a local file: nothing here reaches for the network."""

import hashlib
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

# What a file of other contents raises: no archive, no tensors, or those of another network.
UNREADABLE = (RuntimeError, pickle.UnpicklingError, EOFError, TypeError, SafetensorError)


def load(build: Callable[[], nn.Module], path: Path, expected: str) -> nn.Module:
    """Return the network that `build` makes with the weights in `path`, frozen, in float32.

    Raises ValueError, naming the `expected` file, unless the file holds just these weights.
    """
    # On the meta device nothing is initialised, so torch's global generator is left alone.
    with torch.device("meta"):
        network = build()
    try:
        network.load_state_dict(_read(path), assign=True)
    except UNREADABLE as error:
        raise ValueError(f"{path} is not {expected}; give that file.") from error
    return network.float().eval().requires_grad_(False)


def digest(path: Path) -> str:
    """Return the first 8 hexadecimal digits of the file's sha256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:8]


def _read(path: Path) -> Mapping[str, Tensor]:
    if path.suffix == ".safetensors":
        return load_file(path)
    state: Mapping[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return state
