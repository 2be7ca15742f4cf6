"""`photos`: crops of colour photographs that come with the installed packages."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from datasets.bands import Box, bands, crop_corners, fits, shares
from datasets.images import Pixels
from datasets.options import InvalidOptionError, require_integer
from datasets.seeding import permutation
from datasets.source import ArraySource, Dataset
from datasets.wheels import MissingShippedFileError, shipped_file

# native pixels along the side of a crop when `scale` is left out
_SPAN = 64


@dataclass(frozen=True)
class Picture:
    """One photograph inside an installed wheel: size in pixels, and its terms."""

    name: str
    package: str
    path: str
    width: int
    height: int
    licence: str


PICTURES = (
    Picture("astronaut", "skimage", "data/astronaut.png", 512, 512, "public domain, NASA"),
    Picture("chelsea", "skimage", "data/chelsea.png", 451, 300, "CC0, Stefan van der Walt"),
    Picture("china", "sklearn", "datasets/images/china.jpg", 640, 427, "CC BY 2.0, danielbuechele"),
    Picture("coffee", "skimage", "data/coffee.png", 600, 400, "CC0, Rachel Michetti"),
    Picture("flower", "sklearn", "datasets/images/flower.jpg", 640, 427, "CC BY 2.0, vultilion"),
    Picture(
        "motorcycle",
        "skimage",
        "data/motorcycle_left.png",
        741,
        500,
        "no licence stated, Scharstein et al. (GCPR 2014), Middlebury stereo benchmark",
    ),
    Picture("rocket", "skimage", "data/rocket.jpg", 640, 427, "public domain, SpaceX"),
)


class Photos(Dataset):
    """Random square crops, 3 × size × size, of seven everyday colour photographs.

    The photographs, with width × height: astronaut 512 × 512 (public domain, NASA), chelsea the cat
    451 × 300 (CC0), china 640 × 427 (CC BY 2.0), coffee 600 × 400 (CC0), flower 640 × 427
    (CC BY 2.0), motorcycle 741 × 500 (Middlebury stereo benchmark 2014, left view only, no licence
    stated), rocket 640 × 427 (public domain, SpaceX). The other colour files of the wheels are
    left out: a fundus, a tissue slide and a deep-sky field are instruments' pictures, a colour
    wheel and a logo are drawings.

    Options: `size` of a crop, 16 to 128 pixels; numbers of `train`, `validation` and `test` crops;
    `seed`; `scale`, the integer factor by which pictures are first reduced (mean over scale × scale
    blocks, so antialiased). Left out, it is 64 // size, at least 1: a crop shows about 64 native
    pixels, of which at size 32 an eye, a wheel or a roof can be recognised.

    Splits: of the five fifths along a picture's longer side the second is test, the fourth is
    validation and the other three are train (60, 20 and 20 per cent), so no pixel is in two splits
    and no split is background only. A picture with any fifth narrower than the crop is left out
    of all splits (at size 128 that leaves four). Each picture gives the same number of crops,
    because the area of a file says nothing about how much there is to see. Positions depend only on
    (seed, split, picture, geometry). The order within a split is shuffled, so that its first n
    crops are a fair subset. Three pictures are JPEGs, so another decoder may move `data_hash`.

    Errors: `InvalidOptionError` for a value out of range or when no picture is large enough.
    """

    def __init__(
        self,
        *,
        size: int = 32,
        train: int = 4096,
        validation: int = 512,
        test: int = 512,
        seed: int = 0,
        scale: int | None = None,
    ) -> None:
        require_integer("size", size, 16, 128)
        for name, count in (("train", train), ("validation", validation), ("test", test)):
            require_integer(name, count, 1, 1_000_000)
        require_integer("seed", seed, 0, 2**63 - 1)
        if scale is not None:
            require_integer("scale", scale, 1, 16)
        self.size, self.seed = size, seed
        self.scale = max(1, _SPAN // size) if scale is None else scale
        self.counts = {"train": train, "validation": validation, "test": test}
        self.pictures = [picture for picture in PICTURES if fits(*self._reduced(picture), size)]
        if not self.pictures:
            raise InvalidOptionError(
                f"no photograph is large enough for size={size} at scale={self.scale}: "
                "choose a smaller size or scale"
            )

    def image_shape(self) -> tuple[int, int, int]:
        """Return (channels, height, width) of every image."""
        return 3, self.size, self.size

    def open(self) -> ArraySource:
        """Read the photographs and cut the crops.

        Errors: `MissingShippedFileError` when a wheel lacks its photograph.
        """
        reduced = {picture.name: _read(picture, self.scale) for picture in self.pictures}
        train, validation, test = (self._cut(split, reduced) for split in self.counts)
        names = ", ".join(picture.name for picture in self.pictures)
        return ArraySource(
            train,
            validation,
            test,
            description=f"{self.size}x{self.size} crops at 1/{self.scale} scale of {names}",
            licence="; ".join(f"{picture.name}: {picture.licence}" for picture in self.pictures),
        )

    def crop_boxes(self, split: str) -> list[tuple[str, Box]]:
        """Return, image by image, the photograph and the box in its native pixels."""
        corners = self._corners(split)
        boxes: list[tuple[str, Box]] = []
        for name, positions in corners.items():
            for left, top in (positions * self.scale).tolist():
                side = self.size * self.scale
                boxes.append((name, (left, top, left + side, top + side)))
        return [boxes[index] for index in self._order(split)]

    def _reduced(self, picture: Picture) -> tuple[int, int]:
        return picture.width // self.scale, picture.height // self.scale

    def _corners(self, split: str) -> dict[str, npt.NDArray[np.int64]]:
        counts = shares(self.counts[split], len(self.pictures))
        corners = {}
        for picture, count in zip(self.pictures, counts, strict=True):
            owned = bands(split, *self._reduced(picture))
            axes = (self.seed, split, picture.name)
            corners[picture.name] = crop_corners(owned, self.size, count, *axes)
        return corners

    def _order(self, split: str) -> npt.NDArray[np.int64]:
        return permutation(self.counts[split], self.seed, split, "order")

    def _cut(self, split: str, reduced: dict[str, Pixels]) -> Pixels:
        window = (self.size, self.size)
        crops = [
            np.lib.stride_tricks.sliding_window_view(reduced[name], window, axis=(0, 1))[
                positions[:, 1], positions[:, 0]
            ]
            for name, positions in self._corners(split).items()
        ]
        return np.concatenate(crops)[self._order(split)]


def _read(picture: Picture, scale: int) -> Pixels:
    path = shipped_file(picture.package, picture.path)
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"))
    if pixels.shape != (picture.height, picture.width, 3):
        raise MissingShippedFileError(
            f"{path.name} of {picture.package} is {pixels.shape[1]}x{pixels.shape[0]} instead of "
            f"{picture.width}x{picture.height}: install a release of {picture.package} that has it"
        )
    return block_mean(pixels, scale)


def block_mean(pixels: Pixels, scale: int) -> Pixels:
    """Reduce uint8 `(H, W, C)` by the mean over scale × scale blocks, rounded half up.

    A last row or column of blocks that is not full is dropped.
    """
    height, width = pixels.shape[0] // scale, pixels.shape[1] // scale
    blocks = pixels[: height * scale, : width * scale].reshape(height, scale, width, scale, -1)
    area = scale * scale
    mean = (blocks.sum(axis=(1, 3), dtype=np.uint32) + area // 2) // area
    return mean.astype(np.uint8)
