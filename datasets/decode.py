"""Decodes image files into uint8 arrays: JPEG by simplejpeg, everything else by Pillow.

Why, by `python -m benchmarks.decode` on files of CelebA's size, in milliseconds of processor time
for decode, crop and resize: Pillow 0.70; simplejpeg with Pillow's resize 0.52; torchvision.io
with torch's resize 0.47 but with Pillow's 0.80; libvips 2.8. simplejpeg and Pillow are both
libjpeg-turbo and give the same pixels to the bit, so nobody's results depend on the choice.
torchvision.io would bring torch, two seconds of imports, into every process that reads images, and
torch's threads into ours; libvips reduces by another filter, up to 18 levels apart. Pillow keeps
the resizing, the antialiased bilinear filter that the field quotes, and every JPEG that is not
plain: with EXIF or XMP orientation, CMYK, or damaged.
"""

import io
from dataclasses import dataclass

import numpy as np
import simplejpeg
from PIL import Image, ImageOps, UnidentifiedImageError

from datasets.images import Pixels
from datasets.source import FatalError

Box = tuple[int, int, int, int]  # left, top, right, bottom; right and bottom excluded

_ORIENTATION_TAG = 0x0112
_SIDEWAYS = range(5, 9)
_JPEG = b"\xff\xd8\xff"


class DifferentSizesError(FatalError):
    """Images of several sizes in a dataset that asks for none in particular."""


class CropError(ValueError):
    """An image that a crop does not fit."""


class NotAnImageError(ValueError):
    """Bytes that are no image, or one without a safe meaning as 8-bit pixels."""


@dataclass(frozen=True)
class Framing:
    """What is cut from every image and to which size it is brought.

    `crop` is the side of the centred square that is cut, or a box, or None for the largest centred
    square; the crop comes first and the resizing (bilinear, antialiased) sees nothing outside it.
    Without `size` the crop is kept as it is, and without both the whole image. `expected` is the
    (width, height) that images must have, where a crop is made for one.
    """

    channels: int = 3
    size: int | None = None
    crop: int | Box | None = None
    expected: tuple[int, int] | None = None

    def shape(self) -> tuple[int, int, int] | None:
        """Return (C, H, W) of what comes out, or None where the images say it."""
        side = self.size if self.size is not None else self.crop
        return (self.channels, side, side) if isinstance(side, int) else None

    def __call__(self, image: Image.Image) -> Pixels:
        """Return uint8 `(channels, H, W)`; raises `CropError`."""
        if self.expected not in (None, image.size):
            raise CropError(
                f"is {image.width}x{image.height} instead of "
                f"{'x'.join(map(str, self.expected or ()))}"
            )
        if self.size is not None or self.crop is not None:
            image = image.crop(self.box(*image.size))
        if self.size is not None and image.width != self.size:
            image = image.resize((self.size, self.size), Image.Resampling.BILINEAR)
        pixels = np.asarray(image)
        return pixels[None] if self.channels == 1 else pixels.transpose(2, 0, 1)

    def box(self, width: int, height: int) -> Box:
        """Return what is cut from an image of this size; raises `CropError`."""
        if isinstance(self.crop, tuple):
            return self.crop
        side = min(width, height) if self.crop is None else self.crop
        if side > min(width, height):
            raise CropError(f"is {width}x{height}, too small for crop={side}")
        left, top = (width - side) // 2, (height - side) // 2
        return left, top, left + side, top + side


def header_size(data: bytes) -> tuple[int, int] | None:
    """Return (height, width) as displayed, from the header; None when it cannot be read."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            _refuse_bomb(*image.size)
            sideways = image.getexif().get(_ORIENTATION_TAG, 1) in _SIDEWAYS
            return image.size if sideways else image.size[::-1]
    except Exception:
        # Pillow's parsers raise almost anything on broken bytes
        return None


def decode(data: bytes, channels: int) -> Image.Image:
    """Return the image in a file's bytes, in mode RGB (3 channels) or L (1).

    EXIF orientation is applied; alpha is dropped; 16-bit grey is scaled to 8 bits; 1 channel is
    ITU-R 601 luma. Raises `NotAnImageError`, and whatever else Pillow raises on a file it cannot
    decode completely or of more pixels than its limit.
    """
    mode = "RGB" if channels == 3 else "L"
    image = _plain_jpeg(data) if data.startswith(_JPEG) else None
    if image is not None:
        return image if mode == "RGB" else image.convert(mode)
    try:
        opened = Image.open(io.BytesIO(data))
    except UnidentifiedImageError as error:
        # Pillow's own sentence names the buffer by its address in memory
        raise NotAnImageError("its first bytes are those of no known format") from error
    with opened:
        _refuse_bomb(*opened.size)
        return _convert(ImageOps.exif_transpose(opened), mode)


def _plain_jpeg(data: bytes) -> Image.Image | None:
    """Return a JPEG as RGB, or None where only Pillow can tell what it means or what ails it."""
    # An orientation is kept in EXIF or in XMP
    if b"Exif\0" in data or b"Orientation" in data:
        return None
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
        if colours not in ("YCbCr", "RGB", "Gray"):
            return None
        _refuse_bomb(width, height)
        return Image.fromarray(simplejpeg.decode_jpeg(data))
    except ValueError:
        return None


def _refuse_bomb(width: int, height: int) -> None:
    # Pillow itself only warns until an image has twice its limit
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and width * height > limit:
        raise Image.DecompressionBombError(f"more than {limit} pixels")


def _convert(image: Image.Image, mode: str) -> Image.Image:
    if image.mode.startswith("I;16"):
        deep = np.asarray(image).astype(np.uint32)
        image = Image.fromarray(((deep * 255 + 32767) // 65535).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise NotAnImageError(f"mode {image.mode} pixels have no fixed range")
    if "transparency" in image.info:
        image = image.convert("RGBA")
    return image.convert(mode)
