"""A trained model and a split of real images become measurements, scores and pictures."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from harness import device as devices
from harness.batches import Batches
from harness.measured import (
    Columns,
    Generations,
    Measured,
    Reconstructions,
    Reference,
    add_spectrum,
    as_bytes,
    spread,
    squared_error,
)
from harness.metrics import features as feature_spaces
from harness.metrics import frechet, likelihood, pixel, spectrum
from harness.protocol import Protocol
from harness.seeds import generator

# Values per evaluation batch: 256 colour images of 64 by 64 pixels.
BATCH_VALUES = 256 * 3 * 64 * 64


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
            add_spectrum(log_spectrum, batch)
            guess = mean.expand_as(batch)
            psnr.append(pixel.psnr(guess, batch))
            ssim.append(pixel.ssim(guess, batch))
    floor = {**spread("psnr_mean_image", psnr), **spread("ssim_mean_image", ssim)}
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
            total += float(squared_error(record.recon.float(), batch).sum())
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
        found = Reconstructions(known, protocol)
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
        generations = Generations(known)
        for batch in made:
            generations.add(batch)
    metrics = {**found.metrics(len(images)), **generations.metrics(known, protocol, len(images))}
    scores = found.scores()
    pictures = {**found.pictures(images), **generations.pictures()}
    pictures |= _typical_and_worst(model, images, scores, device)
    pictures["spectrum_data"] = known.spectrum.numpy().astype(np.float32)
    return Measured({**metrics, **_floor(known)}, scores, pictures)


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
            f"{name}_recon": as_bytes(recon.float())[0],
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


def _floor(known: Reference) -> Columns:
    return {
        **known.floor,
        "psnr_mean_image_signature": pixel.PSNR_SIGNATURE + "|mean-of-train",
        "ssim_mean_image_signature": pixel.SSIM_SIGNATURE + "|mean-of-train",
    }


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
