"""Losses, models and datasets by name: options resolved and checked, objects built."""

import functools
import importlib
import inspect
from pathlib import Path
from types import ModuleType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from harness import plugins
from harness.errors import HarnessError, suggestion
from harness.invalid import demand
from harness.specs import Spec, Value, format_spec, format_value, parse, parse_sum

Kind = Literal["loss", "model", "dataset"]

_FOLDERS: dict[Kind, str] = {"loss": "losses", "model": "models", "dataset": "datasets"}
_WRITABLE = (bool, int, float, str)  # as `Value`, without None
# Given by the harness, never by the user.
_SUPPLIED = ("self", "image_shape", "latent_size", "generator", "weights", "root")


class Component(BaseModel):
    """A dataset or model with every option resolved, and how to write it."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    options: dict[str, Value]
    spec: str  # canonical text without the options that equal their defaults


class Term(Component):
    """One loss of a weighted sum."""

    weight: float = 1.0
    plugin: plugins.Plugin | None = None  # where a loss from outside is imported from

    def record(self) -> dict[str, Any]:
        """Return what decides the numbers: weight, name, options, and a plugin's source."""
        own = {"weight": self.weight, "name": self.name, "options": self.options}
        return own if self.plugin is None else own | {"plugin": self.plugin.sha256}


def registry(kind: Kind) -> dict[str, Any]:
    """Return the table of a component folder, of losses with plugins; nothing else is imported."""
    outside = plugins.installed() if kind == "loss" else {}
    return {**outside, **_folder(kind).REGISTRY}


def resolve(kind: Kind, text: str) -> Component:
    """Read a spec of a dataset or model and fill in the defaults.

    Raises:
        HarnessError: unknown name or option, or a value of the wrong type or range.
    """
    name, resolved, spec = _resolve(kind, parse(text, registry(kind)))
    return Component(name=name, options=resolved, spec=spec)


def resolve_loss(text: str) -> tuple[Term, ...]:
    """Read a loss or a weighted sum of losses and fill in the defaults.

    Raises:
        HarnessError: as `resolve`, or a weight that is not positive and finite.
    """
    terms = []
    for weight, part in parse_sum(text, registry("loss")):
        if not 0 < weight < float("inf"):
            raise HarnessError(f"the weight {weight:g} in {text!r} must be positive and finite")
        name, resolved, spec = _resolve("loss", part)
        plugin = plugins.of(name)
        terms.append(Term(name=name, options=resolved, spec=spec, weight=weight, plugin=plugin))
    return tuple(terms)


def loss_spec(terms: tuple[Term, ...]) -> str:
    """Return the canonical text of a weighted sum."""
    return " + ".join(
        term.spec if term.weight == 1 else f"{format_value(term.weight)}*{term.spec}"
        for term in terms
    )


def build_model(
    component: Component, image_shape: tuple[int, ...], latent: int, **rest: Any
) -> Any:
    """Build the model; errors of its options become a `HarnessError`."""
    models = _folder("model")
    with _user_errors(component.spec):
        return models.build(
            component.name, image_shape=image_shape, latent_size=latent, **rest, **component.options
        )


def build_loss(
    terms: tuple[Term, ...], image_shape: tuple[int, ...], latent: int, **rest: Any
) -> Any:
    """Build the loss, or the weighted sum where there are several terms or a weight."""
    losses = _folder("loss")
    built = []
    import_plugins(terms)
    for term in terms:
        with _user_errors(term.spec):
            one = losses.build(
                term.name, image_shape=image_shape, latent_size=latent, **rest, **term.options
            )
        built.append((term.weight, one))
    if len(built) == 1 and built[0][0] == 1:
        return built[0][1]
    return importlib.import_module("losses.sum").WeightedSum(built)


def import_plugins(terms: tuple[Term, ...]) -> None:
    """Import the losses from outside that the terms name, where this process has not yet.

    Raises:
        HarnessError: one is gone or changed since.
    """
    for term in terms:
        if term.plugin is not None:
            plugins.use(term.name, term.plugin)


def required_weights(terms: tuple[Term, ...], channels: int | None) -> tuple[str, ...]:
    """Return the names of the pretrained weights that the losses ask for, each once."""
    import_plugins(terms)
    names = [
        name
        for term in terms
        for name in _class("loss", term.name).required(channels, **term.options)  # type: ignore[attr-defined]
    ]
    return tuple(dict.fromkeys(names))


def build_dataset(component: Component, root: Path | None = None) -> Any:
    """Build the reader, of files below `root` if it is one that looks there; nothing is decoded."""
    given = {"root": root} if takes_root(component) else {}
    with _user_errors(component.spec):
        return _class("dataset", component.name)(**component.options, **given)


def takes_root(component: Component) -> bool:
    """Tell whether a dataset's files are looked for below a folder that the user names."""
    return "root" in inspect.signature(_class("dataset", component.name)).parameters


def summary(kind: Kind, name: str) -> str:
    """Return the first paragraph of the class's docstring, on one line."""
    return " ".join(docstring(kind, name).partition("\n\n")[0].split())


def docstring(kind: Kind, name: str) -> str:
    """Return the class's docstring without its indentation."""
    return inspect.getdoc(_class(kind, name)) or ""


def source_modules(kind: Kind, names: list[str]) -> list[str]:
    """Return the import names of the modules that define the named components."""
    table = registry(kind)
    return sorted({table[name].module for name in names})


class _user_errors:  # noqa: N801  (reads as a statement)
    """Turn a component's ValueError, meant for the user, into a HarnessError.

    So too what a number out of all range ends in before anyone checks it.
    """

    def __init__(self, spec: str) -> None:
        self.spec = spec

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        # MissingWeights is no mistake in the grid: its cell becomes `unavailable`.
        if isinstance(error, ValueError) and type(error).__name__ != "MissingWeights":
            raise HarnessError(f"{self.spec}: {error}") from error
        if isinstance(error, ArithmeticError):
            raise HarnessError(
                f"{self.spec}: an option is out of range ({error}): give one nearer to its default"
            ) from error


def _folder(kind: Kind) -> ModuleType:
    return importlib.import_module(_FOLDERS[kind])


def _class(kind: Kind, name: str) -> type:
    if kind == "loss":
        plugins.activate(name)
    table = registry(kind)
    if name not in table:
        hint = suggestion(name, table)
        if kind == "dataset" and Path(name).is_dir():
            hint = f" (did you mean 'folder:{name}'?)"
        raise HarnessError(f"unknown {kind} {name!r}{hint}. See: harness list {_FOLDERS[kind]}")
    entry = table[name]
    found: type = getattr(importlib.import_module(entry.module), entry.attribute)
    return found


def _resolve(kind: Kind, spec: Spec) -> tuple[str, dict[str, Value], str]:
    schema = options(kind, spec.name)
    given = dict(spec.options)
    for key, value in given.items():
        if value is None and _means_the_word(schema.model_fields.get(key)):
            given[key] = "none"
        if key not in schema.model_fields:
            valid = ", ".join(sorted(schema.model_fields)) or "none"
            raise HarnessError(
                f"unknown option {key!r} of {kind} {spec.name!r}"
                f"{suggestion(key, schema.model_fields)}; its options: {valid}"
            )
    try:
        resolved = schema(**given).model_dump()
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0])
        reason = "is missing" if first["type"] == "missing" else f"= {given.get(key)!r} is invalid"
        raise HarnessError(
            f"{kind} {spec.name!r}: option {key} {reason} ({demand(first) or first['msg'].lower()})"
        ) from None
    defaults = {key: field.default for key, field in schema.model_fields.items()}
    sized = spec.name[-1].isdigit()  # as celeba64, whose name says it
    shown = {
        key: value
        for key, value in resolved.items()
        if value != defaults[key] or (key == "size" and value is not None and not sized)
    }
    return spec.name, resolved, format_spec(spec.name, shown, sized=kind == "dataset")


def _means_the_word(field: Any) -> bool:
    """Tell whether `none`, as in `padding=none`, is one of the option's words, not no value."""
    kinds = get_args(field.annotation) if field is not None else ()
    return "none" in kinds and type(None) not in kinds


def options(kind: Kind, name: str) -> type[BaseModel]:
    """Make the options' schema from the signature of the class: defaults live there only.

    Raises:
        HarnessError: unknown name, or a parameter that no spec could give.
    """
    return _schema(name, _class(kind, name))


@functools.cache
def _schema(name: str, component: Any) -> type[BaseModel]:
    try:
        signature = inspect.signature(component.__init__, eval_str=True)
    except NameError as error:  # an annotation of something that was not imported
        raise HarnessError(f"{name}: the types of its options cannot be read: {error}") from None
    own = [
        parameter
        for parameter in signature.parameters.values()
        if parameter.name not in _SUPPLIED and parameter.kind is not parameter.VAR_KEYWORD
    ]
    for parameter in own:
        if not _writable(parameter.annotation):
            raise HarnessError(
                f"{name}: the option {parameter.name} cannot be given in a spec: write it after "
                f"the *, with a default and a type made of bool, int, float, str, Literal and "
                f"None: *, {parameter.name}: float = 0.1"
            )
    fields: dict[str, Any] = {
        parameter.name: (
            parameter.annotation,
            ... if parameter.default is parameter.empty else parameter.default,
        )
        for parameter in own
    }
    config = ConfigDict(extra="forbid", strict=True)  # true is no number, "4" neither
    return create_model(f"{name} options", __config__=config, **fields)


def _writable(annotation: Any) -> bool:
    """Tell whether values of a type can be written in a spec."""
    if get_origin(annotation) is Literal:
        return all(value is None or type(value) in _WRITABLE for value in get_args(annotation))
    if get_origin(annotation) in (UnionType, Union):
        return all(map(_writable, get_args(annotation)))
    return annotation in (*_WRITABLE, None, type(None))
