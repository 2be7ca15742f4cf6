"""Reconstruction losses: a table to list them, and `build` to make one.

Listing imports no torch; a loss's module is imported when the loss is found or built.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from losses.options import check
from losses.options import defaults as options_of

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Generator

    from losses.base import ReconstructionLoss


class UnknownLoss(ValueError):
    """No loss is registered under that name."""


@dataclass(frozen=True)
class Entry:
    """One row of the table of losses."""

    name: str
    module: str
    attribute: str
    family: str  # pointwise, structural, frequency, learned, adversarial or likelihood
    source: str
    needs: str = "nothing"
    density: bool = False


_ENTRIES = (
    Entry("l2", "losses.pointwise", "L2", "pointwise", "Kingma & Welling 2014"),
    Entry("l1", "losses.pointwise", "L1", "pointwise", "Zhao et al. 2017"),
    Entry("ce", "losses.pointwise", "CrossEntropy", "pointwise", "Kingma & Welling 2014"),
    Entry("charbonnier", "losses.robust", "Charbonnier", "pointwise", "Charbonnier et al. 1994"),
    Entry("log-cosh", "losses.robust", "LogCosh", "pointwise", "Chen et al. 2019"),
    Entry("ssim", "losses.structural", "SSIM", "structural", "Wang et al. 2004"),
    Entry(
        "ms-ssim",
        "losses.multiscale_structural",
        "MultiScaleSSIM",
        "structural",
        "Wang et al. 2003",
    ),
    Entry("sharpness", "losses.sharpness", "Sharpness", "structural", "Reddy & Harsha, report"),
    Entry("haar", "losses.multiscale", "Haar", "frequency", "ours, after Mallat 1989"),
    Entry(
        "laplacian-pyramid",
        "losses.multiscale",
        "LaplacianPyramid",
        "frequency",
        "Bojanowski et al. 2018",
    ),
    Entry("ffl", "losses.focal_frequency", "FocalFrequency", "frequency", "Jiang et al. 2021"),
    Entry("spectral", "losses.spectral", "Spectral", "frequency", "ours, after Björk et al. 2022"),
    Entry("fourier", "losses.spectral", "Fourier", "frequency", "Fuoli et al. 2021"),
    Entry("dft", "losses.spectral", "DFT", "frequency", "Dalal 2024"),
    Entry("stft", "losses.stft", "STFT", "frequency", "Dalal 2024"),
    Entry("sigma", "losses.gaussian", "Sigma", "likelihood", "Rybkin et al. 2021", density=True),
    Entry(
        "continuous-bernoulli",
        "losses.pointwise",
        "ContinuousBernoulli",
        "likelihood",
        "Loaiza-Ganem & Cunningham 2019",
        density=True,
    ),
    Entry(
        "student-t",
        "losses.robust",
        "StudentT",
        "likelihood",
        "Takahashi et al. 2018",
        density=True,
    ),
    Entry(
        "fixed-spectrum",
        "losses.whittle",
        "FixedSpectrum",
        "likelihood",
        "ours, after Whittle 1953",
        density=True,
    ),
    Entry("blur", "losses.blur", "Blur", "likelihood", "Bredell et al. 2023"),
    Entry("adaptive", "losses.adaptive", "Adaptive", "likelihood", "Barron 2019", density=True),
    Entry("vae-gan", "losses.vae_gan", "VAEGAN", "adversarial", "Larsen et al. 2016"),
    Entry(
        "watson-dft",
        "losses.watson",
        "WatsonDFT",
        "learned",
        "Czolbe et al. 2020",
        "nothing (tuned: weights)",
    ),
    Entry(
        "watson-dct",
        "losses.watson",
        "WatsonDCT",
        "learned",
        "Czolbe et al. 2020",
        "nothing (tuned: weights)",
    ),
    Entry("lpips", "losses.deep", "LPIPS", "learned", "Zhang et al. 2018", "weights"),
    Entry("vgg", "losses.deep", "VGG", "learned", "Czolbe et al. 2020", "weights"),
    Entry("squeeze", "losses.deep", "Squeeze", "learned", "Czolbe et al. 2020", "weights"),
    Entry("dfc", "losses.dfc", "DFC", "learned", "Hou et al. 2017", "weights"),
    Entry("dists", "losses.dists", "DISTS", "learned", "Ding et al. 2020", "weights"),
)
REGISTRY: dict[str, Entry] = {entry.name: entry for entry in _ENTRIES}


def find(name: str) -> type[ReconstructionLoss]:
    """Import the class of a registered loss; `UnknownLoss` names the nearest registered one."""
    if name not in REGISTRY:
        near = difflib.get_close_matches(name, REGISTRY, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise UnknownLoss(f"unknown loss {name!r}{hint}. See: harness list losses")
    entry = REGISTRY[name]
    found: type[ReconstructionLoss] = getattr(import_module(entry.module), entry.attribute)
    return found


def defaults(name: str) -> dict[str, Any]:
    """Return a loss's options and their defaults, read from its constructor."""
    return options_of(find(name))


def build(
    name: str,
    *,
    image_shape: tuple[int, int, int] | None = None,
    latent_size: int | None = None,
    generator: Generator | None = None,
    weights: Mapping[str, Path] | None = None,
    **options: Any,
) -> ReconstructionLoss:
    """Make a loss by name.

    `image_shape` is `(C, H, W)`; `generator` is the only source of randomness; `weights` maps the
    names in the loss's `requires` to files. A loss that needs a missing one says so
    (`MissingContext`, `MissingWeights`); unknown options raise `UnknownOption`.
    """
    chosen = find(name)
    check(f"loss {name!r}", chosen, options)
    return chosen(
        image_shape=image_shape,
        latent_size=latent_size,
        generator=generator,
        weights=weights,
        **options,
    )
