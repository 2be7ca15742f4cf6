"""A Python file with losses of one's own: read, run, searched for losses."""

import logging
import re
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from harness.errors import HarnessError

log = logging.getLogger(__name__)

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def read(path: Path) -> bytes:
    """Return the source.

    Raises:
        HarnessError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise HarnessError(f"cannot read the plugin file {path}: {error.strerror}") from None


def execute(path: Path, source: bytes, digest: str) -> ModuleType:
    """Run exactly the bytes that were digested: no cached bytecode, nothing on the import path.

    Raises:
        HarnessError: an error in the file, with its line.
    """
    name = f"plugin_{re.sub(r'[^A-Za-z0-9]', '_', path.stem)}_{digest[:12]}"
    module = ModuleType(name)
    module.__file__ = str(path)
    sys.modules[name] = module  # dataclasses and type hints look it up
    try:
        exec(compile(source, str(path), "exec"), module.__dict__)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        log.info("%s", traceback.format_exc())
        text = " ".join(str(getattr(error, "msg", error)).split())
        line = _line(error, str(path))
        raise HarnessError(
            f"cannot import {path.name}: {type(error).__name__}: {text}{line}"
        ) from error
    return module


def _line(error: BaseException, file: str) -> str:
    if isinstance(error, SyntaxError) and error.filename == file:
        return f" (line {error.lineno})"
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == file]
    return f" (line {frames[-1].lineno})" if frames else ""


def losses_of(path: Path, module: ModuleType) -> dict[str, type]:
    """Return the public losses that the module defines, by the name they go by.

    Raises:
        HarnessError: a name that cannot stand in a spec.
    """
    own = [each for name, each in vars(module).items() if not name.startswith("_")]
    found = [each for each in own if is_loss(each) and each.__module__ == module.__name__]
    return {_name(path, each): each for each in found}


def is_loss(found: Any) -> bool:
    """Tell whether it is a class of losses."""
    from losses.base import ReconstructionLoss  # torch: only where there is a plugin

    return isinstance(found, type) and issubclass(found, ReconstructionLoss)


def _name(path: Path, kind: type) -> str:
    name = vars(kind).get("name", _WORDS.sub("-", kind.__name__).replace("_", "-").lower())
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise HarnessError(
            f"{path.name}: the name {name!r} of the class {kind.__name__} cannot stand in a spec: "
            "write lower-case letters, digits and dashes, and begin with a letter"
        )
    return name
