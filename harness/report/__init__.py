"""The report: stored rows in, one HTML page with tables and figures out; imports no torch."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.store import Store

__all__ = ["CLAIMS", "Rendered", "check", "render"]

CLAIMS = "claims.csv"


@dataclass(frozen=True)
class Rendered:
    """What a rendering wrote: `summary` is the answer in plain sentences, one per line."""

    page: Path
    files: list[Path]
    summary: str


def render(store: "Store", out: Path, workers: int = 1) -> Rendered:
    """Write the report of a grid's stored rows to `out` and return what was written.

    A pure function of the store: the same rows give the same bytes. Writes `index.html`, every
    table of it as `tables/<name>.{md,tex,csv}` and `figures/<name>.{svg,png,pdf,csv}`, and
    `claims.csv`, a header alone where the documents claim nothing of its cells. With several
    `workers`, groups are drawn in as many processes, which import the caller's main module: a
    script that asks for them needs `if __name__ == "__main__"`.

    Raises:
        StoreError: nothing was ever run in the store's folder.
        HarnessError: `out` cannot be written.
    """
    from harness.report.page import write

    return write(store, out, workers)


def check(store: "Store", out: Path, committed: Path | None = None) -> list[str]:
    """Return, one sentence each, which verdicts on the documents' claims differ from before.

    They are computed from the stored rows and compared with the `claims.csv` that an earlier
    rendering left in `out`, or with the `committed` file; nothing is written.

    Raises:
        StoreError: nothing was ever run in the store's folder.
        HarnessError: there is no such file to compare with, or it is no ledger.
    """
    from harness.report.page import check as verdicts

    return verdicts(store, committed or out / CLAIMS)
