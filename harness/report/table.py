"""A table as data, before it becomes HTML, Markdown, LaTeX or CSV."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from harness.metrics import Direction

ARROWS: dict[Direction, str] = {"maximize": "↑", "minimize": "↓", "none": ""}
MISSING = "—"
# A spread below that part of its mean is what rounding leaves of equal numbers.
DUST = 1e-9


@dataclass(frozen=True)
class Column:
    """A column: `key` names it in CSV, `detail` tells apart columns of one metric.

    In LaTeX, neighbours with the same `over` stand under that head, each as `under`.
    """

    key: str
    label: str
    unit: str = ""
    direction: Direction = "none"
    detail: str = ""
    text: bool = False
    over: str = ""
    under: str = ""

    @property
    def arrow(self) -> str:
        """↑ where more is better, ↓ where less is."""
        return ARROWS[self.direction]

    @property
    def head(self) -> str:
        """The header in plain text."""
        unit = f" ({self.unit})" if self.unit else ""
        detail = f" [{self.detail}]" if self.detail else ""
        return " ".join(f"{self.label}{unit}{detail} {self.arrow}".split())


@dataclass(frozen=True)
class Entry:
    """One entry: `text` is what is printed, `value` the number behind it."""

    text: str = MISSING
    value: float = math.nan
    spread: str = ""
    spread_value: float = math.nan
    low: float = math.nan  # of the 95 % interval of the mean
    high: float = math.nan
    bold: bool = False
    marks: str = ""
    shaded: bool = False
    note: str = ""  # why it is marked or shaded, for the reader who asks


@dataclass(frozen=True)
class Row:
    """One row; a row with a `statement` has no numbers but says why.

    `loss` is the name a colour and details belong to, "" for a row that is no loss.
    """

    label: str
    entries: tuple[Entry, ...]
    loss: str = ""
    anchor: str = ""
    statement: str = ""
    badge: str = ""  # a partial failure, printed beside the name
    marks: str = ""
    keys: tuple[str, ...] = ()  # the texts under the table's keys

    @property
    def name(self) -> str:
        """What stands in the first column in plain text."""
        return self.label + self.marks + (f" ({self.badge})" if self.badge else "")


@dataclass(frozen=True)
class Table:
    """A table with its caption; `notes` explain marks, counts, spreads and signatures.

    `keys` name what CSV alone has of each row, so that its rows can be told apart without others.
    """

    name: str
    title: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    first: str = "Loss"
    keys: tuple[str, ...] = ()


def number(value: float, decimals: int) -> str:
    """Format a number with a true minus sign and no negative zero; "—" where it is not finite."""
    if not math.isfinite(value):
        return MISSING
    text = f"{value:,.{decimals}f}".replace(",", "\N{NARROW NO-BREAK SPACE}")
    if float(f"{value:.{decimals}f}") == 0:
        text = text.lstrip("-")
    return text.replace("-", "−")


def with_spread(mean: float, spread: float, decimals: int) -> tuple[str, str]:
    """Format a mean with its spread, "" where there is none.

    Two significant digits of the spread decide the decimals of both, at most one more than
    `decimals`, which hold where there is no spread.
    """
    if not math.isfinite(spread):
        return number(mean, decimals), ""
    spread = settled(mean, spread)
    if spread > 0:
        decimals = by_spread(spread, decimals)
    return number(mean, decimals), number(spread, decimals)


def settled(mean: float, spread: float) -> float:
    """Return a spread, 0 where it is the rounding error of equal numbers."""
    return 0.0 if spread < DUST * abs(mean) else spread


def by_spread(spread: float, decimals: int) -> int:
    """Return the decimals of a spread above 0 with two significant digits.

    There is at most one more than `decimals`.
    """
    exponent = math.floor(math.log10(float(f"{spread:.1e}")))
    return min(max(0, 1 - exponent), decimals + 1)


def even(rows: Sequence[Row], decimals: Mapping[int, int]) -> tuple[Row, ...]:
    """Return the rows with equally many decimals in each of the columns that `decimals` names.

    Two significant digits of the column's median spread decide, at most one more decimal than is
    given for the column's place; without spreads it is that many. A spread that would print as 0
    keeps one digit.
    """
    rows = [replace(row, entries=tuple(map(_settled, row.entries))) for row in rows]
    places = {column: _places(rows, column, most) for column, most in decimals.items()}
    return tuple(
        replace(row, entries=tuple(_rounded(e, places.get(i)) for i, e in enumerate(row.entries)))
        for row in rows
    )


def _settled(entry: Entry) -> Entry:
    return replace(entry, spread_value=settled(entry.value, entry.spread_value))


def _places(rows: Sequence[Row], column: int, most: int) -> int:
    spreads = [row.entries[column].spread_value for row in rows if row.entries]
    known = [spread for spread in spreads if math.isfinite(spread) and spread > 0]
    return by_spread(statistics.median(known), most) if known else most


def _rounded(entry: Entry, places: int | None) -> Entry:
    if places is None or not math.isfinite(entry.value):
        return entry
    spread = entry.spread_value
    text = number(spread, places) if math.isfinite(spread) else entry.spread
    if math.isfinite(spread) and spread > 0 and float(f"{spread:.{places}f}") == 0:
        text = significant(spread, 1)
    return replace(entry, text=number(entry.value, places), spread=text)


def significant(value: float, digits: int = 2) -> str:
    """Format a positive number of any size with a few significant digits, as for β."""
    if not math.isfinite(value):
        return MISSING
    if value == 0:
        return "0"
    value = float(f"{value:.{digits - 1}e}")
    exponent = math.floor(math.log10(abs(value)))
    if not -4 <= exponent <= 5:
        mantissa = value / 10**exponent
        return f"{mantissa:.{digits - 1}f}e{exponent}".replace("-", "−")
    return number(value, max(0, digits - 1 - exponent))


def signed(value: float, decimals: int) -> str:
    """Format a difference: as `number`, with a plus sign above zero."""
    return ("+" if value > 0 else "") + number(value, decimals)


def spanned(values: Iterable[object]) -> str:
    """Format whole numbers as `100`, or `100 to 1,200` where they differ; "" without any."""
    known = sorted({int(value) for value in pd.Series(list(values), dtype=float).dropna()})
    return " to ".join(f"{value:,}" for value in dict.fromkeys(known[:1] + known[-1:]))


def plural(count: int, noun: str) -> str:
    """Return `1 seed`, `3 seeds`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
