"""The figures of the documents as data: which cells each shows, in the document's own order.

`published/figures.csv` has a row per figure; where it names a table and a block of it, the figure
shows the losses of those rows. `published/stand_ins.csv` has the data sets that may take the place
of one that not everybody can get.
"""

import functools
from dataclasses import dataclass, replace

from harness.report import published
from harness.report.paper_tables import TITLES
from harness.report.stand_ins import Key, stand_ins

KINDS = ("kernels", "pictures", "reconstructions", "generations", "spectra")


@dataclass(frozen=True)
class PlannedRow:
    """One loss of a figure: its name as the document prints it, and the cell's key."""

    label: str
    key: Key


@dataclass(frozen=True)
class Plan:
    """One figure of a document.

    `figure` is its number, "" where the document has none; `kind` one of `KINDS`; `remark` says, as
    a clause, how ours differs; `divided` tells that another plan is of the same figure; `stand_in`
    is the sentence on data that replace the document's, "" where they are the document's own.
    """

    document: str
    figure: str
    kind: str
    rows: tuple[PlannedRow, ...]
    remark: str
    divided: bool
    stand_in: str = ""

    @property
    def name(self) -> str:
        """The stem of its files."""
        stem = f"{self.document}-figure-{self.figure}" if self.figure else f"{self.document}-strips"
        return f"{stem}-{self.kind}" if self.divided else stem

    @property
    def title(self) -> str:
        """The document and the number, with what is shown where one figure is drawn as two."""
        number = f"Figure {self.figure}" if self.figure else "image strips"
        part = f" ({self.kind})" if self.divided else ""
        return f"{TITLES[self.document]}, {number}{part}"

    def stood_in(self) -> "Plan | None":
        """Return the same figure of the stand-in data, None where there are none."""
        pair = stand_ins().get(self.rows[0].key[0])
        if pair is None:
            return None
        dataset, sentence = pair
        rows = tuple(PlannedRow(row.label, (dataset, *row.key[1:])) for row in self.rows)
        return replace(self, rows=rows, stand_in=sentence)


@functools.cache
def plans() -> tuple[Plan, ...]:
    """Return every figure of the documents that measurements can make, in their order."""
    records = published.records("figures")
    numbers = [(each["document"], each["figure"]) for each in records]
    return tuple(
        _plan(record, numbers.count(number) > 1)
        for record, number in zip(records, numbers, strict=True)
    )


def _plan(record: dict[str, str], divided: bool) -> Plan:
    rows = _of_table(record) if record["table"] else _written(record)
    texts = {name: record[name] for name in ("document", "figure", "kind", "remark")}
    return Plan(**texts, rows=rows, divided=divided)


def _of_table(record: dict[str, str]) -> tuple[PlannedRow, ...]:
    printed = published.rows(record["document"], int(record["table"]))
    return tuple(
        dict.fromkeys(
            PlannedRow(each.row_label, each.key)
            for each in printed
            if each.block == record["block"]
        )
    )


def _written(record: dict[str, str]) -> tuple[PlannedRow, ...]:
    """Read `label: loss; label: loss`."""
    pairs = (part.split(": ", 1) for part in record["rows"].split("; "))
    return tuple(PlannedRow(x, (record["dataset"], record["model"], loss)) for x, loss in pairs)
