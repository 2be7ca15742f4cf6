"""Variational autoencoders: a table to list them, and `build` to make one.

Listing imports no torch; a model's module is imported when the model is found or built.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from models.options import check
from models.options import defaults as options_of

if TYPE_CHECKING:
    from torch import Generator

    from models.base import VAE


class UnknownModel(ValueError):
    """No model is registered under that name."""


@dataclass(frozen=True)
class Entry:
    """One row of the table of models."""

    name: str
    module: str
    attribute: str
    source: str
    summary: str


_ENTRIES = (
    Entry(
        "conv4",
        "models.conv4",
        "Conv4",
        "Bredell et al. 2023, architecture A",
        "strided convolutions, a two-layer MLP, transposed convolutions",
    ),
    Entry(
        "conv5-bilinear",
        "models.conv5_bilinear",
        "Conv5Bilinear",
        "Bredell et al. 2023, architecture B",
        "five strided convolutions, one linear layer, bilinear upsampling",
    ),
    Entry(
        "larsen",
        "models.larsen",
        "Larsen",
        "Larsen et al. 2016",
        "strided 5x5 convolutions and one hidden linear layer each way",
    ),
    Entry(
        "dalal",
        "models.dalal",
        "Dalal",
        "Dalal 2024, VAE1",
        "two strided and three transposed convolutions, no batch norm",
    ),
    Entry(
        "czolbe",
        "models.czolbe",
        "Czolbe",
        "Czolbe et al. 2020",
        "convolutions with max pooling, wide linear layers, bilinear upsampling",
    ),
)
REGISTRY: dict[str, Entry] = {entry.name: entry for entry in _ENTRIES}


def find(name: str) -> type[VAE]:
    """Import the class of a registered model; `UnknownModel` names the nearest registered one."""
    if name not in REGISTRY:
        near = difflib.get_close_matches(name, REGISTRY, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise UnknownModel(f"unknown model {name!r}{hint}. See: harness list models")
    entry = REGISTRY[name]
    found: type[VAE] = getattr(import_module(entry.module), entry.attribute)
    return found


def defaults(name: str) -> dict[str, Any]:
    """Return a model's options and their defaults, read from its constructor."""
    return options_of(find(name))


def build(
    name: str,
    *,
    image_shape: tuple[int, int, int],
    latent_size: int,
    generator: Generator | None = None,
    **options: Any,
) -> VAE:
    """Make a model by name, its initial parameters a function of `generator` alone.

    `image_shape` is `(C, H, W)`. Without a generator the parameters come from torch's global one.
    Also builds under `torch.device("meta")`. Unknown options raise `UnknownOption`, sizes and
    values that cannot work `models.options.InvalidOption`.
    """
    chosen = find(name)
    check(f"model {name!r}", chosen, options)
    seeded = import_module("models.base").seeded_initialisation
    with seeded(generator):
        return chosen(image_shape=image_shape, latent_size=latent_size, **options)
