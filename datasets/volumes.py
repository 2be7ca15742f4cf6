"""Reads a NIfTI volume into 8 bits, the same way up whatever scanner wrote it."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from datasets.images import Pixels

SUFFIXES = (".nii", ".nii.gz")
_MOST_VOXELS = 2**29
_LOW, _HIGH = 0.5, 99.5  # percentiles that become black and white


class InvalidVolumeError(ValueError):
    """A file that holds no usable volume."""


class MissingNibabelError(ValueError):
    """The package that reads NIfTI files is not installed."""


def require_nibabel() -> None:
    """Accept an environment that has nibabel.

    Errors: `MissingNibabelError`.
    """
    if find_spec("nibabel") is None:
        raise MissingNibabelError("NIfTI files need nibabel: install it with pip install nibabel")


def read_volume(path: Path) -> Pixels:
    """Return the voxels of a NIfTI file, uint8 `(X, Y, Z)` in [0, 255], axes towards RAS.

    The axes are permuted and turned, not resampled, until they point right, forwards and upwards
    (NiBabel's closest canonical orientation). Unscaled 8-bit voxels are kept as they are; of any
    others black is 0, or the 0.5th percentile of all voxels where that is negative, white
    the 99.5th percentile of the voxels above black, linear between, clipped and rounded.

    Errors: `InvalidVolumeError` for a file that cannot be read as NIfTI, other than three axes
    (further ones of length 1 are dropped), colours or complex numbers, more than 2^29 voxels, no
    orientation, NaN or infinity, one value throughout.
    """
    try:
        voxels = _load(path)
    except InvalidVolumeError:
        raise
    except Exception as error:  # on broken headers nibabel raises almost anything
        reason = str(error).partition("\n")[0]
        raise InvalidVolumeError(f"{path.name} cannot be read as NIfTI: {reason}") from error
    if not np.isfinite(voxels).all():
        raise InvalidVolumeError(f"{path.name} holds NaN or infinite voxels: mask or repair them")
    if voxels.min() == voxels.max():
        raise InvalidVolumeError(f"{path.name} is {voxels.flat[0]} throughout: replace it")
    return voxels if voxels.dtype == np.uint8 else _to_bytes(voxels)


def _load(path: Path) -> npt.NDArray[Any]:
    import nibabel

    image = nibabel.load(path)
    if not isinstance(image, nibabel.Nifti1Pair):
        raise InvalidVolumeError(f"{path.name} is no NIfTI file but a {type(image).__name__}")
    shape = image.shape
    if len(shape) < 3 or any(length != 1 for length in shape[3:]):
        raise InvalidVolumeError(
            f"{path.name} is {'x'.join(map(str, shape))} instead of three-dimensional: choose one "
            "volume of it"
        )
    if not 0 < np.prod(shape, dtype=float) <= _MOST_VOXELS:
        raise InvalidVolumeError(f"{path.name} says it is {'x'.join(map(str, shape))}: repair it")
    if image.get_data_dtype().kind not in "iuf":
        raise InvalidVolumeError(f"{path.name} holds {image.get_data_dtype()}, not numbers")
    turn = nibabel.io_orientation(image.affine)
    if not np.isfinite(turn).all():
        raise InvalidVolumeError(f"{path.name} has no orientation: repair its affine")
    proxy: Any = image.dataobj  # loading moves slope and intercept here from the header
    scaled = (proxy.slope, proxy.inter) != (1, 0)
    voxels = np.asarray(proxy, np.float32) if scaled else proxy.get_unscaled()
    turned: npt.NDArray[Any] = nibabel.apply_orientation(voxels.reshape(shape[:3]), turn)
    return turned


def _to_bytes(voxels: npt.NDArray[Any]) -> Pixels:
    values = voxels.astype(np.float32)
    # Seldom needed and slow: most volumes have no negative voxel.
    low = min(0.0, float(np.percentile(values, _LOW))) if values.min() < 0 else 0.0
    high = float(np.percentile(values[values > low], _HIGH))
    values -= np.float32(low)
    values *= np.float32(255 / (high - low))
    return np.rint(values, out=values).clip(0, 255, out=values).astype(np.uint8)
