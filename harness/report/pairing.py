"""Which cell of one grid answers to which of another: by id, else by dataset, model and loss."""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Literal

from harness.report.collect import Cell, Group

Ground = Literal["id", "names"]
Key = Callable[[Cell], Hashable]


@dataclass(frozen=True)
class Pair:
    """A cell of A and the one of B it is compared with; `by` is what they share."""

    a: Cell
    b: Cell
    by: Ground


@dataclass(frozen=True)
class Pairing:
    """The pairs in A's order, and the cells that have no other."""

    pairs: tuple[Pair, ...]
    only_a: tuple[Cell, ...]
    only_b: tuple[Cell, ...]


def _names(cell: Cell) -> Hashable:
    return cell.dataset, cell.model, cell.loss


def _beta(cell: Cell) -> Hashable:
    return _names(cell), cell.protocol.get("beta")


# From the strictest to the loosest: a loss that stands twice in a grid is told apart by its β.
_KEYS: tuple[tuple[Ground, Key], ...] = (
    ("id", lambda cell: cell.id),
    ("names", _beta),
    ("names", _names),
)


def pair(a: Iterable[Group], b: Iterable[Group]) -> Pairing:
    """Return which cells of two grids are the same, by id, or else bear the same names.

    Cells of one dataset, model and loss are paired where each grid has one of them, or one of each
    fixed β; their protocol, source or versions may differ, which `circumstances` tells.
    """
    first, second = ([cell for group in groups for cell in group.cells] for groups in (a, b))
    found: dict[str, Pair] = {}
    for by, key in _KEYS:
        taken = {each.b.id for each in found.values()}
        left = _single((cell for cell in first if cell.id not in found), key)
        right = _single((cell for cell in second if cell.id not in taken), key)
        for shared in left.keys() & right.keys():
            found[left[shared].id] = Pair(left[shared], right[shared], by)
    taken = {each.b.id for each in found.values()}
    return Pairing(
        tuple(found[cell.id] for cell in first if cell.id in found),
        tuple(cell for cell in first if cell.id not in found),
        tuple(cell for cell in second if cell.id not in taken),
    )


def _single(cells: Iterable[Cell], key: Key) -> dict[Hashable, Cell]:
    """The cells by a key that no other of them has."""
    every = list(cells)
    counts = Counter(map(key, every))
    return {key(cell): cell for cell in every if counts[key(cell)] == 1}
