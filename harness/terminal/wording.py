"""How numbers, times and states read in the terminal."""

import json
import math
import shlex
from pathlib import Path
from typing import Any

from harness.metrics import METRICS


def duration(seconds: float) -> str:
    """Return a time as in `9.8 s`, `1 min 40 s`, `3 h 05 min`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def size(count: float) -> str:
    """Return bytes as in `3.2 MiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024 or unit == "GiB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    raise AssertionError("unreachable")


def rate(images_per_second: float) -> str:
    """Return a speed as in `4.1k img/s`."""
    if images_per_second >= 1000:
        return f"{images_per_second / 1000:.1f}k img/s"
    return f"{images_per_second:.0f} img/s"


def metric(name: str, value: Any) -> str:
    """Return a metric as in `FRD gen. 1.27`; nothing where it is absent."""
    if value is None or value != value:
        return ""
    known = METRICS.get(name)
    if known is None:
        return f"{name} {float(value):.3f}"
    return f"{known.label} {float(value):.{min(known.decimals, 3)}f}"


def beta(value: float | None) -> str:
    """Return β with two significant digits."""
    return "" if value is None else f"β {value:.2g}"


def plural(count: int, noun: str) -> str:
    """Return `1 cell`, `2 cells`, `2 losses`."""
    ending = "" if count == 1 else "es" if noun.endswith("s") else "s"
    return f"{count} {noun}{ending}"


def short_names(ids: list[str]) -> dict[str, str]:
    """Return the ids without their hash, where that still tells them apart."""
    cut = {name: name.rpartition("-")[0] for name in ids}
    counts = list(cut.values())
    return {name: short if counts.count(short) == 1 else name for name, short in cut.items()}


def as_json(records: Any) -> str:
    """Return plain data as JSON text; NaN becomes null."""
    return json.dumps(_without_nan(records), indent=1, ensure_ascii=False)


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def report_command(grid_name: str, results: Path) -> str:
    """Return what to type for the report of a grid in this folder."""
    return shlex.join(["harness", "report", "--grid", grid_name, *_where(results)])


def show_command(cell: str, results: Path) -> str:
    """Return what to type for everything known of a cell in this folder."""
    return shlex.join(["harness", "show", cell, *_where(results)])


def _where(results: Path) -> list[str]:
    return [] if results == Path("results") else ["--results", str(results)]
