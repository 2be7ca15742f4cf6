"""A trained model and a split of real images become measurements, scores and pictures."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from harness import device as devices
from harness.batches import Batches
from harness.metrics import PREFIX, frechet, latent, likelihood, pixel, spectrum
from harness.metrics import features as feature_spaces
from harness.protocol import Protocol
from harness.seeds import generator

# Figure 6 of Bredell et al. averages over 128 images.
SPECTRUM_IMAGES = 128
PICTURES = 16
# Values per evaluation batch: 256 colour images of 64 by 64 pixels.
BATCH_VALUES = 256 * 3 * 64 * 64


@dataclass(frozen=True)
class Measured:
    """What evaluation found: columns of a row, one score per image, arrays for the report."""

    metrics: dict[str, float | int | str | None]
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


def reference(
    images: np.ndarray, train: np.ndarray, protocol: Protocol, device: torch.device, weights: dict
) -> Reference:
    """Measure a split of real images, and how well the mean training image predicts them."""
    space = feature_spaces.make(protocol.features, images.shape[1], weights=weights)
    if isinstance(space, torch.nn.Module):
        space.to(device).eval()
    moments, log_spectrum = frechet.Moments(), spectrum.LogSpectrum()
    mean = torch.from_numpy(_mean_image(train)).to(device)
    psnr, ssim = [], []
    with torch.inference_mode():
        for batch in _batches(images, device):
            moments.update(space(batch))
            _add_spectrum(log_spectrum, batch)
            guess = mean.expand_as(batch)
            psnr.append(pixel.psnr(guess, batch))
            ssim.append(pixel.ssim(guess, batch))
    floor = {**_spread("psnr_mean_image", psnr), **_spread("ssim_mean_image", ssim)}
    return Reference(space, moments, log_spectrum.mean(), floor)


def fit_sigma(
    model: Any, images: np.ndarray, protocol: Protocol, axes: tuple, device: torch.device
) -> float:
    """Return the standard deviation of best Gaussian likelihood on these images."""
    noise = generator("posterior", *axes, "sigma")
    total = 0.0
    model.eval()
    with torch.inference_mode():
        for batch in _batches(images, device):
            with devices.autocast(device, protocol.precision):
                record = model(batch, noise)
            total += float(_squared_error(record.recon.float(), batch).sum())
    return likelihood.optimal_sigma(total, images.size)


def evaluate(
    model: Any,
    images: np.ndarray,
    known: Reference,
    protocol: Protocol,
    *,
    axes: tuple[str | int, ...],
    device: torch.device,
    sigma: float | None,
) -> Measured:
    """Score reconstructions and generations of `model` against `images`.

    Args:
        model: the trained VAE.
        images: uint8 (N, C, H, W), the split to score on.
        known: `reference` of the same images.
        protocol: where to evaluate the posterior, how many images to generate.
        axes: (dataset, model, seed): noise depends on these alone, never on the loss.
        device: where to compute.
        sigma: standard deviation of the Gaussian ELBO, from `fit_sigma` on validation images;
            None when these are the validation images.
    """
    model.eval()
    with torch.inference_mode():
        found = _Reconstructions(known, protocol)
        noise = generator("posterior", *axes, "evaluate")
        for batch in _batches(images, device):
            with devices.autocast(device, protocol.precision):
                record = model(batch, noise)
                recon = (
                    model.decode(record.mu)[1] if protocol.evaluate_at == "mean" else record.recon
                )
            found.add(batch, record, recon.float())
        found.close(sigma, images[0].size)
        count = protocol.generated or len(images)
        made = _generate(model, count, axes, device, images.shape[1:], protocol)
        generations = _Generations(known)
        for batch in made:
            generations.add(batch)
    metrics = {**found.metrics(len(images)), **generations.metrics(known, protocol, len(images))}
    scores = found.scores()
    pictures = {**found.pictures(images), **generations.pictures()}
    pictures |= _typical_and_worst(model, images, scores, device)
    pictures["spectrum_data"] = known.spectrum.numpy().astype(np.float32)
    return Measured({**metrics, **_floor(known)}, scores, pictures)


class _Reconstructions:
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
        self.errors.append(_squared_error(record.recon.float(), batch).cpu())
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
        _add_spectrum(self.spectrum, recon)
        if sum(map(len, self.shown)) < PICTURES:
            self.shown.append(_bytes(recon))

    def close(self, sigma: float | None, size: int) -> None:
        """Fit σ on these images, unless it was fitted on others, and take the bound."""
        errors, kl = torch.cat(self.errors), torch.cat(self.values["kl"])
        if sigma is None:
            sigma = likelihood.optimal_sigma(float(errors.sum()), len(errors) * size)
        self.sigma = sigma
        self.values["elbo_sigma"] = [likelihood.elbo_sigma(errors, kl, size, sigma)]

    def metrics(self, count: int) -> dict[str, float | int | str | None]:
        found: dict[str, float | int | str | None] = {}
        for name, values in self.values.items():
            found |= _spread(name, values)
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


class _Generations:
    """Accumulates what is measured on images decoded from prior noise."""

    def __init__(self, known: Reference) -> None:
        self.known = known
        self.moments, self.spectrum = frechet.Moments(), spectrum.LogSpectrum()
        self.shown: np.ndarray | None = None

    def add(self, batch: Tensor) -> None:
        if self.shown is None:
            self.shown = _bytes(batch[:PICTURES])
        self.moments.update(self.known.features(batch))
        _add_spectrum(self.spectrum, batch)

    def metrics(
        self, known: Reference, protocol: Protocol, count: int
    ) -> dict[str, float | int | str | None]:
        found = _distances("gen", self.moments, self.spectrum, known, protocol)
        return {"images": count, "generated": self.moments.count, **found}

    def pictures(self) -> dict[str, np.ndarray]:
        shown = self.shown if self.shown is not None else np.zeros((0,), np.uint8)
        return {"samples": shown, "spectrum_gen": self.spectrum.mean().numpy().astype(np.float32)}


def _typical_and_worst(
    model: Any, images: np.ndarray, scores: pd.DataFrame, device: torch.device
) -> dict[str, np.ndarray]:
    """Decode the median and the worst image by SSIM once more, at the posterior's mean."""
    ranked = scores["ssim"].to_numpy().argsort(kind="stable")
    found: dict[str, np.ndarray] = {}
    for name, index in (("worst", int(ranked[0])), ("median", int(ranked[len(ranked) // 2]))):
        image = torch.from_numpy(images[index : index + 1].copy()).to(device).float().div(255)
        with torch.inference_mode():
            recon = model.decode(model.encode(image)[0])[1]
        found |= {
            f"{name}_index": np.asarray(index),
            f"{name}_input": np.ascontiguousarray(images[index]),
            f"{name}_recon": _bytes(recon.float())[0],
        }
    return found


def _generate(
    model: Any,
    count: int,
    axes: tuple[str | int, ...],
    device: torch.device,
    shape: tuple[int, ...],
    protocol: Protocol,
) -> Iterator[Tensor]:
    noise = generator("prior", *axes, "evaluate")
    size = _batch_size(shape)
    for start in range(0, count, size):
        with devices.autocast(device, protocol.precision):
            batch = model.sample(min(size, count - start), noise)
        yield batch.float()


def _distances(
    suffix: str,
    moments: frechet.Moments,
    log_spectrum: spectrum.LogSpectrum,
    known: Reference,
    protocol: Protocol,
) -> dict[str, float | int | str | None]:
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


def _floor(known: Reference) -> dict[str, float | int | str | None]:
    return {
        **known.floor,
        "psnr_mean_image_signature": pixel.PSNR_SIGNATURE + "|mean-of-train",
        "ssim_mean_image_signature": pixel.SSIM_SIGNATURE + "|mean-of-train",
    }


def _spread(name: str, values: list[Tensor]) -> dict[str, float]:
    """Return the mean over images and their standard deviation (n - 1)."""
    joined = torch.cat(values).double()
    spread = float(joined.std()) if len(joined) > 1 else 0.0
    return {name: float(joined.mean()), f"{name}_std": spread}


def _squared_error(recon: Tensor, target: Tensor) -> Tensor:
    return (recon - target).double().square().sum((1, 2, 3))


def _add_spectrum(accumulated: spectrum.LogSpectrum, images: Tensor) -> None:
    missing = SPECTRUM_IMAGES - accumulated.images
    if missing > 0:
        accumulated.update(images[:missing])


def _mean_image(images: np.ndarray) -> np.ndarray:
    """Return the mean image in [0, 1], (C, H, W) float32, without a float copy of the set."""
    total = np.zeros(images.shape[1:], np.float64)
    for start in range(0, len(images), 1024):
        total += images[start : start + 1024].sum(0, dtype=np.uint64)
    return (total / (255 * len(images))).astype(np.float32)


def _batch_size(shape: tuple[int, ...]) -> int:
    return max(1, min(1024, BATCH_VALUES // math.prod(shape)))


def _batches(images: np.ndarray, device: torch.device) -> Iterator[Tensor]:
    return Batches(images, _batch_size(images.shape[1:]), device).ordered()


def _bytes(images: Tensor) -> np.ndarray:
    found: np.ndarray = images.clamp(0, 1).mul(255).round().to(torch.uint8).cpu().numpy()
    return found
