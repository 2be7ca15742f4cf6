"""Reading what lies beside the rows: per-image scores, pictures and mean log spectra."""

import zipfile
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.store import Store

Bytes = NDArray[np.uint8]
Spectrum = NDArray[np.float64]

_IMAGES = ("inputs", "recon", "samples")
_EXTREMES = ("median_input", "median_recon", "worst_input", "worst_recon")
_SPECTRA = ("spectrum_data", "spectrum_recon", "spectrum_gen")


@dataclass(frozen=True)
class Pictures:
    """The images of one final model.

    `inputs`, `recon`: `(n, C, H, W)`, `samples`: `(m, C, H, W)`, the extremes `(C, H, W)`, all
    uint8; `spectra` are `(H, W)` mean log amplitudes, zero frequency in the middle.
    """

    seed: int
    indices: tuple[int, ...]
    inputs: Bytes
    recon: Bytes
    samples: Bytes
    extremes: dict[str, Bytes]
    median_index: int | None
    worst_index: int | None
    spectra: dict[str, Spectrum]


def load_pictures(store: Store, cell: str, seeds: list[int]) -> tuple[Pictures, ...]:
    """Return the stored pictures of a cell, one record per seed that has them."""
    loaded = (_load(store, cell, seed) for seed in seeds)
    return tuple(each for each in loaded if each is not None)


def _load(store: Store, cell: str, seed: int) -> Pictures | None:
    path = store.artefact("images", cell, seed, "npz")
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            names = archive.files
            content: dict[str, Any] = {name: _viewable(name, archive[name]) for name in names}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return None  # not stored, or cut short: the page says that there are none
    if not set(_IMAGES) <= set(content):
        return None
    return Pictures(
        seed=seed,
        indices=tuple(int(index) for index in content.get("indices", ())),
        inputs=content["inputs"],
        recon=content["recon"],
        samples=content["samples"],
        extremes={name: content[name] for name in _EXTREMES if name in content},
        median_index=_whole(content.get("median_index")),
        worst_index=_whole(content.get("worst_index")),
        spectra={name: content[name].astype(float) for name in _SPECTRA if name in content},
    )


def _viewable(name: str, array: NDArray[np.generic]) -> NDArray[np.generic]:
    """Of images that are neither grey nor colour, only the first channel can be shown."""
    if name not in (*_IMAGES, *_EXTREMES) or array.shape[-3] in (1, 3):
        return array
    return array[..., :1, :, :]


def _whole(value: Any) -> int | None:
    return None if value is None else int(value)


def load_scores(store: Store, cell: str, seeds: list[int]) -> pd.DataFrame | None:
    """Return the scores of every test image, averaged over the seeds, or None without files."""
    frames = []
    for seed in seeds:
        path = store.artefact("scores", cell, seed, "parquet")
        try:
            frames.append(pd.read_parquet(path).set_index("index"))
        except (OSError, ValueError, KeyError):
            continue
    if not frames:
        return None
    return pd.concat(frames).groupby(level=0).mean()
