"""Makes sure that `losses`, `models` and `datasets` are this harness's own packages."""

import importlib.util
from importlib.machinery import ModuleSpec
from pathlib import Path

from harness.errors import HarnessError

PACKAGES = ("losses", "models", "datasets")


def _origin(spec: ModuleSpec | None) -> Path | None:
    if spec is None or spec.origin:
        return Path(spec.origin).resolve() if spec and spec.origin else None
    # A folder without __init__.py has no origin, only a place.
    return next((Path(place).resolve() for place in spec.submodule_search_locations or ()), None)


def check() -> None:
    """Refuse to start where another package took one of the names.

    Raises:
        HarnessError: naming the package, where it comes from, and the fix.
    """
    home = Path(__file__).resolve().parent.parent
    for name in PACKAGES:
        spec = importlib.util.find_spec(name)
        origin = _origin(spec)
        if origin is None or origin.parent.parent != home:
            raise HarnessError(
                f"the import name {name!r} belongs to {origin or 'nothing here'}, not to this "
                f"harness in {home}: install the harness in an environment of its own "
                "(make, uv tool install or pipx) and do not start it beside a folder of that name"
            )
