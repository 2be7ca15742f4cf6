"""Cuts missing splits from train so that identical images stay together."""

import hashlib

import numpy as np
import numpy.typing as npt

from datasets.images import Pixels
from datasets.seeding import permutation

Indices = npt.NDArray[np.int64]


class TooFewImagesError(ValueError):
    """Too few distinct images to give every split one."""


def cut(images: Pixels, train: Indices, missing: list[str], seed: int) -> dict[str, Indices]:
    """Cut the `missing` splits from the images that `train` indexes, a tenth each.

    Returns indices for train, which keeps the rest, and each missing split. The distinct images are
    permuted; the last tenth (at least one) is the last missing split, the tenth before it the
    one before. Copies of an image follow it, so shares are approximate where there are copies.
    Errors: `TooFewImagesError` when there are fewer distinct images than splits.
    """
    groups = _groups(images, train)
    if len(groups) <= len(missing):
        raise TooFewImagesError(
            f"too few distinct images, {len(groups)}, to cut {' and '.join(missing)} from train: "
            f"have at least {len(missing) + 1}"
        )
    order = permutation(len(groups), seed, "cut")
    tenth = max(1, len(groups) // 10)
    ends = [len(groups) - tenth * left for left in range(len(missing), -1, -1)]
    chosen = dict(zip(["train", *missing], np.split(order, ends[:-1]), strict=True))
    return {split: np.concatenate([groups[i] for i in ids]) for split, ids in chosen.items()}


def _groups(images: Pixels, candidates: Indices) -> list[Indices]:
    """Collect the indices of identical images, groups in order of their first image."""
    members: dict[bytes, list[int]] = {}
    for index in candidates.tolist():
        members.setdefault(hashlib.sha256(images[index].data).digest(), []).append(index)
    return [np.array(indices, np.int64) for indices in members.values()]
