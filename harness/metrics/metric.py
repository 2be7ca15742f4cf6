"""What a metric is: one column of the result store and how tables print it."""

from dataclasses import dataclass
from typing import Literal

Direction = Literal["maximize", "minimize", "none"]
Spread = Literal["", "images", "subsets"]
Table = Literal["main", "reconstruction", "likelihood", "distribution", "sharpness", ""]


@dataclass(frozen=True)
class Metric:
    """A column of the result store and how tables print it.

    `unit` is "" for a pure number; `direction` is "none" where neither end is better; `spread` says
    of what the column `<name>_std` is the standard deviation, "" where there is none; `final` says
    that only final models are measured, because it takes long; `table` in which of the report's
    tables it stands, "" where it stands in none of its own.
    """

    name: str
    label: str
    unit: str
    direction: Direction
    spread: Spread
    decimals: int
    summary: str
    final: bool = False
    table: Table = "main"

    @property
    def per_image(self) -> bool:
        """Whether the column is a mean over images with a spread of its own."""
        return self.spread == "images"


@dataclass(frozen=True)
class FeatureSpace:
    """An extractor of features: their number, and the names of its columns.

    `frechet` and `kernel` are the prefixes of the columns `<prefix>_recon` and `<prefix>_gen`; only
    Inception's may be called FID and KID.
    """

    name: str
    dims: int
    frechet: str
    kernel: str
    label: str
    decimals: int
