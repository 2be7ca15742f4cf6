"""What is measured alike on reconstructions and generations, beside the data's own values."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from harness.distances import Columns, SetFeatures, columns
from harness.feature_cache import RealFeatures
from harness.metrics import sharpness, spectrum
from harness.scores import Score

# Figure 6 of Bredell et al. averages over 128 images.
SPECTRUM_IMAGES = 128


@dataclass(frozen=True)
class Reference:
    """What is known of a split before any model, and how models are measured on it.

    `pairs` and `looks` are the scores of reconstructions and of single images; `final` says that
    everything is measured, as on final models, and not only what every trial has.
    """

    space: Any
    real: RealFeatures
    spectrum: Tensor
    edges: "Edges"  # of all its images
    pairs: tuple[Score, ...]
    looks: tuple[Score, ...]
    facts: Columns  # of the data alone: floors, blur
    final: bool


class Appearance:
    """What is measured alike on reconstructions and generations, beside the data's own values."""

    def __init__(self, end: str, known: Reference) -> None:
        self.end, self.known = end, known
        self.features = SetFeatures(known.space, whole=known.final)
        self.spectrum = spectrum.LogSpectrum()
        self.edges = Edges()
        self.values: dict[str, list[Tensor]] = {}

    def add(self, images: Tensor) -> None:
        """Add a batch of images."""
        self.features.add(images)
        add_spectrum(self.spectrum, images)
        self.edges.add(images)
        for look in self.known.looks:
            self.values.setdefault(look.name, []).append(look.compute(images).cpu())

    def columns(self) -> Columns:
        """Return the columns whose names end in this side's."""
        found = columns(self.end, self.features, self.known.real) | self._spectra()
        found |= self.edges.columns(self.end, self.known.edges)
        return found | look_columns(self.known.looks, self.values, self.end)

    def _spectra(self) -> Columns:
        own, data, end = self.spectrum.mean(), self.known.spectrum, self.end
        difference, signed = spectrum.spectral_difference(own, data)
        values = {
            f"spectrum_{end}": (difference, spectrum.SPECTRUM_SIGNATURE),
            f"spectrum_{end}_signed": (signed, spectrum.SPECTRUM_SIGNED_SIGNATURE),
            f"spectrum_high_{end}": (
                spectrum.high_frequency_difference(own, data),
                spectrum.SPECTRUM_HIGH_SIGNATURE,
            ),
        }
        found: Columns = {name: value for name, (value, _) in values.items()}
        counted = f"|images={self.spectrum.images}"
        return found | {f"{name}_signature": text + counted for name, (_, text) in values.items()}


class Edges:
    """How strong the edges of a set of images are: means over the images."""

    def __init__(self) -> None:
        self.count, self.laplacian, self.strength = 0, 0.0, 0.0

    def add(self, images: Tensor) -> None:
        """Add a batch of images."""
        self.laplacian += float(sharpness.laplacian_variance(images).sum())
        self.strength += float(sharpness.edge_strength(images).sum())
        self.count += len(images)

    def columns(self, end: str, data: "Edges") -> Columns:
        """Return sharpness and blur against those of the data; none where the data are flat."""
        found: Columns = {}
        if data.laplacian > 0:
            ratio = self.laplacian / self.count / (data.laplacian / data.count)
            found[f"sharpness_{end}"] = ratio
            found[f"sharpness_{end}_signature"] = self._signed(sharpness.LAPLACIAN_SIGNATURE, data)
        if data.strength > 0:
            strengths = [each.strength / each.count for each in (self, data)]
            found[f"blur_{end}"] = float(
                sharpness.blur_between(*torch.tensor(strengths, dtype=torch.float64))
            )
            found[f"blur_{end}_signature"] = self._signed(sharpness.BLUR_SIGNATURE, data)
        return found

    def _signed(self, text: str, data: "Edges") -> str:
        return f"{text}|ratio-of-means|n={self.count},{data.count}"


def look_columns(looks: tuple[Score, ...], values: dict[str, list[Tensor]], end: str) -> Columns:
    """Return the columns of the measures of single images, whose `values` are by measure."""
    found: Columns = {}
    for look in looks:
        column, batches = f"{look.name}_{end}", values[look.name]
        found |= spread(column, batches)
        found[f"{column}_signature"] = f"{look.signature}|n={sum(map(len, batches))}"
    return found


def spread(name: str, values: list[Tensor]) -> dict[str, float]:
    """Return the mean over images and their standard deviation (n - 1)."""
    joined = torch.cat(values).double()
    spread = float(joined.std()) if len(joined) > 1 else 0.0
    return {name: float(joined.mean()), f"{name}_std": spread}


def add_spectrum(accumulated: spectrum.LogSpectrum, images: Tensor) -> None:
    """Add images until there are as many as the published figure averages."""
    missing = SPECTRUM_IMAGES - accumulated.images
    if missing > 0:
        accumulated.update(images[:missing])
