"""What evaluation accumulates, batch by batch, and what it comes to."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from harness.metrics import PREFIX, frechet, latent, likelihood, pixel, spectrum
from harness.protocol import Protocol

# Figure 6 of Bredell et al. averages over 128 images.
SPECTRUM_IMAGES = 128
PICTURES = 16

Columns = dict[str, float | int | str | None]


@dataclass(frozen=True)
class Measured:
    """What evaluation found: columns of a row, one score per image, arrays for the report."""

    metrics: Columns
    scores: pd.DataFrame
    pictures: dict[str, np.ndarray]

    @property
    def finite(self) -> bool:
        """Whether every number of the row is finite."""
        return all(math.isfinite(v) for v in self.metrics.values() if isinstance(v, (int, float)))


@dataclass(frozen=True)
class Reference:
    """What is known of a split before any model: features, spectrum, and the trivial floor."""

    features: Any
    moments: frechet.Moments
    spectrum: Tensor
    floor: dict[str, float]


class Reconstructions:
    """Accumulates what is measured on reconstructions."""

    def __init__(self, known: Reference, protocol: Protocol) -> None:
        self.known, self.protocol, self.sigma = known, protocol, float("nan")
        self.moments, self.spectrum = frechet.Moments(), spectrum.LogSpectrum()
        self.units = latent.ActiveUnits()
        self.values: dict[str, list[Tensor]] = {name: [] for name in ("psnr", "ssim", "mse", "kl")}
        self.errors: list[Tensor] = []
        self.shown: list[np.ndarray] = []

    def add(self, batch: Tensor, record: Any, recon: Tensor) -> None:
        kl = latent.kl_divergence(record.mu.float(), record.logvar.float())
        # The bound is an expectation over the posterior, so it takes the sampled latent.
        self.errors.append(squared_error(record.recon.float(), batch).cpu())
        found = {
            "psnr": pixel.psnr(recon, batch),
            "ssim": pixel.ssim(recon, batch),
            "mse": pixel.mse(recon, batch),
            "kl": kl,
        }
        for name, value in found.items():
            self.values[name].append(value.cpu())
        self.units.update(record.mu.float())
        self.moments.update(self.known.features(recon))
        add_spectrum(self.spectrum, recon)
        if sum(map(len, self.shown)) < PICTURES:
            self.shown.append(as_bytes(recon))

    def close(self, sigma: float | None, size: int) -> None:
        """Fit σ on these images, unless it was fitted on others, and take the bound."""
        errors, kl = torch.cat(self.errors), torch.cat(self.values["kl"])
        if sigma is None:
            sigma = likelihood.optimal_sigma(float(errors.sum()), len(errors) * size)
        self.sigma = sigma
        self.values["elbo_sigma"] = [likelihood.elbo_sigma(errors, kl, size, sigma)]

    def metrics(self, count: int) -> Columns:
        found: Columns = {}
        for name, values in self.values.items():
            found |= spread(name, values)
        at = f"|at={self.protocol.evaluate_at}|n={count}"
        signatures = {
            "psnr": pixel.PSNR_SIGNATURE + at,
            "ssim": pixel.SSIM_SIGNATURE + at,
            "mse": pixel.MSE_SIGNATURE + at,
            "kl": f"{latent.KL_SIGNATURE}|n={count}",
            "elbo_sigma": f"{likelihood.ELBO_SIGNATURE}|at=sample|fit=validation|n={count}",
            "sigma_optimal": f"{likelihood.SIGMA_SIGNATURE}|at=sample|fit=validation",
            "active_units": f"{latent.ACTIVE_UNITS_SIGNATURE}|n={count}",
        }
        found |= {"sigma_optimal": self.sigma, "active_units": self.units.active()}
        found |= {f"{name}_signature": text for name, text in signatures.items()}
        return found | _distances("recon", self.moments, self.spectrum, self.known, self.protocol)

    def scores(self) -> pd.DataFrame:
        columns = {name: torch.cat(values).numpy() for name, values in self.values.items()}
        frame = pd.DataFrame(columns)
        frame.insert(0, "index", np.arange(len(frame)))
        return frame

    def pictures(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Keep the first images of the split: a fixed choice, the same for every loss."""
        recon = np.concatenate(self.shown)[:PICTURES]
        return {
            "indices": np.arange(len(recon), dtype=np.int64),
            "inputs": np.ascontiguousarray(images[: len(recon)]),
            "recon": recon,
            "spectrum_recon": self.spectrum.mean().numpy().astype(np.float32),
        }


class Generations:
    """Accumulates what is measured on images decoded from prior noise."""

    def __init__(self, known: Reference) -> None:
        self.known = known
        self.moments, self.spectrum = frechet.Moments(), spectrum.LogSpectrum()
        self.shown: np.ndarray | None = None

    def add(self, batch: Tensor) -> None:
        if self.shown is None:
            self.shown = as_bytes(batch[:PICTURES])
        self.moments.update(self.known.features(batch))
        add_spectrum(self.spectrum, batch)

    def metrics(self, known: Reference, protocol: Protocol, count: int) -> Columns:
        found = _distances("gen", self.moments, self.spectrum, known, protocol)
        return {"images": count, "generated": self.moments.count, **found}

    def pictures(self) -> dict[str, np.ndarray]:
        shown = self.shown if self.shown is not None else np.zeros((0,), np.uint8)
        return {"samples": shown, "spectrum_gen": self.spectrum.mean().numpy().astype(np.float32)}


def _distances(
    suffix: str,
    moments: frechet.Moments,
    log_spectrum: spectrum.LogSpectrum,
    known: Reference,
    protocol: Protocol,
) -> Columns:
    prefix = PREFIX[protocol.features]
    difference, signed = spectrum.spectral_difference(log_spectrum.mean(), known.spectrum)
    counted = f"|images={log_spectrum.images}"
    return {
        f"{prefix}_{suffix}": frechet.frechet_distance(moments, known.moments),
        f"{prefix}_{suffix}_signature": frechet.signature(
            known.features.signature, moments.count, known.moments.count
        ),
        f"spectrum_{suffix}": difference,
        f"spectrum_{suffix}_signature": spectrum.SPECTRUM_SIGNATURE + counted,
        f"spectrum_{suffix}_signed": signed,
        f"spectrum_{suffix}_signed_signature": spectrum.SPECTRUM_SIGNED_SIGNATURE + counted,
    }


def spread(name: str, values: list[Tensor]) -> dict[str, float]:
    """Return the mean over images and their standard deviation (n - 1)."""
    joined = torch.cat(values).double()
    spread = float(joined.std()) if len(joined) > 1 else 0.0
    return {name: float(joined.mean()), f"{name}_std": spread}


def squared_error(recon: Tensor, target: Tensor) -> Tensor:
    return (recon - target).double().square().sum((1, 2, 3))


def add_spectrum(accumulated: spectrum.LogSpectrum, images: Tensor) -> None:
    missing = SPECTRUM_IMAGES - accumulated.images
    if missing > 0:
        accumulated.update(images[:missing])


def as_bytes(images: Tensor) -> np.ndarray:
    found: np.ndarray = images.clamp(0, 1).mul(255).round().to(torch.uint8).cpu().numpy()
    return found
