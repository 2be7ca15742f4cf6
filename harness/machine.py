"""This machine as a bug report shows it: device, versions, folders, datasets, weights."""

import platform
import shutil
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from harness import __version__, caching, components, preparing
from harness.processors import cores
from harness.settings import settings

_PACKAGES = (
    "torch",
    "torchvision",
    "numpy",
    "pandas",
    "pyarrow",
    "optuna",
    "scikit-image",
    "scikit-learn",
    "matplotlib",
    "safetensors",
)


def doctor(results: Path) -> dict[str, Any]:
    """Return what a bug report needs: device, versions, folders, datasets, weights."""
    import torch

    from harness import device

    found = settings()
    cuda = [torch.cuda.get_device_name(k) for k in range(torch.cuda.device_count())]
    return {
        "harness": __version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "cpu": f"{device.label(torch.device('cpu'))}, {cores()} cores",
        "memory free": f"{device.free_memory_mib() / 1024:.1f} GiB",
        "cuda devices": ", ".join(cuda) or "none",
        "packages": {name: _version(name) for name in _PACKAGES},
        "folders": {
            "results": _folder(results),
            "cache": _folder(found.cache),
            "HARNESS_PREPARED": _folder(found.prepared),
            "HARNESS_DATA": _folder(found.data) if found.data else "not set",
            "HARNESS_WEIGHTS": _folder(found.weights) if found.weights else "not set",
        },
        "datasets": {name: caching.state(name) for name in components.registry("dataset")},
        "weights": preparing.states(),
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"


def _folder(path: Path) -> str:
    if not path.exists():
        return f"{path} (does not exist yet)"
    free = shutil.disk_usage(path).free / 2**30
    return f"{path} ({free:.0f} GiB free)"
