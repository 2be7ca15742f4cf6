"""Shows and frees the disk space that results take."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from harness.errors import HarnessError, suggestion
from harness.store import Store

# What is lost by deleting each kind, in a word.
KINDS = {
    "superseded": "rows and studies that newer runs replaced",
    "checkpoints": "state of interrupted runs: they start that trial again",
    "data": "prepared datasets: read again from their source at the next run",
    "probe": "rows of probes: 'harness probe' makes them again",
    "logs": "log files",
    "models": "final models: 'harness evaluate' cannot score them again",
    "images": "pictures and spectra of the report",
    "scores": "scores per image: ties can no longer be judged",
    "journal": "Optuna studies: an unfinished one starts again",
}
# These lie beside the grids, in the results folder itself.
SHARED = ("data", "probe")
# Deleting these loses nothing that is not made again by itself.
SAFE = ("superseded", "data")


@dataclass(frozen=True)
class Usage:
    """One kind of files of one grid."""

    grid: str
    kind: str
    files: int
    bytes: int
    path: Path


def usage(results: Path, grids: list[str]) -> list[Usage]:
    """Return what each kind of files takes, rows included."""
    found = []
    for name in grids:
        root = results / name
        rows = Store(root).files()
        found.append(Usage(name, "rows", len(rows), _bytes(rows), root))
        found += [_folder(name, kind, root / f"_{kind}") for kind in KINDS if kind not in SHARED]
    found += [_folder("all grids", kind, results / f"_{kind}") for kind in SHARED]
    return [item for item in found if item.files]


def clean(found: list[Usage], kinds: tuple[str, ...]) -> int:
    """Delete the files of these kinds and return the bytes freed.

    Raises:
        HarnessError: a kind that cannot be deleted this way, or a run is writing to the grid.
    """
    check(kinds)
    chosen = [item for item in found if item.kind in kinds]
    for item in chosen:
        if Store(item.path.parent).locked():
            raise HarnessError(
                f"a run is writing to grid {item.grid}: wait for it before deleting its files"
            )
    for item in chosen:
        shutil.rmtree(item.path)
    return sum(item.bytes for item in chosen)


def check(kinds: tuple[str, ...]) -> None:
    """Refuse an unknown kind."""
    for kind in kinds:
        if kind not in KINDS:
            raise HarnessError(
                f"unknown kind {kind!r}{suggestion(kind, KINDS)}; valid: {', '.join(KINDS)}"
            )


def _folder(grid: str, kind: str, path: Path) -> Usage:
    files = [item for item in path.rglob("*") if item.is_file()]
    return Usage(grid, kind, len(files), _bytes(files), path)


def _bytes(files: list[Path]) -> int:
    return sum(path.stat().st_size for path in files)
