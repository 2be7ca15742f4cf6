"""The program called in the process of the test, and how it ended."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from harness import __main__


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str


Harness = Callable[..., Ended]


def program(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Harness:
    """Return what calls `harness` with the arguments given."""

    def call(*arguments: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["harness", *arguments])
        capsys.readouterr()
        try:
            __main__.main()
            code: Any = 0
        except SystemExit as ended:
            code = ended.code
        out, err = capsys.readouterr()
        return Ended(code or 0, out, err)

    return call
