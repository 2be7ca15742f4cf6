"""The generated regions of pages: keys, datasets, metrics, errata, losses, grids and presets."""

import inspect
import re
from collections.abc import Callable

import datasets
import models
from harness import components, dataset_files, grid, presets
from harness.components import Kind
from harness.documentation import loss_pages, signatures
from harness.documentation.markdown import code, command, plain, prose, table
from harness.documentation.options import default, options_table, values
from harness.metrics import METRICS
from harness.protocol import Protocol
from harness.report import published
from harness.specs import format_value

_ARROWS = {"maximize": "higher", "minimize": "lower", "none": "not ranked"}
_SPREADS = {"images": "over images", "subsets": "over subsets", "": ""}
_TABLES = {
    "main": "The report's main table",
    "reconstruction": "Reconstructions",
    "likelihood": "Likelihoods",
    "distribution": "Distributions",
    "sharpness": "Sharpness",
    "": "In no table of their own",
}
_DOCUMENTS = {
    "bredell": "Bredell et al. 2023",
    "dalal": "Dalal 2024",
    "sharpness": "Sharpness report (Reddy and Harsha)",
}
_KEY = re.compile(r"^    (\w+): .*?(?:  # (.*))?$", re.MULTILINE)


def protocol_keys() -> str:
    """Return every key of the protocol with its default, its values and what it is."""
    comments = dict(_KEY.findall(inspect.getsource(Protocol)))
    tuned, fixed = (set(Protocol(beta=beta).identity()) for beta in (None, 1.0))
    filled = Protocol()
    rows = []
    for key, field in Protocol.model_fields.items():
        identity = "always" if key in fixed else "when β is tuned" if key in tuned else "no"
        given = default(field)
        known = getattr(filled, key)
        if field.default is None and known is not None:
            given += f" → {code(str(known))}"
        rows.append(
            [code(key), given, values(field.annotation, tuple(field.metadata)), identity,
             plain(comments.get(key, ""))]
        )  # fmt: skip
    return table(("key", "default", "values", "in the identity", "what"), rows)


def preset_list() -> str:
    """Return the published training settings, what they set and where they differ."""
    rows = [
        [code(one.name), plain(one.source), ", ".join(f"`{k} = {v}`" for k, v in one.keys.items()),
         plain(one.differs)]
        for one in presets.PRESETS.values()
    ]  # fmt: skip
    return table(("preset", "source", "sets", "differs from its source"), rows)


def grid_list() -> str:
    """Return the grids of the package with their titles and numbers of cells."""
    found = [grid.load(name) for name in grid.names()]
    return table(
        ("grid", "cells", "what"),
        ([code(one.name), str(len(one.cells())), plain(one.title)] for one in found),
    )


def loss_list() -> str:
    """Return all losses with their families and sources, linked to their pages."""
    rows = [
        [f"[`{one.name}`](losses/{one.name}.md)", one.family, plain(one.source), one.needs]
        for one in loss_pages.entries()
    ]
    return table(("loss", "family", "source", "needs"), rows)


def model_list() -> str:
    """Return the models with their options and sources."""
    rows = [
        [code(one.name), _options("model", one.name), plain(one.source), plain(one.summary)]
        for one in models.REGISTRY.values()
    ]
    return table(("model", "options", "source", "what"), rows)


def _options(kind: Kind, name: str) -> str:
    fields = components.options(kind, name).model_fields
    return ", ".join(f"`{key}={format_value(field.default)}`" for key, field in fields.items())


def dataset_list() -> str:
    """Return a section per dataset: what it needs, options, layout and splits."""
    return "\n\n".join(_dataset(entry) for entry in datasets.REGISTRY.values())


def _dataset(entry: datasets.Entry) -> str:
    cls = datasets.find(entry.name)
    facts = {
        "what": plain(entry.summary),
        "needs": plain(entry.needs),
        "licence": plain(entry.licence),
        "page": f"<{entry.page}>" if entry.page else "",
        "prepare": command(_preparing(entry)),
    }
    rows = [[key, value] for key, value in facts.items() if value]
    return "\n\n".join(
        (
            f"### {entry.name}",
            table(("", ""), rows),
            options_table("dataset", entry.name),
            prose(inspect.getdoc(cls) or ""),
        )
    )


def _preparing(entry: datasets.Entry) -> str:
    if "path" in components.options("dataset", entry.name).model_fields:
        return f"harness prepare {entry.name}:PATH"
    if entry.needs == "nothing":
        return f"harness prepare {entry.name}"
    return dataset_files.how(components.resolve("dataset", entry.name), entry.name)


def metric_list() -> str:
    """Return a table of metrics for each of the report's tables."""
    return "\n\n".join(f"### {title}\n\n{_metrics(kind)}" for kind, title in _TABLES.items())


def _metrics(kind: str) -> str:
    rows = [
        [code(m.name), plain(m.label), plain(m.unit), _ARROWS[m.direction], _SPREADS[m.spread],
         "finals" if m.final else "trials and finals", plain(m.summary)]
        for m in METRICS.values()
        if m.table == kind
    ]  # fmt: skip
    return table(("column", "printed as", "unit", "better", "± of", "measured on", "what"), rows)


def signature_list() -> str:
    """Return the signatures of a real evaluation, each with the columns that bear it."""
    bearers: dict[str, list[str]] = {}
    for column, signature in signatures.measured().items():
        bearers.setdefault(signature, []).append(column)
    rows = [[", ".join(map(code, columns)), code(text)] for text, columns in bearers.items()]
    return table(("columns", "signature"), rows)


def errata_list() -> str:
    """Return what is wrong or open in the published tables, and how many numbers it marks."""
    marked = [key for name in published.DOCUMENTS for row in published.records(name)
              for key in row["errata"].split()]  # fmt: skip
    parts = []
    for document, title in _DOCUMENTS.items():
        rows = [
            [code(each["id"]), each["where"], str(marked.count(each["id"])),
             plain(each["sentence"])]
            for each in published.records("errata")
            if each["document"] == document
        ]  # fmt: skip
        if rows:
            head = ("mark", "where", "numbers marked", "what is wrong or open")
            parts.append(f"### {title}\n\n{table(head, rows)}")
    return "\n\n".join(parts)


def loss_contract() -> str:
    """Return what a loss must be, from the docstring of the class that all specialise."""
    from losses.base import ReconstructionLoss

    return prose(inspect.getdoc(ReconstructionLoss) or "")


REGIONS: dict[str, Callable[[], str]] = {
    "protocol-keys": protocol_keys,
    "presets": preset_list,
    "grids": grid_list,
    "losses": loss_list,
    "models": model_list,
    "datasets": dataset_list,
    "metrics": metric_list,
    "signatures": signature_list,
    "errata": errata_list,
    "loss-contract": loss_contract,
}
