"""What a row opens: β, the training curve, cost and provenance of one cell."""

import json
import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from harness.metrics import METRICS
from harness.report.collect import Cell
from harness.report.means import single_seeds
from harness.report.state import WORDS
from harness.report.table import number, significant

WIDTH, HEIGHT = 160, 36


@dataclass(frozen=True)
class Detail:
    """The facts of a cell as (term, text) pairs, its curves as SVG points, its failures."""

    cell: Cell
    facts: tuple[tuple[str, str], ...]
    curves: tuple[tuple[str, str, str], ...]  # caption, points, words for a screen reader
    causes: tuple[str, ...]


def detail(cell: Cell) -> Detail:
    """Return what the page tells about one cell."""
    facts = [
        ("Cell", cell.id),
        ("State", cell.state or f"ok, {len(cell.finals)}/{cell.seeds} seeds"),
    ]
    curves: tuple[tuple[str, str, str], ...] = ()
    if cell.measured:
        facts += _seeds(cell)
        facts += [("β", _beta(cell)), ("Trials", _trials(cell)), ("Cost", _cost(cell))]
        curves = tuple(
            curve
            for column, name in (("curve_energy", "energy"), ("curve_kl", "KL"))
            if (curve := _curve(cell.finals.iloc[0], column, name))
        )
    rows = cell.attempts if len(cell.attempts) else cell.tunes
    if len(rows):
        facts += _provenance(rows.iloc[-1])
    return Detail(cell, tuple(facts), curves, cell.causes)


def _seeds(cell: Cell) -> list[tuple[str, str]]:
    """The headline scores seed by seed, where they are too few for an interval over them."""
    names = dict.fromkeys((str(cell.protocol.get("objective")), "psnr", "ssim", "lpips"))
    texts = []
    for metric in (METRICS[name] for name in names if name in METRICS):
        if shown := single_seeds(cell.finals, metric.name):
            texts.append(f"{metric.label} {shown}")
    return [("Single seeds", "; ".join(texts))] if texts else []


def _beta(cell: Cell) -> str:
    row = cell.finals.iloc[0]
    words = [significant(float(row["beta"]), 3)]
    if math.isfinite(row["beta_source"]):
        words.append(f"{significant(float(row['beta_source']), 3)} in the source's own scale")
    bounds = cell.protocol.get("beta_range")
    if bounds:
        words.append(f"range {bounds[0]:g} to {bounds[1]:g}")
    if isinstance(row["beta_flag"], str):
        words.append(f"at the {row['beta_flag']} end of its range")
    return "; ".join(words)


def _trials(cell: Cell) -> str:
    counts = cell.tunes["status"].value_counts()
    parts = [f"{count} {WORDS.get(str(name), name)}" for name, count in counts.items()]
    return ", ".join(parts) or "none: β was fixed"


def _cost(cell: Cell) -> str:
    mean = cell.finals[["images_per_second", "peak_memory_mib", "seconds", "parameters"]].mean()
    return (
        f"{number(mean['images_per_second'], 0)} images/s; "
        f"{number(mean['peak_memory_mib'], 0)} MiB at the peak; "
        f"{number(mean['seconds'], 1)} s of training per seed; "
        f"{number(mean['parameters'], 0)} parameters"
    )


def _curve(row: pd.Series, column: str, name: str) -> tuple[str, str, str] | None:
    """A curve as the points of an SVG polyline, y downwards."""
    if row[column] is None or len(row[column]) < 2:
        return None
    values = np.asarray(row[column], dtype=float)
    if not np.isfinite(values).all():
        return None
    span = float(values.max() - values.min()) or 1.0
    x = np.linspace(2, WIDTH - 2, len(values))
    y = 2 + (values.max() - values) / span * (HEIGHT - 4)
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
    ends = f"{significant(values[0], 3)} → {significant(values[-1], 3)}"
    return f"{name} {ends}", points, f"{name} per epoch, seed {int(row['seed'])}: {ends}"


def _provenance(row: pd.Series) -> list[tuple[str, str]]:
    texts = {
        "Device": " ".join(_known(row, "device", "device_name", "precision")),
        "Threads": "" if pd.isna(row["threads"]) else str(int(row["threads"])),
        "Loss options": _options(row["loss_options"]),
        "Data hash": "".join(_known(row, "data_hash")),
        "Source digest": "".join(_known(row, "source_digest")),
        "Weights": "".join(_known(row, "weights")).strip("{}"),
        "Versions": _versions(row),
        "Stored": "".join(_known(row, "created")),
    }
    return [(term, text) for term, text in texts.items() if text]


def _versions(row: pd.Series) -> str:
    pairs = (
        ("harness", "harness_version"),
        ("torch", "torch_version"),
        ("Python", "python_version"),
    )
    return ", ".join(f"{name} {row[column]}" for name, column in pairs if _known(row, column))


def _known(row: pd.Series, *columns: str) -> list[str]:
    return [row[column] for column in columns if isinstance(row[column], str) and row[column]]


def _options(text: object) -> str:
    """The options of the terms with their defaults, as the store resolved them."""
    try:
        terms = json.loads(str(text))
        return " + ".join(
            f"{term.get('weight', 1):g}*{term['name']}"
            + "".join(f" {key}={value}" for key, value in (term.get("options") or {}).items())
            for term in terms
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        return text if isinstance(text, str) else ""
