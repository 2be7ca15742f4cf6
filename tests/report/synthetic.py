"""A results folder made up of invented numbers: nothing here was trained or measured."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from harness.files import write_atomically
from harness.metrics import METRICS
from harness.store import Store

PROTOCOL: dict[str, Any] = {
    "epochs": 12,
    "tuning_epochs": 4,
    "batch": 64,
    "lr": 0.001,
    "optimizer": "adam",
    "schedule": "constant",
    "latent": 32,
    "features": "random",
    "objective": "frd_gen",
    "direction": "minimize",
    "beta": None,
    "beta_range": [0.01, 10.0],
    "select_on": "validation",
    "evaluate_at": "mean",
    "precision": "float32",
}

# blur of reconstructions in pixels, PSNR, SSIM, KL, FRD gen., step time over l2
CHARACTER: dict[str, tuple[float, float, float, float, float, float]] = {
    "l2": (1.3, 21.40, 0.6100, 60.0, 0.1800, 1.00),
    "l1": (1.2, 21.20, 0.6200, 66.0, 0.1700, 1.01),
    "ce": (1.4, 21.30, 0.6000, 58.0, 0.1900, 1.05),
    "ssim": (0.8, 19.10, 0.7000, 90.0, 0.1210, 1.31),
    "sigma": (1.0, 21.35, 0.6300, 120.0, 0.1350, 1.04),
    "ffl": (0.7, 20.80, 0.6500, 95.0, 0.1205, 1.42),
    "blur": (0.9, 20.90, 0.6400, 88.0, 0.1300, 1.90),
}


def character(loss: str) -> tuple[float, float, float, float, float, float]:
    """The invented character of a loss: tabulated, or drawn from its name."""
    if loss in CHARACTER:
        return CHARACTER[loss]
    rng = np.random.default_rng(list(loss.encode()))
    return (
        rng.uniform(0.6, 1.8),
        rng.uniform(18, 22),
        rng.uniform(0.5, 0.7),
        rng.uniform(40, 140),
        rng.uniform(0.12, 0.3),
        rng.uniform(1, 2.5),
    )


def photographs(count: int, side: int, channels: int, seed: int) -> NDArray[np.float64]:
    """Crops `(n, C, H, W)` in [0, 1] of the photograph in scikit-image's wheel."""
    import skimage

    folder = Path(skimage.__file__).parent / "data"
    picture = np.asarray(Image.open(folder / "astronaut.png").convert("RGB"), dtype=float) / 255
    picture = np.asarray(Image.fromarray((picture * 255).astype(np.uint8)).resize((256, 256))) / 255
    rng = np.random.default_rng(seed)
    corners = rng.integers(0, 256 - side, size=(count, 2))
    crops = np.stack([picture[y : y + side, x : x + side] for y, x in corners])
    crops = np.moveaxis(crops, -1, 1)
    return crops if channels == 3 else crops.mean(axis=1, keepdims=True)


def log_spectrum(images: NDArray[np.float64]) -> NDArray[np.float32]:
    """Mean log amplitude, zero frequency in the middle."""
    spectrum = np.log(np.abs(np.fft.fft2(images)) + 1e-8).mean(axis=(0, 1))
    return np.fft.fftshift(spectrum).astype(np.float32)


def row(cell: dict[str, Any], stage: str, number: int, beta: float, **more: Any) -> dict[str, Any]:
    """One made-up row of a cell."""
    _, psnr, ssim, kl, frd, cost = character(cell["loss"])
    rng = np.random.default_rng([number, *cell["id"].encode(), len(stage)])
    off = abs(np.log10(beta / 0.3))
    metrics: dict[str, Any] = {
        "psnr": psnr - 0.8 * off + rng.normal(0, 0.03),
        "psnr_std": 2.1,
        "ssim": ssim - 0.03 * off + rng.normal(0, 0.002),
        "ssim_std": 0.08,
        "mse": 10 ** (-(psnr - 0.8 * off) / 10),
        "kl": kl / (1 + beta) + rng.normal(0, 0.5),
        "kl_std": 9.0,
        "active_units": 28,
        "elbo_sigma": 1500 + 40 * (psnr - 20) - kl,
        "elbo_sigma_std": 210.0,
        "frd_recon": frd * 0.6,
        "frd_gen": frd * (1 + 0.5 * off) + rng.normal(0, 0.0015),
        "spectrum_recon": 0.3 + character(cell["loss"])[0] / 3,
        "spectrum_gen": 0.4 + character(cell["loss"])[0] / 3,
        "psnr_mean_image": 13.87,
        "ssim_mean_image": 0.1234,
    }
    signatures = {
        f"{name}_signature": f"{name}|synthetic|v1" for name in METRICS if name in metrics
    }
    epochs = 4 if stage == "tune" else 12
    t = np.arange(1, epochs + 1)
    return {
        "cell": cell["id"],
        "dataset": cell["dataset"],
        "model": cell["model"],
        "loss": cell["loss"],
        "stage": stage,
        "trial": number if stage == "tune" else None,
        "seed": number if stage == "final" else None,
        "split": "validation" if stage == "tune" else "test",
        "beta": beta,
        "beta_source": beta / 3072,
        "status": "ok",
        "epochs": float(epochs),
        "images_seen": epochs * 1000,
        "seconds": epochs * cost,
        "seconds_evaluate": 0.7,
        "images_per_second": 4000 / cost * (1 + 0.01 * number),
        "peak_memory_mib": 800 + 120 * cost,
        "parameters": 1_234_567,
        "parameters_loss": 0,
        "latent": 32,
        "images": 40,
        "generated": 256,
        "curve_epoch": [float(x) for x in t],
        "curve_energy": [float(x) for x in 900 * np.exp(-t / 4) + 100],
        "curve_kl": [float(x) for x in kl * (1 - np.exp(-t / 3)) / (1 + beta)],
        "density": cell["loss"] == "sigma",
        "batch_coupled": cell["loss"] == "ffl",
        "objective": "frd_gen",
        "device": "cpu",
        "device_name": "Synthetic CPU",
        "precision": "float32",
        "threads": 2,
        "data_hash": f"data-{cell['dataset']}",
        "source_digest": "aaaaaaaa-bbbbbbbb",
        "harness_version": "0.0.0",
        "torch_version": "0.0",
        "python_version": "3.11",
        "created": f"2026-01-0{2 if stage == 'final' else 1}T00:00:{number:02d}.000000+00:00",
        **metrics,
        **signatures,
        **more,
    }


def describe(dataset: str, loss: str, seeds: int, trials: int = 4) -> dict[str, Any]:
    """A cell as a grid describes it."""
    slug = "".join(c if c.isalnum() else "-" for c in loss)
    return {
        "id": f"{dataset.replace('/', '-')}-conv4-{slug}-{abs(hash_of(dataset + loss)):08x}",
        "dataset": dataset,
        "model": "conv4",
        "loss": loss,
        "seeds": seeds,
        "trials": trials,
        "protocol": {**PROTOCOL, "trials": trials, "beta": None if trials else 0.1},
    }


def hash_of(text: str) -> int:
    """A number that is the same in every process."""
    return sum((index + 1) * byte for index, byte in enumerate(text.encode()))


def write_cell(store: Store, cell: dict[str, Any], images: int = 8, side: int = 32) -> None:
    """Store trials, seeds, scores and (unless `images` is 0) pictures of an ok cell."""
    for trial, beta in enumerate(np.geomspace(0.01, 10, max(cell["trials"], 1))):
        if cell["trials"]:
            store.write(row(cell, "tune", trial, float(beta)))
    for seed in range(cell["seeds"]):
        store.write(row(cell, "final", seed, 0.1))
        write_scores(store, cell, seed)
        if images:
            write_pictures(store, cell, seed, images, side)


def write_scores(store: Store, cell: dict[str, Any], seed: int) -> None:
    """Store scores per image whose mean is that of the row, and which are paired over losses."""
    final = row(cell, "final", seed, 0.1)
    images = np.random.default_rng(0)
    own = np.random.default_rng([1, *cell["id"].encode()])
    frame = pd.DataFrame({"index": np.arange(40)})
    for metric, wide, narrow in (("psnr", 2.0, 0.05), ("ssim", 0.08, 0.004), ("kl", 9.0, 1.0)):
        values = images.normal(0, wide, 40) + own.normal(0, narrow, 40)
        frame[metric] = values - values.mean() + final[metric]
    stream = io.BytesIO()
    frame.to_parquet(stream)
    path = store.artefact("scores", cell["id"], seed, "parquet")
    write_atomically(path, lambda target: target.write(stream.getvalue()))


def write_pictures(store: Store, cell: dict[str, Any], seed: int, count: int, side: int) -> None:
    """Store crops of a photograph, blurred by as much as the loss's character says."""
    channels = 1 if cell["dataset"].startswith("digits") else 3
    blur = character(cell["loss"])[0] * (1 + 0.05 * seed)
    inputs = photographs(count, side, channels, seed=7)
    latents = photographs(count, side, channels, seed=11)
    soft = [gaussian_filter(x, (0, 0, s, s)) for x, s in ((inputs, blur), (latents, 1.5 * blur))]
    content = {
        "indices": np.arange(count) * 13,
        **{
            name: (255 * values).round().astype(np.uint8)
            for name, values in zip(("inputs", "recon", "samples"), (inputs, *soft), strict=True)
        },
        "median_index": np.int64(26),
        "worst_index": np.int64(39),
        "spectrum_data": log_spectrum(inputs),
        "spectrum_recon": log_spectrum(soft[0]),
        "spectrum_gen": log_spectrum(soft[1]),
    }
    for name, index in (("median", 2), ("worst", 3)):
        content[f"{name}_input"] = content["inputs"][index]
        content[f"{name}_recon"] = content["recon"][index]
    stream = io.BytesIO()
    np.savez(stream, **content)
    path = store.artefact("images", cell["id"], seed, "npz")
    write_atomically(path, lambda target: target.write(stream.getvalue()))


def write_grid(store: Store, cells: list[dict[str, Any]]) -> None:
    """Store the grid's description."""
    store.write_grid(
        {
            "name": store.name,
            "title": "Synthetic grid",
            "command": f"harness run --grid {store.name}",
            "created": "2026-01-01T00:00:00.000000+00:00",
            "cells": cells,
        }
    )


def build(root: Path, *, side: int = 32, images: int = 8, full: bool = True) -> Store:
    """A grid of two groups with every state a cell can be in.

    Unless `full`, the second group has a fixed β, so no trials, and no pictures.
    """
    trials = 4 if full else 0
    store = Store(root)
    store.prepare()
    photos = [describe("photos32", loss, 3) for loss in (*CHARACTER, "lpips", r"odd_50%\{x}")]
    digits = [describe("digits[size=28]", loss, 1, trials) for loss in ("l2", "ce", "ssim", "l1")]
    for cell in photos[:5]:
        write_cell(store, cell, images, side)
    _stale(store, photos[5])
    _diverged(store, photos[6])
    _unavailable(store, photos[7])
    for cell in digits[:3]:
        write_cell(store, cell, images if full else 0, side)
    write_grid(store, photos + digits)
    return store


def _stale(store: Store, cell: dict[str, Any]) -> None:
    store.write(
        row(
            cell,
            "final",
            0,
            0.3,
            source_digest="eeeeeeee-bbbbbbbb",
            created="2025-12-01T00:00:00.000000+00:00",
        )
    )


def _diverged(store: Store, cell: dict[str, Any]) -> None:
    for seed in (0, 2):
        store.write(row(cell, "final", seed, 0.1, beta_flag="low"))
    lost = {name: None for name in row(cell, "final", 1, 0.3) if name in METRICS}
    store.write(
        row(cell, "final", 1, 0.3, **lost)
        | {"status": "diverged", "cause": "the loss was not finite at step 321"}
    )


def _unavailable(store: Store, cell: dict[str, Any]) -> None:
    known = ("cell", "dataset", "model", "loss", "stage", "seed", "created")
    full = row(cell, "final", 0, 0.3)
    store.write(
        {name: full[name] for name in known}
        | {"status": "unavailable", "cause": "weights lpips-vgg are not here: harness prepare"}
    )
