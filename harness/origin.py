"""Where a dataset's files are: from its spec to a source that can be read."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from harness import components, dataset_files, provenance
from harness.components import Component
from harness.errors import HarnessError
from harness.settings import settings

if TYPE_CHECKING:
    from datasets.source import Source

# The packages whose wheels hold images, and the one that decodes them.
_SHIPPING = ("scikit-image", "scikit-learn", "pillow")


@dataclass(frozen=True)
class Origin:
    """An opened source, where its files lie and what reads them."""

    source: "Source"
    fingerprint: str
    root: Path | None  # None: they come with an installed package
    reader: str


class MissingDatasetError(HarnessError):
    """The files of a dataset are not at hand; says how to get them."""


def find(component: Component, root: Path | None = None) -> Origin:
    """Open the source of a dataset: list and check its files.

    Args:
        component: the dataset.
        root: the folder of a named dataset's files; without it HARNESS_DATA, or else what
            `harness prepare` fetched.

    Raises:
        MissingDatasetError: files are missing; says which, and how to get them.
        HarnessError: files cannot be used.
    """
    if root is not None and not components.takes_root(component):
        own = component.options.get("path")
        reason = "its path is part of the spec" if own else "it comes with an installed package"
        raise HarnessError(f"{component.spec} takes no --from, {reason}: leave --from out")
    if root is not None:
        return _open(component, root)
    try:
        return _open(component, settings().data)
    except MissingDatasetError as error:
        folder = dataset_files.fetched(component)
        if folder is None:
            raise MissingDatasetError(f"{error}{dataset_files.advice(component)}") from error
    return _open(component, folder)


def look(component: Component, recorded: str | None) -> Origin | None:
    """Return the source where it is at hand: where it `recorded` lay, or in HARNESS_DATA."""
    for root in _roots(component, recorded):
        try:
            return _open(component, root)
        except HarnessError:
            continue
    return None


def _roots(component: Component, recorded: str | None) -> Iterator[Path | None]:
    if not components.takes_root(component):
        yield settings().data
        return
    # First where it came from: another copy elsewhere is not this one changed.
    if recorded is not None and Path(recorded) != dataset_files.place(component):
        yield Path(recorded)
    yield settings().data
    yield dataset_files.fetched(component)  # only what has the right digest


def _open(component: Component, folder: Path | None) -> Origin:
    from datasets.source import MissingFilesError

    dataset = components.build_dataset(resolved(component), folder)
    try:
        source = dataset.open()
        fingerprint = source.fingerprint()
    except MissingFilesError as error:
        raise MissingDatasetError(f"{component.spec}: {error}") from error
    except ValueError as error:
        raise HarnessError(f"{component.spec}: {error}") from error
    except OSError as error:
        raise HarnessError(
            f"{component.spec}: cannot read {error.filename or folder} ({error.strerror}): "
            "check the disk and the permissions"
        ) from error
    if "path" in component.options:
        folder = Path(str(resolved(component).options["path"]))
    return Origin(source, fingerprint, folder if source.files else None, reader(component))


def reader(component: Component) -> str:
    """Return a digest of what reads a dataset: its source, and what ships it where one does."""
    digest = provenance.dataset_digest(component.name)
    if components.registry("dataset")[component.name].needs != "nothing":
        return digest
    return " ".join([digest, *(f"{name} {version(name)}" for name in _SHIPPING)])


def resolved(component: Component) -> Component:
    """Return the component with an absolute `path`: in HARNESS_DATA, or in the present folder."""
    path, root = component.options.get("path"), settings().data
    if not isinstance(path, str):
        return component
    place = Path(path).expanduser()
    if root is not None and ((root / place).exists() or not place.exists()):
        place = root / place
    return component.model_copy(
        update={"options": {**component.options, "path": str(place.absolute())}}
    )
