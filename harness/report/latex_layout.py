"""How a table fits the width of a page: the size of its type, broken texts, several panels."""

from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

from harness.report.table import Entry, Table
from harness.report.type_width import BOLD, FOOTNOTE, SCRIPT, TINY, Size, ems, words, wrapped

# In points: the text of an article in one column, and a column of one in two.
PAGE = 345.0
HALF = 229.0
# What may be broken over lines where a table is too wide otherwise is that wide at most; the
# statement of a row, which stands across the columns, at least.
NAME = 110.0
TEXT = 120.0

Span = tuple[int, ...]  # the places of neighbouring columns


@dataclass(frozen=True)
class Setting:
    """A table at a size of type, in points: its texts broken over lines or not."""

    table: Table
    size: Size
    broken: bool

    def measure(self, text: str, *, bold: bool = False) -> float:
        """Return the width of a text."""
        return ems(text) * self.size.quad * (BOLD if bold else 1.0)

    def lines(self, text: str, room: float) -> list[str]:
        """Return a text broken so that it fits `room`, or as it is where nothing is broken."""
        return wrapped(text, room / self.size.quad) if self.broken else [text]

    @cached_property
    def names(self) -> float:
        """The width of the first column."""
        found = [self._widest(row.name, NAME) for row in self.table.rows]
        return max([*found, self._widest(self.table.first, NAME)])

    @cached_property
    def columns(self) -> tuple[float, ...]:
        """The width of each column but the first."""
        return tuple(map(self._column, range(len(self.table.columns))))

    @cached_property
    def rooms(self) -> tuple[float, ...]:
        """How wide a broken text of each column may be, so that those under one head fit."""
        shares = [
            (PAGE - NAME) / len(group) - 2 * self.size.gap for group in self.groups for _ in group
        ]
        return tuple(min(TEXT, share) for share in shares)

    def entry_lines(self, entry: Entry, place: int) -> list[str]:
        """Return the text of a column's entry in lines; a spread stands behind it."""
        room = self.rooms[place] - self._spread(entry)
        return self.lines(entry.text, room / BOLD if entry.bold else room)

    def across(self, span: Span) -> float:
        """Return the width of the columns of a span with what is between them, without heads."""
        return sum(self.columns[place] for place in span) + 2 * self.size.gap * (len(span) - 1)

    def panel(self, span: Span) -> float:
        """Return the width of a tabular of the first column and these."""
        inside = [group for group in self.groups if group[0] in span]
        body = self.across(span) + sum(map(self._excess, inside))
        room = self.statement(span)
        said = (self._widest(row.statement, room) for row in self.table.rows if row.statement)
        return self.names + 2 * self.size.gap + max([body, *said])

    def statement(self, span: Span) -> float:
        """Return the room of a row's statement, which stands across the columns of a span."""
        room = PAGE - self.names - 2 * self.size.gap
        return min(room, max(TEXT, self.across(span)))

    @cached_property
    def groups(self) -> tuple[Span, ...]:
        """The columns that stay together, because they stand under one head."""
        heads = enumerate(self.table.columns)
        runs = groupby(heads, lambda pair: pair[1].over or pair[0])
        return tuple(tuple(place for place, _ in run) for _, run in runs)

    def _column(self, place: int) -> float:
        entries = (self._entry(row.entries[place], place) for row in self.table.rows if row.entries)
        column = self.table.columns[place]
        return max([*entries, self._head(column.under or column.head, self.rooms[place])])

    def _entry(self, entry: Entry, place: int) -> float:
        lines = self.entry_lines(entry, place)
        text = max(self.measure(line, bold=entry.bold) for line in lines)
        return text + self._spread(entry) + self.measure(entry.marks)

    def _spread(self, entry: Entry) -> float:
        """Return the width of a spread, which is tiny at every size."""
        thin = "\N{NARROW NO-BREAK SPACE}"
        return ems(f"{thin}±{thin}{entry.spread}") * TINY.quad if entry.spread else 0.0

    def _excess(self, group: Span) -> float:
        """Return by how much the common head of columns is wider than they are."""
        head = self._head(self.table.columns[group[0]].over, TEXT)
        return max(0.0, head - self.across(group))

    def _head(self, text: str, room: float) -> float:
        """Return how narrow a head may be: broken between all its words."""
        return max(self._widest(part, room) for part in (words(text) if self.broken else [text]))

    def _widest(self, text: str, room: float) -> float:
        return max(map(self.measure, self.lines(text, room)))


@dataclass(frozen=True)
class Layout:
    """A setting with its columns in panels, one above the other; one panel where all fit."""

    setting: Setting
    panels: tuple[Span, ...]

    @property
    def width(self) -> float:
        """The width of the widest panel in points."""
        return max(map(self.setting.panel, self.panels))


def layout(table: Table, limit: float = PAGE) -> Layout:
    """Return the layout with the largest type of which all columns fit side by side.

    Where none does, the columns stand in panels that fit, each with the names of the rows; those
    under one head stay together.
    """
    every = tuple(range(len(table.columns)))
    for size in (FOOTNOTE, SCRIPT, TINY):
        for broken in (False, True):
            setting = Setting(table, size, broken)
            if setting.panel(every) <= limit:
                return Layout(setting, (every,))
    setting = Setting(table, SCRIPT, broken=True)
    return Layout(setting, _balanced(setting, limit))


def _balanced(setting: Setting, limit: float) -> tuple[Span, ...]:
    """Return as few panels as fit, the widest of them as narrow as may be."""
    found = _filled(setting, limit)
    while True:
        widest = max(map(setting.panel, found))
        narrower = _filled(setting, widest - 1)
        if len(narrower) > len(found) or max(map(setting.panel, narrower)) >= widest:
            return found
        found = narrower


def _filled(setting: Setting, limit: float) -> tuple[Span, ...]:
    """Return the columns in panels of at most this width, each as full as it gets."""
    panels: list[Span] = []
    for group in setting.groups:
        joined = (*panels[-1], *group) if panels else group
        if panels and setting.panel(joined) <= limit:
            panels[-1] = joined
        else:
            panels.append(group)
    return tuple(panels)
