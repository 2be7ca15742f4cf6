"""Reading what lies beside the rows: pictures, mean log spectra, snapshots."""

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.store import Store

Bytes = NDArray[np.uint8]
Spectrum = NDArray[np.float64]
Epochs = NDArray[np.int64]

_IMAGES = ("inputs", "recon", "samples")
_EXTREMES = ("median_input", "median_recon", "worst_input", "worst_recon")
_SPECTRA = ("spectrum_data", "spectrum_recon", "spectrum_gen")


@dataclass(frozen=True)
class Snapshots:
    """What a loss showed of itself over the epochs of a final training.

    `inputs` are the training images `(B, C, H, W)`, uint8, that it is of; `series` has, by name,
    the epochs `(E,)` and the values `(E, B, ...)`, such as `kernels` `(E, B, s, s)`.
    """

    inputs: Bytes
    series: dict[str, tuple[Epochs, NDArray[np.float32]]]


@dataclass(frozen=True)
class Pictures:
    """The images of one final model.

    `inputs`, `recon`: `(n, C, H, W)`, `samples`: `(m, C, H, W)`, the extremes `(C, H, W)`, all
    uint8; `spectra` are `(H, W)` mean log amplitudes, zero frequency in the middle; `snapshots`
    are those of the same seed, None where its loss shows nothing of itself.
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
    snapshots: Snapshots | None = None


def load_pictures(store: Store, cell: str, seeds: list[int]) -> tuple[Pictures, ...]:
    """Return the stored pictures of a cell, one record per seed that has them."""
    loaded = (_load(store, cell, seed) for seed in seeds)
    return tuple(each for each in loaded if each is not None)


def _load(store: Store, cell: str, seed: int) -> Pictures | None:
    content = _arrays(store.artefact("images", cell, seed, "npz"))
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
        snapshots=_snapshots(store, cell, seed),
    )


def _snapshots(store: Store, cell: str, seed: int) -> Snapshots | None:
    content = _arrays(store.artefact("images", cell, seed, "snapshots.npz"))
    found = {}
    for key, epochs in content.items():
        values = content.get(key.replace("epochs_", "snapshot_", 1))
        if key.startswith("epochs_") and values is not None and len(values) == len(epochs):
            found[key.removeprefix("epochs_")] = (epochs, values)
    return Snapshots(content["inputs"], found) if found and "inputs" in content else None


def _arrays(path: Path) -> dict[str, Any]:
    """Return the arrays of a file; none where it is not stored or cut short: the page says so."""
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            return {name: _viewable(name, archive[name]) for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return {}


def _viewable(name: str, array: NDArray[np.generic]) -> NDArray[np.generic]:
    """Of images that are neither grey nor colour, only the first channel can be shown."""
    if name not in (*_IMAGES, *_EXTREMES) or array.ndim < 3 or array.shape[-3] in (1, 3):
        return array
    return array[..., :1, :, :]


def _whole(value: Any) -> int | None:
    return None if value is None else int(value)
