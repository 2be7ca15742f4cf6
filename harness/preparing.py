"""What runs need and the harness can get beforehand: pretrained weights."""

from collections.abc import Callable
from typing import Any

from harness import weights
from harness.weight_files import TABLE, Pretrained

Tell = Callable[[str, int, int | None], None]  # name, bytes there, bytes in all


def prepare_weights(
    names: list[str] | None = None, tell: Tell = lambda name, done, total: None
) -> list[dict[str, Any]]:
    """Get the named pretrained weights, or without names all that have an address.

    Returns one record per name: the weights, their file, size, licence and whether they are there.

    Raises:
        HarnessError: an unknown name, no connection, a wrong file, or weights without an address.
    """
    chosen = names or [row.name for row in TABLE.values() if row.url]
    weights.fetch(chosen, tell=tell)
    return [_record(TABLE[name]) for name in dict.fromkeys(chosen)]


def listing() -> list[dict[str, Any]]:
    """Return one record per known weights: name, file, size, licence, and its state."""
    return [_record(row) for row in TABLE.values()]


def states() -> dict[str, str]:
    """Return for each known weights where they lie and their digest, or how to get them."""
    return {row.name: _place(row) for row in TABLE.values()}


def _record(row: Pretrained) -> dict[str, Any]:
    path = weights.find(row.name)
    return {
        "name": row.name,
        "file": row.files[0].name if path is None else path.name,
        "MiB": _mib(row.size if path is None else path.stat().st_size),
        "licence": row.licence,
        "state": _state(row),
    }


def _state(row: Pretrained) -> str:
    if weights.find(row.name) is None:
        return f"missing: {weights.how([row.name])}"
    return weights.missing([row.name]) or "ready"


def _place(row: Pretrained) -> str:
    path = weights.find(row.name)
    if path is None or (wrong := weights.missing([row.name])):
        return _state(row) if path is None else str(wrong)
    return f"{path} (sha256 {weights.sha256(path)[:8]})"


def _mib(size: int | None) -> float | None:
    return None if size is None else round(size / 2**20, 2 if size >= 2**20 else 3)
