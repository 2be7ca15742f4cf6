"""What every dataset yields: three splits of uint8 images and a hash of their content."""

import hashlib
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]


class InvalidImagesError(ValueError):
    """Arrays that cannot be the splits of one dataset."""


@dataclass(frozen=True, eq=False)
class Images:
    """Three splits of images, contiguous uint8 `(N, C, H, W)` in [0, 255], with their provenance.

    `data_hash` is the sha256, in hexadecimal, of the shapes and bytes of the three splits.
    """

    train: Pixels
    validation: Pixels
    test: Pixels
    data_hash: str
    description: str
    licence: str
    stochastic: bool = False  # train's pixels are probabilities, drawn anew at each visit

    @classmethod
    def of(
        cls,
        train: Pixels,
        validation: Pixels,
        test: Pixels,
        *,
        description: str,
        licence: str,
        stochastic: bool = False,
    ) -> Self:
        """Make the splits contiguous and hash them.

        Errors: `InvalidImagesError` for an empty split, a type other than uint8 or image shapes
        that differ.
        """
        splits = {"train": train, "validation": validation, "test": test}
        for name, pixels in splits.items():
            _check(name, pixels, train.shape[1:])
        contiguous = {name: np.ascontiguousarray(pixels) for name, pixels in splits.items()}
        digest = content_hash(contiguous)
        return cls(
            **contiguous,
            data_hash=digest,
            description=description,
            licence=licence,
            stochastic=stochastic,
        )


def content_hash(splits: dict[str, Pixels]) -> str:
    """Return the sha256 (hexadecimal) over name, shape and bytes of each split, in order.

    Single bytes have no byte order, so the hash is the same on every platform.
    """
    digest = hashlib.sha256()
    for name, pixels in splits.items():
        digest.update(f"{name}{pixels.shape}".encode())
        digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()


def _check(name: str, pixels: Pixels, image_shape: tuple[int, ...]) -> None:
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or len(pixels) == 0:
        raise InvalidImagesError(
            f"split {name} is {pixels.dtype} of shape {pixels.shape}: "
            "a split is uint8 of shape (N, C, H, W) with N at least 1"
        )
    if pixels.shape[1:] != image_shape:
        raise InvalidImagesError(
            f"images of {name} are {pixels.shape[1:]} but those of train are {image_shape}: "
            "all splits need one image shape"
        )
