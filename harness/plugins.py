"""Losses from outside: Python files, and installed packages' entry points of one group.

A file registers every public subclass of `ReconstructionLoss` that it defines, under the class
attribute `name` or else the class name in kebab case (`EdgeLoss` is `edge-loss`). An entry point
of the group `harness.losses` is a class, registered under the entry point's name when that name is
first used. Both become rows of the table of losses, so that everything else finds them there.
"""

import functools
import hashlib
import importlib.util
from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

import losses
from harness import plugin_files
from harness.errors import HarnessError

GROUP = "harness.losses"
FAMILY = "plugin"


class Plugin(BaseModel):
    """Where a loss from outside comes from, and the digest of its source."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    path: str | None  # None: an installed entry point, found by the name of the loss
    sha256: str


_registered: dict[str, Plugin] = {}  # by name of the loss, in this process


def of(name: str) -> Plugin | None:
    """Return where the loss comes from; None for one of the harness's own."""
    return _registered.get(name)


def fingerprint() -> str:
    """Return a text that changes with the plugin files of this process; empty without any."""
    files = {name: plugin.sha256 for name, plugin in _registered.items() if plugin.path}
    return "".join(f"{name}={files[name]};" for name in sorted(files))


def load_all(files: Iterable[str | Path] | None) -> list[str]:
    """Register the losses of all the files and return their names; see `load`."""
    return [name for file in files or () for name in load(file)]


def load(file: str | Path, expected: str | None = None) -> list[str]:
    """Run a Python file and register its losses; return their names in the order of the file.

    Args:
        file: the path, relative to the working folder.
        expected: the sha256 that it must have to be run.

    Raises:
        HarnessError: no such file, another digest, an error in it, no loss in it, or a name that
            is taken or cannot be written in a spec.
    """
    path = Path(file).expanduser().resolve()
    source = plugin_files.read(path)
    plugin = Plugin(path=str(path), sha256=hashlib.sha256(source).hexdigest())
    if expected not in (None, plugin.sha256):
        raise _changed(path.name)
    known = [name for name, each in _registered.items() if each == plugin]
    if known:
        return known
    module = plugin_files.execute(path, source, plugin.sha256)
    classes = plugin_files.losses_of(path, module)
    if not classes:
        raise HarnessError(
            f"{path.name} defines no loss: write a subclass of losses.base.ReconstructionLoss; see "
            "'Your own loss' in the README"
        )
    for name in classes:
        _check_free(name, path)
    for name, each in classes.items():
        _register(name, each, module.__name__, path.name, plugin)
    return list(classes)


def use(name: str, plugin: Plugin) -> None:
    """Register a loss that a stored or handed-over cell names, in the very form that it names.

    Raises:
        HarnessError: it is not there any more, or its source changed since.
    """
    if of(name) == plugin:
        return
    if plugin.path is not None:
        load(plugin.path, plugin.sha256)
        return
    activate(name)
    if of(name) != plugin:
        raise _changed(f"the installed loss {name!r}")


def installed() -> dict[str, losses.Entry]:
    """Return the rows of installed entry points by name, without importing any."""
    return {
        name: losses.Entry(name, point.module, point.attr, FAMILY, _distribution(point))
        for name, point in _entry_points().items()
        if name not in losses.REGISTRY or name in _registered
    }


def activate(name: str) -> None:
    """Import and register an installed loss whose name is used; other names are left alone.

    Raises:
        HarnessError: it cannot be imported or is no loss.
    """
    point = _entry_points().get(name)
    if point is None or name in losses.REGISTRY:
        return
    place = f"the installed loss {name!r} ({point.value})"
    try:
        found = point.load()
    except Exception as error:
        raise HarnessError(f"cannot import {place}: {type(error).__name__}: {error}") from error
    if not plugin_files.is_loss(found):
        raise HarnessError(f"{place} is no subclass of losses.base.ReconstructionLoss")
    plugin = Plugin(path=None, sha256=_installed_digest(point))
    _register(name, found, found.__module__, _distribution(point), plugin)


def present_digest(name: str, plugin: Plugin) -> str:
    """Return the sha256 of the source as it is now; nothing is run.

    Raises:
        HarnessError: the file or the package is gone.
    """
    if plugin.path is not None:
        return hashlib.sha256(plugin_files.read(Path(plugin.path))).hexdigest()
    point = _entry_points().get(name)
    if point is None:
        raise HarnessError(f"no installed package brings the loss {name!r} any more")
    return _installed_digest(point)


def _changed(what: str) -> HarnessError:
    return HarnessError(
        f"{what} changed since this cell was made: give the same command again to run it as it is"
    )


def _check_free(name: str, path: Path) -> None:
    own = _registered.get(name)
    if own is not None and own.path == str(path):
        return  # the same file, edited since
    if name in losses.REGISTRY or name in _entry_points():
        other = (
            "another plugin's" if name in _registered or name in _entry_points() else "a built-in"
        )
        raise HarnessError(
            f"{path.name}: the name {name!r} is {other} loss's: give the class another one, such "
            f'as name = "my-{name}"'
        )


def _register(name: str, kind: Any, module: str, source: str, plugin: Plugin) -> None:
    losses.REGISTRY[name] = losses.Entry(
        name,
        module,
        kind.__qualname__,
        getattr(kind, "family", FAMILY),
        source,
        "weights" if kind.requires else "nothing",
        kind.density,
    )
    _registered[name] = plugin


@functools.cache
def _entry_points() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP)}


def _distribution(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else point.module


def _installed_digest(point: EntryPoint) -> str:
    """Return the digest of all Python files of the package, or of the module alone."""
    spec = importlib.util.find_spec(point.module.partition(".")[0])
    if spec is None or spec.origin is None:
        raise HarnessError(
            f"the module {point.module} of the installed loss {point.name!r} is gone"
        )
    origin = Path(spec.origin)
    whole = spec.submodule_search_locations is not None
    digest = hashlib.sha256()
    for path in sorted(origin.parent.rglob("*.py")) if whole else [origin]:
        digest.update(path.read_bytes())
    return digest.hexdigest()
