"""Cuts missing splits from train so that images that belong together stay together."""

from collections.abc import Hashable, Sequence

import numpy as np

from datasets.seeding import permutation
from datasets.source import Digests, Indices


class TooFewImagesError(ValueError):
    """Too few distinct images to give every split one."""


def cut(
    train: Indices,
    missing: Sequence[str],
    seed: int,
    digests: Digests,
    groups: Sequence[Hashable] | None = None,
    share: float = 0.1,
) -> dict[str, Indices]:
    """Cut the `missing` splits from the images that `train` indexes, a share of the groups each.

    Images of equal `digests` (one row per image of the whole source) are one group, and so are
    those of equal `groups` (one label per image of the whole source), such as a person or a scene;
    both together where both are given. The groups, in order of their first image, are permuted; the
    last tenth (`share`, at least one group) is the last missing split, the one before it the split
    before, train keeps the rest. Shares of images are approximate where groups differ in size.
    Raises `TooFewImagesError` when there are fewer groups than splits.
    """
    members = _together(train, digests, groups)
    if len(members) <= len(missing):
        kind = "distinct images" if groups is None else "groups of images"
        raise TooFewImagesError(
            f"too few {kind}, {len(members)}, to cut {' and '.join(missing)} from train: "
            f"have at least {len(missing) + 1}"
        )
    order = permutation(len(members), seed, "cut")
    part = max(1, int(len(members) * share))
    ends = [len(members) - part * left for left in range(len(missing), -1, -1)]
    chosen = dict(zip(["train", *missing], np.split(order, ends[:-1]), strict=True))
    return {split: np.concatenate([members[i] for i in ids]) for split, ids in chosen.items()}


def _together(
    candidates: Indices, digests: Digests, groups: Sequence[Hashable] | None
) -> list[Indices]:
    """Join images by digest and by label, groups in order of their first image."""
    parent: dict[int, int] = {index: index for index in candidates.tolist()}

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    first: dict[Hashable, int] = {}
    for index in parent:
        labels: list[Hashable] = [digests[index].tobytes()]
        if groups is not None:
            labels.append(("group", groups[index]))
        for label in labels:
            one, other = sorted((root(index), root(first.setdefault(label, index))))
            parent[other] = one
    members: dict[int, list[int]] = {}
    for index in parent:
        members.setdefault(root(index), []).append(index)
    return [np.array(indices, np.int64) for indices in members.values()]
