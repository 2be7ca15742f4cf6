"""Energies are sums over pixels and channels: that of larger images is larger."""

from __future__ import annotations

import torch
from torch import Tensor

from losses.conformance.places import described
from losses.conformance.subject import Note, Outcome, Skipped, Subject

# A mean over pixels stays as it is, a sum grows fourfold. Between them are p-norms, which some
# sources define: the 4-norm of `watson-dct` grows by 4^(1/4) = 1.41.
GROWTH = 1.25
# Of images that were given, so that four times their pixels fit into memory.
IMAGES = 16


@torch.no_grad()
def scale(subject: Subject) -> Outcome:
    """The energy grows with the number of pixels, so that beta means the same for all losses.

    A mean over pixels weighs the KL divergence C*H*W times as much as the rule of this project, and
    more the larger the images (a note: what a loss measures may not be made of pixels).
    """
    small = Subject(subject.make, subject.image_shape, subject.latent_size, _few(subject.images))
    before = _mean(small)
    channels, height, width = subject.image_shape
    twice = (channels, 2 * height, 2 * width)
    large = Subject(subject.make, twice, subject.latent_size, _mosaic(small.images))
    try:
        large.fresh()
    except ValueError as error:
        return Skipped(f"it refuses images of twice the side: {' '.join(str(error).split())}")
    try:
        after = _mean(large)
    except Exception as error:
        return Skipped(f"images of twice the side end in {described(error)}")
    if not 0 < abs(before) < torch.inf or abs(after) >= GROWTH * abs(before):
        return None
    return Note(
        f"the energy of four times the pixels is {abs(after / before):.1f} times as large; losses "
        "here sum over pixels and channels, so that beta means the same for all: multiply by C*H*W "
        "(or replace mean by sum)"
    )


def _few(images: Tensor | None) -> Tensor | None:
    return None if images is None else images[:IMAGES]


def _mosaic(images: Tensor | None) -> Tensor | None:
    """Return each image beside its reflections: four times the pixels, and no new edges."""
    if images is None:
        return None
    wide = torch.cat([images, images.flip(3)], 3)
    return torch.cat([wide, wide.flip(2)], 2)


def _mean(subject: Subject) -> float:
    return float(subject.loss().eval()(*subject.batch(8, weight=0.5)).mean())
