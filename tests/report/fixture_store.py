"""A results folder with every cell of every table of the documents. SYNTHETIC: nothing here was
trained or measured. Its numbers lie near the printed ones, so that tables and verdicts look as they
would; for tests and the report's benchmark alone.

    python tests/report/fixture_store.py FOLDER

writes it in full to FOLDER: 42 cells of 19 trials and 5 seeds and 17 cells of 4 trials and 3 seeds,
which the documents show without numbers, 1,127 rows, with scores of 2,000 images and 16 pictures
per final model, and kernels over the epochs where a loss predicts some.
"""

import io
import json
import sys
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import synthetic
from scipy.ndimage import gaussian_filter

from harness import grid
from harness.files import write_atomically
from harness.metrics import METRICS
from harness.report import published
from harness.store import Store

SIDES = {
    "celeba64": 64,
    "celebahq256": 256,
    "hcp64": 64,
    "cifar10": 32,
    "mnist28": 28,
    "mnist32": 32,
}
GREY = ("hcp64", "mnist")
WITHOUT_NUMBERS = ("paper", "sharpness", "stft-ablation")  # have what documents say in words
EPOCHS = 100
SNAPSHOTS = np.arange(5, EPOCHS + 1, 5)  # the epochs after which kernels are kept
# What the documents do not print but a run stores: a number of the usual size.
USUAL = {
    "lpips": 0.11, "ms_ssim": 0.9, "ssim_padded": 0.63, "lpips_vgg": 0.25, "phase_error": 1.1,
    "lfd": 9.0, "elbo_bpd": 5.1, "nll_sigma": 1400.0, "iwae": 1500.0, "sigma_optimal": 0.08,
    "fid_recon": 41.0, "fid_gen": 58.0, "fid_gen_infinity": 55.0, "kid_recon": 31.0,
    "kid_gen": 44.0, "precision_gen": 0.6, "recall_gen": 0.2, "density_gen": 0.5,
    "coverage_gen": 0.4, "sharpness_recon": 0.6, "sharpness_gen": 0.5, "spectrum_high_recon": 0.7,
    "spectrum_high_gen": 0.9, "spectrum_recon_signed": 0.5, "spectrum_gen_signed": 0.6,
    "blur_recon": 0.4, "blur_gen": 0.5,
}  # fmt: skip
PER_IMAGE = ("psnr", "ssim", "lpips", "mse", "kl")
Cell = dict[str, Any]


@dataclass(frozen=True)
class Size:
    """How much of it there is; the default is a small one for tests."""

    seeds: int = 1
    trials: int = 2
    others: bool = True  # also the cells of grids whose documents print no numbers of them
    scores: int = 40
    pictures: int = 4
    side: int | None = 16  # of all pictures; None: of each dataset its own


FULL = Size(seeds=5, trials=19, scores=2000, pictures=16, side=None)


def build(root: Path, size: Size | None = None, document: str | None = None) -> Store:
    """Store the cells of all documents' tables, or of one document's."""
    size, store = size or Size(), Store(root)
    store.prepare()
    cells = []
    printed = _printed(document)
    few = replace(size, trials=min(4, size.trials), seeds=min(3, size.seeds))
    others = _without_numbers() if document is None and size.others else []
    for key in dict.fromkeys([*printed, *others]):
        own = size if key in printed else few
        cells.append(_describe(*key, own))
        _write(store, cells[-1], printed.get(key) or _near(printed, key), own)
    synthetic.write_grid(store, cells)
    return store


def _near(
    printed: dict[tuple[str, str, str], dict[str, float]], key: tuple[str, str, str]
) -> dict[str, float]:
    """Numbers near those of the loss that a cell is a variant of, none where that has none."""
    own = np.random.default_rng(list(key[2].encode()))
    plain = printed.get((*key[:2], key[2].partition("[")[0]), {})
    return {metric: value * own.uniform(0.97, 1.02) for metric, value in plain.items()}


def _without_numbers() -> list[tuple[str, str, str]]:
    """The cells of the grids whose documents print no table of them."""
    cells = [cell for name in WITHOUT_NUMBERS for cell in grid.load(name).cells()]
    return [(cell.dataset.spec, cell.model.spec, cell.loss_spec) for cell in cells]


def _printed(document: str | None) -> dict[tuple[str, str, str], dict[str, float]]:
    """The printed numbers of every cell; FID in the usual scale, a thousand times the printed."""
    found: dict[tuple[str, str, str], dict[str, float]] = {}
    for each in published.rows(document):
        scale = 1000 if each.metric.startswith("fid") else 1
        own = found.setdefault((each.dataset, each.model, each.spec), {})
        own.setdefault(each.metric, scale * each.value)
    return found


def _describe(dataset: str, model: str, loss: str, size: Size) -> Cell:
    cell = synthetic.describe(dataset, loss, size.seeds, size.trials)
    cell |= {"model": model, "id": f"{cell['id']}-{model}".replace("[", "-").replace("]", "-")}
    features = "random" if _is_grey(dataset) else "inception"
    objective = "frd_gen" if _is_grey(dataset) else "fid_gen"
    cell["protocol"] |= {"epochs": EPOCHS, "features": features, "objective": objective}
    return cell


def _is_grey(dataset: str) -> bool:
    return dataset.startswith(GREY)


def _write(store: Store, cell: Cell, printed: dict[str, float], size: Size) -> None:
    betas = np.geomspace(0.01, 10, size.trials)
    trials = [_row(cell, "tune", n, float(beta), printed) for n, beta in enumerate(betas)]
    for row in trials:
        store.write(row)
    best = min(trials, key=lambda row: float(row[cell["protocol"]["objective"]]))
    for seed in range(size.seeds):
        row = _row(cell, "final", seed, best["beta"], printed)
        store.write(row)
        _write_scores(store, cell, seed, row, size.scores)
        if size.pictures:
            _write_pictures(store, cell, seed, size)
        if size.pictures and seed == 0 and _predicts_kernels(cell["loss"]):
            _write_kernels(store, cell, size)


def _predicts_kernels(loss: str) -> bool:
    return loss.startswith("blur") and "gaussian" not in loss


def _options(loss: str) -> str:
    """The options of a loss as rows hold them; of all there are, those that the report reads."""
    warmup = 20 if "warmup=20" in loss else 10
    options = {"warmup": warmup} if _predicts_kernels(loss) else {}
    return json.dumps([{"name": loss.partition("[")[0], "options": options, "weight": 1.0}])


def _row(
    cell: Cell, stage: str, number: int, beta: float, printed: dict[str, float]
) -> dict[str, Any]:
    """Invented numbers: the printed ones, worse by up to a tenth far from β = 0.3."""
    rng = np.random.default_rng([number, len(stage), *cell["id"].encode()])
    own = np.random.default_rng(list(cell["loss"].encode()))
    usual = {name: value * own.uniform(0.85, 1.15) for name, value in USUAL.items()}
    wanted = {**usual, **printed}
    if _is_grey(cell["dataset"]):
        wanted = {name: x for name, x in wanted.items() if not name.startswith(("fid", "kid"))}
    off = 0.05 * abs(np.log10(beta / 0.3))
    metrics = {
        name: value * (1 + (-off if METRICS[name].direction == "maximize" else off))
        * (1 + rng.normal(0, 0.004))
        for name, value in wanted.items()
    }  # fmt: skip
    spreads = {
        f"{name}_std": 0.1 * abs(value) for name, value in metrics.items() if METRICS[name].spread
    }
    signatures = {f"{name}_signature": f"{name}|synthetic|v1" for name in metrics}
    channels, side = (1 if _is_grey(cell["dataset"]) else 3), _side(cell["dataset"])
    curves = _curves(cell, number, beta) if stage == "final" else {}
    return synthetic.row(
        cell, stage, number, beta, **metrics, **spreads, **signatures, **curves,
        objective=cell["protocol"]["objective"], image_shape=f"{channels}x{side}x{side}",
        loss_options=_options(cell["loss"]),
    )  # fmt: skip


def _curves(cell: Cell, seed: int, beta: float) -> dict[str, Any]:
    """A training of 100 epochs: the energy falls, the KL rises, each loss at its own pace."""
    own = np.random.default_rng([11, *cell["loss"].encode()])
    noise = np.random.default_rng([seed, 13, *cell["id"].encode()])
    t, pace, level = np.arange(1, EPOCHS + 1), own.uniform(5, 25), own.uniform(60, 120)
    energy = (900 * np.exp(-t / pace) + 100) * (1 + noise.normal(0, 0.01, EPOCHS))
    kl = level * (1 - np.exp(-t / (2 * pace))) / (1 + beta) * (1 + noise.normal(0, 0.01, EPOCHS))
    columns = {"curve_epoch": t, "curve_energy": energy, "curve_kl": kl}
    return {"epochs": float(EPOCHS)} | {name: [float(x) for x in y] for name, y in columns.items()}


def _side(dataset: str) -> int:
    return next(side for name, side in SIDES.items() if dataset.startswith(name))


def _write_scores(store: Store, cell: Cell, seed: int, row: dict[str, Any], count: int) -> None:
    """Scores whose means are the row's; what an image is like is the same for all losses."""
    images = np.random.default_rng(0)
    own = np.random.default_rng([seed, 7, *cell["id"].encode()])
    frame = pd.DataFrame({"index": np.arange(count)})
    for metric in PER_IMAGE:
        width = 0.1 * abs(row[metric])
        values = images.normal(0, width, count) + own.normal(0, 0.2 * width, count)
        frame[metric] = values - values.mean() + row[metric]
    stream = io.BytesIO()
    frame.to_parquet(stream)
    path = store.artefact("scores", cell["id"], seed, "parquet")
    write_atomically(path, lambda target: target.write(stream.getvalue()))


def _write_pictures(store: Store, cell: Cell, seed: int, size: Size) -> None:
    """Crops of a photograph, blurred as the loss's invented character says."""
    side, grey = size.side or _side(cell["dataset"]), _is_grey(cell["dataset"])
    blur = synthetic.character(cell["loss"])[0] * (1 + 0.05 * seed)
    inputs = _crops(size.pictures, side, grey, 7)
    soft = [
        gaussian_filter(images, (0, 0, width, width))
        for images, width in ((inputs, blur), (_crops(size.pictures, side, grey, 11), 1.5 * blur))
    ]
    content: dict[str, Any] = {"indices": np.arange(size.pictures) * 13}
    for name, images in zip(("inputs", "recon", "samples"), (inputs, *soft), strict=True):
        content[name] = (255 * images).round().astype(np.uint8)
    for name, images in zip(("data", "recon", "gen"), (inputs, *soft), strict=True):
        content[f"spectrum_{name}"] = synthetic.log_spectrum(images)
    for name, index in (("median", 2), ("worst", 3)):
        content |= {f"{name}_{kind}": content[key][index] for kind, key in
                    (("input", "inputs"), ("recon", "recon"))}  # fmt: skip
        content[f"{name}_index"] = np.int64(content["indices"][index])
    stream = io.BytesIO()
    np.savez(stream, **content)
    path = store.artefact("images", cell["id"], seed, "npz")
    write_atomically(path, lambda target: target.write(stream.getvalue()))


def _write_kernels(store: Store, cell: Cell, size: Size) -> None:
    """Gaussian kernels of eight images, each of its own width, that shrink once they are in use."""
    side, grey = size.side or _side(cell["dataset"]), _is_grey(cell["dataset"])
    own = np.random.default_rng(list(cell["id"].encode()))
    sets_in = json.loads(_options(cell["loss"]))[0]["options"]["warmup"]
    taps = 41 if "size=41" in cell["loss"] else 11
    grow = taps / 11 * own.uniform(0.9, 1.1, 8)
    fall = np.exp(-np.maximum(SNAPSHOTS - sets_in, 0) / 20)
    widths = grow * (0.6 + 1.4 * fall)[:, None]
    place = np.arange(taps) - taps // 2
    profile = np.exp(-(place**2) / (2 * widths[..., None] ** 2))
    kernels = profile[..., :, None] * profile[..., None, :]
    inputs = (255 * _crops(8, side, grey, 3)).round().astype(np.uint8)
    content = {
        "inputs": inputs,
        "epochs_kernels": SNAPSHOTS,
        "snapshot_kernels": (kernels / kernels.sum((-2, -1), keepdims=True)).astype(np.float32),
    }
    stream = io.BytesIO()
    np.savez(stream, **content)
    path = store.artefact("images", cell["id"], 0, "snapshots.npz")
    write_atomically(path, lambda target: target.write(stream.getvalue()))


@lru_cache(maxsize=8)
def _crops(count: int, side: int, grey: bool, seed: int) -> Any:
    # At 256 pixels there is one crop of the photograph: it is turned and mirrored instead.
    crops = synthetic.photographs(count, min(side, 224), 1 if grey else 3, seed)
    crops = np.repeat(np.repeat(crops, 2, -1), 2, -2)[..., :side, :side] if side > 224 else crops
    return np.stack([np.rot90(c, i % 4, (1, 2)) if side > 224 else c for i, c in enumerate(crops)])


if __name__ == "__main__":
    build(Path(sys.argv[1]), FULL)
