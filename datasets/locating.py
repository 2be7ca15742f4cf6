"""Finds the files of a named dataset in the layouts that people keep them in."""

from collections.abc import Sequence
from pathlib import Path

from datasets.source import FileState, MissingFilesError
from datasets.tree import state


def find_file(root: Path | None, folders: Sequence[str], names: Sequence[str]) -> Path | None:
    """Return the first of `root / folder / name` that is a file, folders before names, or None."""
    if root is None:
        return None
    candidates = (root / folder / name for folder in folders for name in names)
    return next((path for path in candidates if path.is_file()), None)


def missing(
    dataset: str, root: Path | None, name: str, folders: Sequence[str], page: str
) -> MissingFilesError:
    """Return the error for a file that is nowhere: where it was looked for, where to get it."""
    if root is None:
        return MissingFilesError(
            f"{dataset} needs {name}, and no folder that holds it was named: get it from {page}"
        )
    below = ", ".join(folder for folder in folders if folder != ".")
    return MissingFilesError(
        f"{dataset} needs {name}, which is not in {root} nor below it in {below}: get it "
        f"from {page}"
    )


def file_state(root: Path, path: Path) -> FileState:
    """Return the size and the time of change of a file that lies below `root`."""
    return state(path, path.relative_to(root).as_posix())
