"""The one grammar for components: `name[key=value,…]`, terms joined by ` + `, weights as `100*`.

Examples: `l2`, `ffl[alpha=0.5]`, `l2 + 50*ffl`, `photos32` (means `photos[size=32]`),
`folder:faces[size=64]`. The same text is valid in a grid's TOML and on the command line.
"""

import re
from collections.abc import Container
from dataclasses import dataclass

from harness.errors import HarnessError

Value = bool | int | float | str | None

_WORDS: dict[str, Value] = {"true": True, "false": False, "none": None}
_SIZED = re.compile(r"(?P<base>[a-z][a-z0-9-]*?)(?P<size>\d+)")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_PATHS = ("folder:", "nifti:")
_SIGNS = r"[\[\],=+*'\"\s]|^$"  # of the grammar: a text with one of them, or none, is quoted


@dataclass(frozen=True)
class Spec:
    """A component's name with the options that were written out."""

    name: str
    options: tuple[tuple[str, Value], ...] = ()


def parse_sum(text: str, known: Container[str] = ()) -> list[tuple[float, Spec]]:
    """Parse weighted terms, as in `l2 + 50*ffl[alpha=1]`.

    Raises:
        HarnessError: the text does not follow the grammar.
    """
    return [_term(part, text, known) for part in _split(text, "+")]


def parse(text: str, known: Container[str] = ()) -> Spec:
    """Parse one component, as in `photos32` or `folder:faces[size=64]`.

    Args:
        text: the spec.
        known: registered names; they win over reading trailing digits as a size.

    Raises:
        HarnessError: the text does not follow the grammar.
    """
    body, options = _brackets(text.strip())
    for prefix in _PATHS:
        if body.startswith(prefix):
            path = body[len(prefix) :]
            path = path[1:-1] if re.fullmatch(r"(['\"]).*\1", path) else path
            if not path:
                raise HarnessError(f"the spec {text!r} names no path: write {prefix}PATH")
            if path.rfind("[") > path.rfind("]"):
                raise HarnessError(f"the spec {text!r} does not close its last bracket: add ]")
            return Spec(prefix[:-1], _merge({"path": path}, options, text))
    sized = _SIZED.fullmatch(body)
    if body not in known and sized and sized["base"] in known:
        return Spec(sized["base"], _merge({"size": int(sized["size"])}, options, text))
    if not _NAME.fullmatch(body):
        raise HarnessError(f"cannot read the spec {text!r}: write name or name[key=value,…]")
    return Spec(body, tuple(options.items()))


def format_spec(name: str, options: dict[str, Value], *, sized: bool = True) -> str:
    """Return the canonical text of a component; `parse` reads it back.

    A `sized` one, a dataset, is written with its size as in `photos32`.
    """
    rest = dict(options)
    if name in ("folder", "nifti"):
        path = str(rest.pop("path"))
        name = f"{name}:{_quoted(path) if path.endswith(']') else path}"
    elif sized and "size" in rest and not name[-1].isdigit():
        name = f"{name}{rest.pop('size')}"
    if not rest:
        return name
    return f"{name}[{','.join(f'{key}={format_value(rest[key])}' for key in sorted(rest))}]"


def format_value(value: Value) -> str:
    """Return an option's value as the grammar writes it."""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str) and (_read(value) != value or re.search(_SIGNS, value)):
        return _quoted(value)
    return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)


def _quoted(text: str) -> str:
    return f"'{text}'" if '"' in text else f'"{text}"'


def slug(text: str) -> str:
    """Return `text` as part of a file name: letters, digits, dots and dashes."""
    text = re.sub(r"^(folder|nifti):.*?([^/\\\[]+)/?(\[|$)", r"\1-\2\3", text)
    return re.sub(r"[^A-Za-z0-9.]+", "-", text.replace("=", "")).strip("-.").lower()


def _term(part: str, text: str, known: Container[str]) -> tuple[float, Spec]:
    factors = _split(part, "*")
    if len(factors) == 1:
        return 1.0, parse(part, known)
    weight = _read(factors[0].strip())
    if len(factors) > 2 or isinstance(weight, bool) or not isinstance(weight, (int, float)):
        raise HarnessError(f"cannot read the term {part.strip()!r} of {text!r}: write weight*name")
    return float(weight), parse(factors[1], known)


def _brackets(text: str) -> tuple[str, dict[str, Value]]:
    if not text.endswith("]"):
        return text, {}
    start = _opening(text)
    if start < 0:
        raise HarnessError(f"the spec {text!r} closes a bracket that it does not open")
    options: dict[str, Value] = {}
    for item in _split(text[start + 1 : -1], ","):
        key, equals, value = item.partition("=")
        if not equals or not key.strip() or not value.strip():
            raise HarnessError(f"cannot read {item.strip()!r} in {text!r}: write key=value")
        if key.strip() in options:
            raise HarnessError(f"the option {key.strip()!r} stands twice in {text!r}")
        options[key.strip()] = _read(value.strip())
    return text[:start].strip(), options


def _opening(text: str) -> int:
    """Return where the last pair of brackets opens; quotes inside brackets hide brackets."""
    start, depth, quote = -1, 0, ""
    for position, sign in enumerate(text):
        if quote:
            quote = "" if sign == quote else quote
        elif depth and sign in "\"'":
            quote = sign
        elif sign == "[":
            start, depth = (start if depth else position), depth + 1
        elif sign == "]" and depth:
            depth -= 1
    return -1 if depth else start


def _read(text: str) -> Value:
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        return text[1:-1]
    for kind in (int, float):
        try:
            value = kind(text)
        except ValueError:
            continue
        return value if value == value else text  # NaN is nobody's option
    return text


def _split(text: str, separator: str) -> list[str]:
    """Split at `separator` outside brackets and quotes; a path may hold any sign but ` + `."""
    parts, depth, quote = [""], 0, ""
    is_path = text.strip().startswith(_PATHS)
    for position, sign in enumerate(text):
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "\"'":
            quote = sign
        else:
            depth += (sign == "[") - (sign == "]")
        spaced = text[position - 1 : position + 2] == f" {separator} "
        if sign == separator and not depth and not quote and (spaced or not is_path):
            if separator == "+" and text[position - 1 : position] in "eE" and _exponent(parts[-1]):
                parts[-1] += sign
                continue
            parts.append("")
        else:
            parts[-1] += sign
    if any(not part.strip() for part in parts):
        raise HarnessError(f"an empty place in the spec {text!r}: write name or name[key=value,…]")
    return parts


def _exponent(text: str) -> bool:
    return re.search(r"(^|[^\w.])\d+(\.\d*)?[eE]$", text) is not None


def _merge(first: dict[str, Value], rest: dict[str, Value], text: str) -> tuple:
    twice = sorted(set(first) & set(rest))
    if twice:
        raise HarnessError(f"the option {twice[0]!r} stands twice in {text!r}")
    return tuple({**first, **rest}.items())
