"""What there is to choose from: losses, models, datasets and so on; imports no torch."""

from typing import Any, get_args

from harness import caching, components, grid, preparing, presets
from harness.components import Kind
from harness.errors import HarnessError, suggestion
from harness.metrics import METRICS
from harness.specs import format_value

KINDS = {
    "losses": "reconstruction losses to compare",
    "models": "autoencoders to train",
    "datasets": "images to train on",
    "grids": "ready-made comparisons",
    "presets": "published training settings, for the protocol's key `preset`",
    "metrics": "what is measured of every model",
    "weights": "pretrained networks of losses and metrics",
}
# Kinds that are components, by the name that the component folders' tables go by.
WITH_OPTIONS: dict[str, Kind] = {"losses": "loss", "models": "model", "datasets": "dataset"}

_ARROWS = {"maximize": "higher", "minimize": "lower", "none": ""}


def kinds() -> list[dict[str, Any]]:
    """Return one record per kind of things that can be listed."""
    return [
        {"kind": kind, "count": len(names(kind)), "what": what, "see": f"harness list {kind}"}
        for kind, what in KINDS.items()
    ]


def names(kind: str) -> list[str]:
    """Return the names of what `listing` lists, without looking at any file.

    Raises:
        HarnessError: unknown kind.
    """
    if kind in WITH_OPTIONS:
        return list(components.registry(WITH_OPTIONS[kind]))
    return [record["name"] for record in listing(kind)]


def listing(kind: str) -> list[dict[str, Any]]:
    """Return one record per component, grid or metric; imports no torch.

    Raises:
        HarnessError: unknown kind.
    """
    if kind not in KINDS:
        raise HarnessError(
            f"unknown kind {kind!r}{suggestion(kind, KINDS)}; valid: {', '.join(KINDS)}"
        )
    if kind == "losses":
        return [_loss(entry) for entry in components.registry("loss").values()]
    if kind == "models":
        entries = components.registry("model").values()
        return [{"name": e.name, "source": e.source, "summary": e.summary} for e in entries]
    if kind == "datasets":
        return [_dataset(entry) for entry in components.registry("dataset").values()]
    if kind == "presets":
        return [_preset(one) for one in presets.PRESETS.values()]
    if kind == "weights":
        return preparing.listing()
    if kind == "grids":
        return [{"name": name, "title": grid.load(name).title} for name in grid.names()]
    return [
        {
            "name": m.name,
            "unit": m.unit,
            "better": _ARROWS[m.direction],
            "measured on": "final models" if m.final else "trials and finals",
            "summary": m.summary,
        }
        for m in METRICS.values()
    ]


def _preset(one: presets.Preset) -> dict[str, Any]:
    keys = ", ".join(f"{key} = {value}" for key, value in one.keys.items())
    return {"name": one.name, "source": one.source, "sets": keys, "differs": one.differs}


def _dataset(entry: Any) -> dict[str, Any]:
    return {"name": entry.name, "state": caching.state(entry.name), "summary": entry.summary}


def _loss(entry: Any) -> dict[str, Any]:
    return {
        "name": entry.name,
        "family": entry.family,
        "source": entry.source,
        "needs": entry.needs,
        "density": entry.density,
    }


def detail(kind: str, name: str) -> dict[str, Any]:
    """Return the record of one, and of a component what it is and each option with its default.

    The options are read from the class, whose module is imported: losses and models need torch.

    Raises:
        HarnessError: unknown kind or name.
    """
    known = names(kind)
    if name not in known:
        raise HarnessError(
            f"there is no {name!r} among the {kind}{suggestion(name, known)}; "
            f"see: harness list {kind}"
        )
    record = _record(kind, name)
    if kind not in WITH_OPTIONS:
        return record
    component = WITH_OPTIONS[kind]
    options = [
        {
            "option": key,
            "type": _type(field.annotation),
            "default": None if field.is_required() else field.default,
            "required": field.is_required(),
        }
        for key, field in components.options(component, name).model_fields.items()
    ]
    about = components.summary(component, name)
    if kind != "losses":
        return {**record, "what": about, "options": options}
    from harness import loss_facts

    # Of a loss, all that its page in the documentation says: units, options, errata.
    units = loss_facts.facts(name)
    text = components.docstring(component, name)
    return {**record, **units, "what": about, "options": options, "about": text}


def _record(kind: str, name: str) -> dict[str, Any]:
    if kind == "datasets":
        entry = components.registry("dataset")[name]
        facts = {"needs": entry.needs, "page": entry.page, "licence": entry.licence}
        return _dataset(entry) | {key: value for key, value in facts.items() if value}
    return next(record for record in listing(kind) if record["name"] == name)


def _type(annotation: Any) -> str:
    """Return a type as users write its values: `int`, `float or none`, `mean or sum`."""
    if annotation is type(None):
        return "none"
    parts = get_args(annotation)
    if parts:
        return " or ".join(_type(part) for part in parts)
    return annotation.__name__ if isinstance(annotation, type) else format_value(annotation)
