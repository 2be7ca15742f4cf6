"""A `.npy` file of images, as `harness check --images` takes it."""

from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import BadZipFile

import numpy as np

from harness.errors import HarnessError

if TYPE_CHECKING:
    from torch import Tensor

_HOW = "make one with numpy.save(path, images)"


def read(path: Path) -> "Tensor":
    """Return the images `(N, C, H, W)` of a file; whether they lie in [0, 1] is not asked here.

    Raises:
        HarnessError: the file cannot be read, is no `.npy` array of numbers, or has another shape.
    """
    import torch

    array = _array(path)
    if array.dtype.kind not in "biuf":
        raise _no_images(path, f"its values are {array.dtype}, not numbers")
    if array.ndim != 4:
        raise _no_images(path, f"it has the shape {array.shape}")
    if array.dtype.kind == "f":  # torch knows neither long doubles nor another byte order
        array = array.astype(np.float32 if array.dtype.itemsize <= 4 else np.float64, copy=False)
    try:
        return torch.from_numpy(array)
    except (TypeError, ValueError):
        raise _no_images(path, f"its values are {array.dtype}, not floats") from None


def _array(path: Path) -> np.ndarray:
    try:
        if not path.stat().st_size:
            raise _no_images(path, "it is empty")
        with path.open("rb") as file:  # numpy leaves a damaged archive open
            found = np.load(file, allow_pickle=False)
    except OSError as error:
        raise HarnessError(
            f"cannot read images from {path}: {error.strerror or error}; {_HOW}"
        ) from None
    except (ValueError, EOFError, BadZipFile):
        # numpy's own words advise to load what it takes for a pickle unsafely.
        raise _no_images(path, "it is damaged, holds objects or has another format") from None
    if isinstance(found, np.ndarray):
        return found
    raise _no_images(path, "it is an .npz archive of arrays")


def _no_images(path: Path, reason: str) -> HarnessError:
    return HarnessError(
        f"{path} is no .npy array of images (N, C, H, W) in [0, 1]: {reason}; {_HOW}"
    )
