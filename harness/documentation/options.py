"""Options of components and keys of the protocol as rows of a table."""

from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from harness import components
from harness.components import Kind
from harness.documentation.markdown import code, table
from harness.specs import format_value

_WORDS = {int: "whole number", float: "number", str: "text", bool: "`true`, `false`"}


def options_table(kind: Kind, name: str) -> str:
    """Return the table of a component's options, or a sentence where it has none."""
    fields = components.options(kind, name).model_fields
    if not fields:
        return "No options."
    return table(
        ("option", "default", "values"),
        ([code(key), default(field), values(field.annotation)] for key, field in fields.items()),
    )


def default(field: FieldInfo) -> str:
    """Return a field's default as the grammar writes it."""
    return "required" if field.is_required() else code(format_value(field.default))


def values(annotation: Any, bounds: tuple[Any, ...] = ()) -> str:
    """Return in words what may be given for a value of this type."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        inside = [bound for each in parts[1:] for bound in getattr(each, "metadata", (each,))]
        return values(parts[0], tuple(inside))
    if origin in (Union, UnionType):
        return ", ".join(values(part) for part in parts)
    if origin is Literal:
        return ", ".join(code(format_value(part)) for part in parts)
    if origin is tuple:
        return f"[{', '.join(values(part) for part in parts)}]"
    if annotation is NoneType:
        return "`none`"
    return _WORDS.get(annotation, str(annotation)) + _bounded(bounds)


def _bounded(bounds: tuple[Any, ...]) -> str:
    signs = {"ge": "from", "gt": "above"}
    found = ((word, getattr(each, key, None)) for each in bounds for key, word in signs.items())
    return "".join(f" {word} {bound}" for word, bound in found if bound is not None)
