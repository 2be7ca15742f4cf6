"""Decodes image files into uint8 arrays of one shape, many at a time."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from datasets.images import Pixels

_ORIENTATION_TAG = 0x0112
_SIDEWAYS = range(5, 9)


class DifferentSizesError(ValueError):
    """Images of several sizes in a dataset that asks for none in particular."""


class _UndecodableError(Exception):
    """An image that Pillow opens but that has no safe meaning as 8-bit pixels."""


def header_size(path: Path) -> tuple[int, int] | None:
    """Return (height, width) as displayed, from the header; None when it cannot be read."""
    try:
        with Image.open(path) as image:
            _refuse_bomb(image)
            sideways = image.getexif().get(_ORIENTATION_TAG, 1) in _SIDEWAYS
            return image.size if sideways else image.size[::-1]
    except Exception:
        # Pillow's parsers raise almost anything on broken bytes
        return None


def decode(path: Path, channels: int, size: int | None) -> Pixels:
    """Return one image, uint8 `(channels, H, W)`.

    EXIF orientation is applied; alpha is dropped; 16-bit grey is scaled to 8 bits; 1 channel is
    ITU-R 601 luma. With `size` the largest centred square is resized to it (bilinear, antialiased).
    Errors: whatever Pillow raises on a file it cannot decode completely.
    """
    with Image.open(path) as opened:
        _refuse_bomb(opened)
        image = _convert(ImageOps.exif_transpose(opened), "RGB" if channels == 3 else "L")
    if size is not None and image.size != (size, size):
        image = image.resize((size, size), Image.Resampling.BILINEAR, box=_square(*image.size))
    pixels = np.asarray(image)
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)


def decode_all(
    root: Path, paths: list[str], shape: tuple[int, int, int], *, resize: bool
) -> tuple[Pixels, dict[int, str]]:
    """Decode `paths` below `root` with a pool of threads into uint8 `(N, *shape)`.

    Returns the images and, for those that cannot be read, index -> reason (their pixels are 0).
    Errors: `DifferentSizesError` without `resize`, naming the first image that is not of `shape`.
    """
    images = np.zeros((len(paths), *shape), np.uint8)

    def read_into(index: int) -> str | None:
        try:
            pixels = decode(root / paths[index], shape[0], shape[1] if resize else None)
        except Exception as error:
            # Pillow's parsers raise almost anything on broken bytes
            return f"{type(error).__name__}: {error}"
        if pixels.shape != shape:
            raise DifferentSizesError(
                f"{paths[index]} is {pixels.shape[2]}x{pixels.shape[1]} but the first image is "
                f"{shape[2]}x{shape[1]}: pass size= to crop and resize them all"
            )
        images[index] = pixels
        return None

    with ThreadPoolExecutor(min(16, os.cpu_count() or 1)) as pool:
        reasons = dict(enumerate(pool.map(read_into, range(len(paths)))))
    return images, {index: reason for index, reason in reasons.items() if reason}


def _refuse_bomb(image: Image.Image) -> None:
    # Pillow itself only warns until an image has twice its limit
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and image.width * image.height > limit:
        raise Image.DecompressionBombError(f"more than {limit} pixels")


def _convert(image: Image.Image, mode: str) -> Image.Image:
    if image.mode.startswith("I;16"):
        deep = np.asarray(image).astype(np.uint32)
        image = Image.fromarray(((deep * 255 + 32767) // 65535).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise _UndecodableError(f"mode {image.mode} pixels have no fixed range")
    if "transparency" in image.info:
        image = image.convert("RGBA")
    return image.convert(mode)


def _square(width: int, height: int) -> tuple[int, int, int, int]:
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    return left, top, left + side, top + side
