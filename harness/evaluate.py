"""A trained model and a split of real images become measurements, scores and pictures."""

from collections.abc import Iterator
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from harness import device as devices
from harness.appearance import Reference, spread
from harness.batches import batch_size, ordered
from harness.distances import Columns
from harness.measured import (
    IWAE_IMAGES,
    Generations,
    Measured,
    Reconstructions,
    as_bytes,
    squared_error,
)
from harness.metrics import importance, likelihood
from harness.protocol import Protocol
from harness.seeds import generator


def fit_sigma(
    model: Any, images: np.ndarray, protocol: Protocol, axes: tuple, device: torch.device
) -> float:
    """Return the standard deviation of best Gaussian likelihood on these images."""
    noise = generator("posterior", *axes, "sigma")
    total = 0.0
    model.eval()
    with torch.inference_mode():
        for batch, record in _records(model, images, protocol, noise, device):
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
    loss: Any = None,
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
        loss: the trained loss on the device, for a likelihood of its own; None leaves that out.
    """
    model.eval()
    if loss is not None:
        loss.eval()
    with torch.inference_mode():
        found = _reconstructed(model, images, known, protocol, axes, device, loss)
        size = images[0].size
        if sigma is None:
            sigma = found.best_sigma(size)
        found.close(sigma, size)
        metrics = found.metrics(sigma)
        if known.final:
            metrics |= _importance_weighted(model, images, protocol, axes, device, sigma)
        generations = Generations(known)
        count = protocol.generated or len(images)
        for batch in _generate(model, count, axes, device, images.shape[1:], protocol):
            generations.add(batch)
    metrics |= {"images": len(images), **generations.metrics(), **known.facts}
    per_image = found.scores()
    pictures = {**found.pictures(images), **generations.pictures()}
    pictures |= _typical_and_worst(model, images, per_image, device)
    pictures["spectrum_data"] = known.spectrum.numpy().astype(np.float32)
    return Measured(metrics, per_image, pictures)


def _reconstructed(
    model: Any,
    images: np.ndarray,
    known: Reference,
    protocol: Protocol,
    axes: tuple[str | int, ...],
    device: torch.device,
    loss: Any,
) -> Reconstructions:
    found = Reconstructions(known, protocol, loss)
    noise = generator("posterior", *axes, "evaluate")
    for batch, record in _records(model, images, protocol, noise, device):
        recon = record.recon
        if protocol.evaluate_at == "mean":
            with devices.autocast(device, protocol.precision):
                recon = model.decode(record.mu)[1]
        found.add(batch, record, recon.float())
    return found


def _records(
    model: Any,
    images: np.ndarray,
    protocol: Protocol,
    noise: torch.Generator,
    device: torch.device,
) -> Iterator[tuple[Tensor, Any]]:
    """Yield the images batch by batch with the model's record of each."""
    for batch in ordered(images, device):
        with devices.autocast(device, protocol.precision):
            record = model(batch, noise)
        yield batch, record


def _importance_weighted(
    model: Any,
    images: np.ndarray,
    protocol: Protocol,
    axes: tuple[str | int, ...],
    device: torch.device,
    sigma: float,
) -> Columns:
    """Return the columns of the importance-weighted bound, on the first images."""
    noise = generator("posterior", *axes, "importance")
    values = []

    def decode(latent: Tensor) -> Tensor:
        with devices.autocast(device, protocol.precision):
            return cast(Tensor, model.decode(latent)[1]).float()

    for batch in ordered(images[:IWAE_IMAGES], device):
        with devices.autocast(device, protocol.precision):
            mu, logvar = model.encode(batch)
        values.append(
            importance.iwae(decode, mu.float(), logvar.float(), batch, sigma, generator=noise).cpu()
        )
    count = sum(map(len, values))
    signature = f"{importance.iwae_signature()}|fit=validation|n={count}"
    return {**spread("iwae", values), "iwae_signature": signature}


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
    size = batch_size(shape)
    for start in range(0, count, size):
        with devices.autocast(device, protocol.precision):
            batch = model.sample(min(size, count - start), noise)
        yield batch.float()
