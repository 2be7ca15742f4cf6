"""Where a number comes from: versions, and a digest of the source that computed it."""

import ast
import functools
import hashlib
import importlib.util
import platform
from collections.abc import Iterable
from pathlib import Path

from harness import __version__, components, plugins
from harness.grid import Cell

# The files of `harness` that decide what every cell's training comes to.
_TRAINING = (
    "attempt",
    "batches",
    "cell",
    "device",
    "prepared",
    "protocol",
    "schedule",
    "seeds",
    "steps",
    "train",
    "tune",
    "metrics/latent",
    "metrics/precision",
)
_EVALUATION = (
    "appearance",
    "batches",
    "distances",
    "evaluate",
    "feature_cache",
    "measured",
    "reference",
    "scores",
)


def source_digest(cell: Cell) -> str:
    """Return a digest of the source that trains this cell: shared part "-" loss part.

    Adding a loss leaves the digests of the other losses' cells as they are.
    """
    shared = [_harness(f"{name}.py") for name in _TRAINING]
    shared += _closure(components.source_modules("dataset", [cell.dataset.name]))
    shared += _closure([*components.source_modules("model", [cell.model.name]), "models.base"])
    return f"{_digest(tuple(shared))}-{_loss_digest(cell)}"


def dataset_digest(name: str) -> str:
    """Return a digest of the source that reads a dataset."""
    return _digest(tuple(_closure(components.source_modules("dataset", [name]))))


def _loss_digest(cell: Cell) -> str:
    names = [term.name for term in cell.loss if term.plugin is None]
    modules = [*components.source_modules("loss", names), "losses.base", "losses.sum"]
    outside = []
    for term in cell.loss:
        if term.plugin is None:
            continue
        outside.append(plugins.present_digest(term.name, term.plugin))
        if term.plugin.path and outside[-1] == term.plugin.sha256:  # else it is another anyway
            modules += _imports(Path(term.plugin.path), "losses")
    return _digest(tuple(_closure(modules)), tuple(outside))


def evaluate_digest() -> str:
    """Return a digest of the source that scores trained models; `harness evaluate` renews it."""
    metrics = [path for path in _harness("metrics").glob("*.py") if path.name != "__init__.py"]
    own = [_harness(f"{name}.py") for name in _EVALUATION]
    return _digest((*own, *sorted(metrics), *_closure(["losses.deep"])))


def versions() -> dict[str, str]:
    """Return the version columns of a row."""
    import torch

    return {
        "harness_version": __version__,
        "torch_version": str(torch.__version__),
        "python_version": platform.python_version(),
    }


def _harness(name: str) -> Path:
    return Path(__file__).parent / name


@functools.cache
def _digest(files: tuple[Path, ...], others: tuple[str, ...] = ()) -> str:
    digest = hashlib.sha256("".join(others).encode())
    for path in files:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:8]


def _closure(modules: Iterable[str]) -> list[Path]:
    """Return the files of the modules and of all they import from their own folder."""
    found: dict[str, Path] = {}
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        spec = importlib.util.find_spec(module)
        if module in found or spec is None or spec.origin is None:
            continue
        found[module] = Path(spec.origin)
        waiting += _imports(found[module], module.partition(".")[0])
    return [found[name] for name in sorted(found)]


@functools.cache
def _imports(path: Path, package: str) -> list[str]:
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [each.name for each in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == package:
            names += [f"{package}.{each.name}" for each in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.append(node.module)
    return [name for name in names if name.startswith(f"{package}.")]
