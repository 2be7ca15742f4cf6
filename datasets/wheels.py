"""Finds the data files that other packages ship inside their wheels, without importing them."""

from importlib.util import find_spec
from pathlib import Path


class MissingShippedFileError(ValueError):
    """A file that an installed package should contain but does not."""


def shipped_file(package: str, relative: str) -> Path:
    """Return the path of `relative` inside the installed top-level `package`.

    Nothing is imported, which saves seconds, and nothing is downloaded.
    Errors: `MissingShippedFileError` when the package or the file is not there.
    """
    spec = find_spec(package)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / relative
        if path.is_file():
            return path
    raise MissingShippedFileError(
        f"{package}/{relative} is not in this environment: reinstall {package} from its wheel"
    )
