"""What pydantic refuses, as one plain sentence: the key, the value seen, what it must be."""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from harness.errors import suggestion

_DEMANDS = {
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "string_type": "must be text",
    "tuple_type": "must be a list",
    "dict_type": "must be a table",
    "model_type": "must be a table",
    "greater_than": "must be more than {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "literal_error": "must be {expected}",
    "too_long": "must have at most {max_length} values, not {actual_length}",
}


def demand(error: Mapping[str, Any]) -> str | None:
    """Return what a value must be, such as `must be at least 1`; None for other kinds of error."""
    text = _DEMANDS.get(error["type"])
    return None if text is None else text.format(**error.get("ctx", {}))


def explain(error: ValidationError, models: list[type[BaseModel]]) -> str:
    """Return the first validation error of the outermost of `models` as one clear sentence.

    The further models are those of its parts, whose names stand in the error's place.
    """
    # A misspelt key also shows as a missing one, and both as no text: name the misspelling.
    ranks = {"extra_forbidden": 0, "missing": 1}
    first = min(error.errors(), key=lambda item: ranks.get(item["type"], 2))
    path = _place(first["loc"])
    if first["type"] == "extra_forbidden":
        key = str(first["loc"][-1])
        valid = sorted(_level(first["loc"], models).model_fields)
        return f"unknown key {key!r}{suggestion(key, valid)}; valid keys: {', '.join(valid)}"
    if first["type"] == "missing":
        return _missing(error, first["loc"], first["input"])
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "value_error":
        return message
    if plain := demand(first):
        return f"{path} = {first['input']!r}: {plain}"
    if first["type"] == "list_type":
        message = f"write a list such as [{json.dumps(first['input'], default=str)}]"
    if first["type"] == "too_short":
        message = "give at least one"
    return f"{path} = {first['input']!r} is invalid: {message[0].lower()}{message[1:]}"


def _missing(error: ValidationError, loc: tuple[int | str, ...], given: Any) -> str:
    """A key that is not there, or a place in a list that is too short."""
    if isinstance(loc[-1], int):
        count = sum(item["loc"][:-1] == loc[:-1] for item in error.errors()) + len(given)
        return f"{_place(loc[:-1])} = {given!r}: must have {count} values"
    path = _place(loc)
    return f"the key {path if ' of ' in path else repr(path)} is missing"


def _place(loc: tuple[int | str, ...]) -> str:
    """Return where a key stands: `losses.2 of [[block]] 1`, counted from one."""
    parts = [str(p + 1) if isinstance(p, int) else p for p in loc if p not in ("Entry", "str")]
    if parts[:1] == ["block"] and len(parts) > 2:
        return f"{'.'.join(parts[2:])} of [[block]] {parts[1]}"
    return ".".join(parts)


def _level(loc: tuple[int | str, ...], models: list[type[BaseModel]]) -> type[BaseModel]:
    """Return the model that the key at `loc` belongs to: the keys of others are no help there."""
    named = {model.__name__: model for model in models}
    if "Entry" in loc and "Entry" in named:
        return named["Entry"]
    return named["Block"] if loc[0] == "block" and "Block" in named else models[0]
