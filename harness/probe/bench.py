"""The images that losses are held against, spoilt in every way to every level."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from harness import components, prepared, seeds
from harness.components import Component
from harness.errors import HarnessError
from harness.probe import ladder
from harness.probe.ladder import Rungs
from harness.specs import format_spec, parse

DATASET, SIZE, IMAGES = "photos", 64, 16
LATENT = 16
# Below both, a second thread costs more than it helps: seven times slower on two busy cores.
_SMALL_BATCH, _SMALL_NETWORK = 1_000_000, 500_000  # values of a batch, parameters of a loss


@dataclass(frozen=True)
class Bench:
    """What every loss is held against."""

    dataset: Component
    data_hash: str
    targets: Tensor  # (B, C, H, W) in [0, 1]
    latent: Tensor
    rungs: dict[str, Rungs]


def read_dataset(text: str | None, size: int | None) -> Component:
    """Read the spec of a dataset; `size` is that of its images unless the spec has one.

    Raises:
        HarnessError: unknown name or option.
    """
    chosen = parse(text or DATASET, components.registry("dataset"))
    options = dict(chosen.options)
    wanted = SIZE if size is None and text is None else size
    if wanted is not None:
        options.setdefault("size", wanted)
    return components.resolve("dataset", format_spec(chosen.name, options))


def set_up(dataset: Component, images: int, data: Path | None = None) -> Bench:
    """Spoil the first images of the test split in every way to every level.

    `data` is where prepared datasets lie; `settings().prepared` without it.

    Raises:
        HarnessError: the dataset cannot be read, or there are no images to take.
    """
    if images < 1:
        raise HarnessError(f"--images is {images}; give a positive number such as {IMAGES}")
    splits = prepared.load(dataset, data).limited(images)
    targets = torch.from_numpy(splits.test.copy()).float() / 255
    if not len(targets):
        raise HarnessError(f"{dataset.spec} has no test images: give it some or choose another")
    generator = seeds.generator("probe", "latent", dataset.spec)
    latent = torch.randn(len(targets), LATENT, generator=generator)
    with threads(targets):
        rungs = ladder.build(targets, (dataset.spec,))
    return Bench(dataset, splits.data_hash, targets, latent, rungs)


@contextmanager
def threads(images: Tensor, loss: torch.nn.Module | None = None) -> Iterator[None]:
    """Compute on one thread where there is little to compute."""
    parameters = sum(each.numel() for each in loss.parameters()) if loss is not None else 0
    before = torch.get_num_threads()
    if images.numel() < _SMALL_BATCH and parameters < _SMALL_NETWORK:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
