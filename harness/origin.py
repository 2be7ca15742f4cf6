"""Where a dataset's files are: from its spec to a source that can be read."""

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from harness import components, provenance
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


def find(component: Component, root: Path | None = None) -> Origin:
    """Open the source of a dataset: list and check its files.

    Args:
        component: the dataset.
        root: the folder of a named dataset's files; HARNESS_DATA without it.

    Raises:
        HarnessError: files are missing or cannot be used; says which, and where to get them.
    """
    own = component.options.get("path")
    if root is not None and not components.takes_root(component):
        reason = "its path is part of the spec" if own else "it comes with an installed package"
        raise HarnessError(f"{component.spec} takes no --from, {reason}: leave --from out")
    folder = root or settings().data
    dataset = components.build_dataset(resolved(component), folder)
    try:
        source = dataset.open()
        fingerprint = source.fingerprint()
    except ValueError as error:
        raise HarnessError(f"{component.spec}: {error}") from error
    except OSError as error:
        raise HarnessError(
            f"{component.spec}: cannot read {error.filename or folder} ({error.strerror}): "
            "check the disk and the permissions"
        ) from error
    if isinstance(own, str):
        folder = Path(str(resolved(component).options["path"]))
    return Origin(source, fingerprint, folder if source.files else None, reader(component))


def look(component: Component, recorded: str | None) -> Origin | None:
    """Return the source where it is at hand: in HARNESS_DATA, or where it `recorded` lay."""
    roots: list[Path | None] = [None]
    if recorded is not None and components.takes_root(component):
        roots.append(Path(recorded))
    for root in roots:
        try:
            return find(component, root)
        except HarnessError:
            continue
    return None


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
