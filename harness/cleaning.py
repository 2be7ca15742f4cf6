"""Shows and frees the disk space that results take."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from harness.errors import HarnessError, suggestion
from harness.locks import held
from harness.settings import settings
from harness.store import Store

# What is lost by deleting each kind, in a word.
KINDS = {
    "superseded": "rows and studies that newer runs replaced",
    "checkpoints": "state of interrupted runs: they start that trial again",
    "data": "prepared datasets, for all results folders: decoded again from their source",
    "report": "tables of rows and comparisons that reports keep: made again by the next one",
    "probe": "rows of probes: 'harness probe' makes them again",
    "logs": "log files",
    "models": "final models: 'harness evaluate' cannot score them again",
    "images": "pictures and spectra of the report",
    "scores": "scores per image: ties can no longer be judged",
    "journal": "Optuna studies: an unfinished one starts again",
}
# These lie beside the grids, in the results folder itself.
SHARED = ("probe",)
# Deleting these loses nothing that is not made again by itself; the source of a prepared dataset
# may be gone.
SAFE = ("superseded",)


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
        found += [
            _folder(name, kind, root / f"_{kind}")
            for kind in KINDS
            if kind not in (*SHARED, "data")
        ]
    found += [_folder("all grids", kind, results / f"_{kind}") for kind in SHARED]
    found += [_folder(path.name, "data", path) for path in _datasets(settings().prepared)]
    return [item for item in found if item.files]


def clean(found: list[Usage], kinds: tuple[str, ...]) -> int:
    """Delete the files of these kinds and return the bytes freed.

    Raises:
        HarnessError: a kind that cannot be deleted this way, or a run is writing to the grid.
    """
    check(kinds)
    chosen = [item for item in found if item.kind in kinds]
    for item in chosen:
        if _in_use(item):
            does = "preparing" if item.kind == "data" else "writing to grid"
            raise HarnessError(
                f"a run is {does} {item.grid}: wait for it before deleting its files"
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


def _datasets(folder: Path) -> list[Path]:
    """Return the prepared datasets, and those of which a part is decoded."""
    found = sorted(path for path in folder.glob("*") if path.is_dir())
    return [path for path in found if not path.name.startswith("_tmp-")]


def _in_use(item: Usage) -> bool:
    if item.kind != "data":
        return Store(item.path.parent).locked()
    return held(item.path.with_name(f"_lock-{item.path.name.removeprefix('_staging-')}"))


def _folder(grid: str, kind: str, path: Path) -> Usage:
    files = [item for item in path.rglob("*") if item.is_file()]
    return Usage(grid, kind, len(files), _bytes(files), path)


def _bytes(files: list[Path]) -> int:
    return sum(path.stat().st_size for path in files)
