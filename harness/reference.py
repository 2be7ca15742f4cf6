"""What is known of a split of real images before any model is measured on it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from harness import manifest, provenance, scores
from harness.appearance import Edges, Reference, add_spectrum, look_columns, spread
from harness.batches import ordered
from harness.distances import Columns
from harness.feature_cache import real_features
from harness.grid import Cell
from harness.metrics import features as feature_spaces
from harness.metrics import pixel, spectrum
from harness.protocol import Protocol


@dataclass(frozen=True)
class Place:
    """Where the features of a split of real images are kept for all cells, and what names them."""

    folder: Path | None  # the prepared dataset's; None to compute without keeping
    key: str  # what identifies the images and the source that extracts
    split: str


def place(cell: Cell, data_hash: str, split: str) -> Place:
    """Return where all cells on the same images and split share the features of real images."""
    # Another source of the extractors may give other features.
    key = f"{data_hash}|{cell.protocol.limit}|{provenance.evaluate_digest()}"
    return Place(manifest.target(cell.dataset), key, split)


def reference(
    images: np.ndarray,
    train: np.ndarray,
    protocol: Protocol,
    device: torch.device,
    weights: dict[str, Path],
    *,
    final: bool = True,
    kept: Place | None = None,
) -> Reference:
    """Measure a split of real images, and how well the mean training image predicts them.

    `final` decides whether models are measured in every way or only as every trial is.
    """
    space = feature_spaces.make(protocol.features, images.shape[1], weights=weights)
    if isinstance(space, torch.nn.Module):
        space.to(device).eval()
    where = kept or Place(None, "", "")
    real = real_features(images, space, where.folder, where.key, split=where.split, device=device)
    shape = images.shape[1:]
    looks = scores.of_images(shape, final=final)
    log_spectrum, floor = spectrum.LogSpectrum(), _Floor(train, device)
    edges = Edges()
    seen: dict[str, list[Tensor]] = {look.name: [] for look in looks}
    with torch.inference_mode():
        for batch in ordered(images, device):
            add_spectrum(log_spectrum, batch)
            floor.add(batch)
            edges.add(batch)
            for look in looks:
                seen[look.name].append(look.compute(batch).cpu())
    facts = floor.columns() | look_columns(looks, seen, "data")
    return Reference(
        space,
        real,
        log_spectrum.mean(),
        edges,
        scores.of_pairs(shape, weights, device, final=final),
        looks,
        facts,
        final,
    )


class _Floor:
    """How well the mean training image predicts each image: what a model must beat."""

    def __init__(self, train: np.ndarray, device: torch.device) -> None:
        self.mean, self.train = torch.from_numpy(_mean_image(train)).to(device), len(train)
        self.psnr: list[Tensor] = []
        self.ssim: list[Tensor] = []

    def add(self, batch: Tensor) -> None:
        guess = self.mean.expand_as(batch)
        self.psnr.append(pixel.psnr(guess, batch))
        self.ssim.append(pixel.ssim(guess, batch))

    def columns(self) -> Columns:
        counted = f"|mean-of-train={self.train}|n={sum(map(len, self.psnr))}"
        return {
            **spread("psnr_mean_image", self.psnr),
            **spread("ssim_mean_image", self.ssim),
            "psnr_mean_image_signature": pixel.PSNR_SIGNATURE + counted,
            "ssim_mean_image_signature": pixel.SSIM_SIGNATURE + counted,
        }


def _mean_image(images: np.ndarray) -> np.ndarray:
    """Return the mean image in [0, 1], (C, H, W) float32, without a float copy of the set."""
    total = np.zeros(images.shape[1:], np.float64)
    for start in range(0, len(images), 1024):
        total += images[start : start + 1024].sum(0, dtype=np.uint64)
    return (total / (255 * len(images))).astype(np.float32)
