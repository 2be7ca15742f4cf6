"""The report: stored rows in, one HTML page with tables and figures out; imports no torch."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.store import Store

__all__ = ["Rendered", "render"]


@dataclass(frozen=True)
class Rendered:
    """What a rendering wrote: `summary` is the answer in plain sentences, one per line."""

    page: Path
    files: list[Path]
    summary: str


def render(store: "Store", out: Path) -> Rendered:
    """Write the report of a grid's stored rows to `out` and return what was written.

    A pure function of the store: the same rows give the same bytes. Writes `index.html`, every
    table of it as `tables/<name>.{md,tex,csv}` and `figures/<name>.{svg,png,pdf,csv}`.

    Raises:
        StoreError: nothing was ever run in the store's folder.
        HarnessError: `out` cannot be written.
    """
    from harness.report.page import write

    return write(store, out)
