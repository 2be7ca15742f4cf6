"""Takes the one large array out of an old NumPy pickle without running any of it.

A pickle is a program, and loading one runs it. Here it is only cut into its instructions, as
a disassembler does, and the bytes of the array are picked out by their place among them.
"""

import pickletools
from typing import Literal

import numpy as np

from datasets.idx import InvalidArrayFileError
from datasets.images import Pixels

_STRINGS = ("BINSTRING", "BINBYTES")  # one byte of opcode, four of length, then the bytes
_PREFIX = 5
_ORDERS: dict[str, Literal["C", "F"]] = {"NEWFALSE": "C", "NEWTRUE": "F"}  # the flag before them


def array_bytes(program: bytes, shape: tuple[int, int], name: str) -> Pixels:
    """Return the uint8 array of `shape` whose bytes the pickle `program` holds; nothing is run.

    Which bytes are the array is told by their number, so compare the digest of `program` with the
    official one first. `name` is for errors.
    Errors: `InvalidArrayFileError` unless exactly one string, after a flag of the array's memory
    order, has as many bytes as the array.
    """
    length = shape[0] * shape[1]
    found: list[tuple[int, str]] = []
    previous = ""
    try:
        for opcode, argument, place in pickletools.genops(program):
            if opcode.name in _STRINGS and len(argument or "") == length and place is not None:
                found.append((place + _PREFIX, previous))
            previous = opcode.name
    except ValueError as error:
        raise InvalidArrayFileError(f"{name} is no pickle ({error}): get it again") from error
    if len(found) != 1 or found[0][1] not in _ORDERS:
        raise InvalidArrayFileError(
            f"{name} does not hold one array of {shape[0]}x{shape[1]} bytes as NumPy wrote it in "
            "2009: get the official file"
        )
    start, flag = found[0]

    return np.frombuffer(program, np.uint8, length, start).reshape(shape, order=_ORDERS[flag])
