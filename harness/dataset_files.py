"""Datasets whose owners hand out plain files without terms to accept: fetched, checked, found."""

import functools
import logging
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness import components
from harness.components import Component
from harness.settings import settings
from harness.weights import sha256

log = logging.getLogger(__name__)

Tell = Callable[[str, int, int | None], None]  # file, bytes there, bytes in all

_MNIST = "https://ossci-datasets.s3.amazonaws.com/mnist/"
_CIFAR = "https://www.cs.toronto.edu/~kriz/"


@dataclass(frozen=True)
class DataFile:
    """A file as its owner publishes it."""

    url: str
    size: int  # bytes
    sha256: str

    @property
    def name(self) -> str:
        """Its name, on this machine too."""
        return self.url.rpartition("/")[2]


@dataclass(frozen=True)
class Published:
    """What a dataset is read from; not for specs with the option value `unless`."""

    files: tuple[DataFile, ...]
    unless: tuple[str, str] | None = None

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


# The files whose md5 LeCun's and Krizhevsky's pages, or torchvision for them, state:
# f68b3c2dcbeaaa9fbdd348bbdeb94873, 9fb629c4189551a2d022fa330f9573f3 (MNIST's labels are not read)
# and c32a1d4ab5d03f1284b67883e8d87530.
TABLE: dict[str, Published] = {
    "mnist": Published(
        (
            DataFile(
                f"{_MNIST}train-images-idx3-ubyte.gz",
                9_912_422,
                "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            ),
            DataFile(
                f"{_MNIST}t10k-images-idx3-ubyte.gz",
                1_648_877,
                "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            ),
        ),
        unless=("binarise", "larochelle"),
    ),
    "cifar10": Published(
        (
            DataFile(
                f"{_CIFAR}cifar-10-binary.tar.gz",
                170_052_171,
                "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
            ),
        )
    ),
}


def published(component: Component) -> Published | None:
    """Return the files that `harness prepare` can get for a dataset, or None."""
    row = TABLE.get(component.name)
    if row is None or row.unless is None:
        return row
    option, value = row.unless
    return None if component.options.get(option) == value else row


def place(component: Component) -> Path:
    """Return the folder that a dataset's files are fetched to."""
    return settings().cache / "downloads" / component.name


def fetched(component: Component) -> Path | None:
    """Return that folder where every file is there and is what its digest says, else None."""
    row, folder = published(component), place(component)
    if row is None or not all(_whole(folder / file.name, file) for file in row.files):
        return None
    return folder


def command(component: Component, name: str = "") -> str:
    """Return the command that prepares a dataset, as a shell takes it; by `name` where given."""
    return f"harness prepare {shlex.quote(name or component.spec)}"


def how(component: Component, name: str = "") -> str:
    """Return the command that prepares a dataset whose files are not at hand, and its size."""
    row = published(component)
    if row is None:
        return f"{command(component, name)} --from FOLDER"
    mib = row.size / 2**20
    return command(component, name) + (f" ({mib:.0f} MiB)" if mib >= 1 else "")


def advice(component: Component) -> str:
    """Return what to add to a sentence on missing files: the command, where there is one."""
    if published(component) is not None:
        return f", or: {how(component)}"
    return f", then: {how(component)}" if components.takes_root(component) else ""


def fetch(component: Component, tell: Tell = lambda name, done, total: None) -> Path:
    """Get the files of a published dataset that are missing, and return their folder.

    A file there with another digest is kept beside under another name.

    Raises:
        HarnessError: no connection, a wrong file, or a folder that cannot be written.
    """
    from harness.download import download, set_aside

    row, folder = published(component), place(component)
    elsewhere = f": get it elsewhere, then: {command(component)} --from FOLDER"
    for file in () if row is None else row.files:
        target = folder / file.name
        if _whole(target, file):
            continue
        if target.is_file():
            aside = set_aside(target, sha256(target))
            log.warning("%s is not the file of %s: kept as %s", target, component.name, aside)
        log.info("getting %s", file.url)
        download(file.url, target, file.sha256, functools.partial(tell, file.name), elsewhere)
    return folder


def _whole(path: Path, file: DataFile) -> bool:
    if not path.is_file() or path.stat().st_size != file.size:
        return False
    return sha256(path) == file.sha256
