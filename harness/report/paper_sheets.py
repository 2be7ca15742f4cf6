"""A document's table line by line: what it prints, and the cells of a grid that repeat it."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from harness.report.collect import Cell
from harness.report.published import Published
from harness.report.stand_ins import Key
from harness.report.table import Row

# What tells a row apart in CSV: documents have one label in several blocks, and names of their own.
KEYS = ("block", "dataset", "model", "loss", "beta")


@dataclass(frozen=True)
class Line:
    """A row of a document: its printed numbers by metric, and the cell that repeats it."""

    block: str
    label: str
    printed: dict[str, Published]
    cell: Cell | None

    def keys(self) -> tuple[str, ...]:
        """Return its texts under `KEYS`; β of the final models, "" where there are none."""
        dataset, model, loss = next(iter(self.printed.values())).key
        known = self.cell is not None and self.cell.measured
        beta = repr(float(self.cell.finals["beta"].iloc[0])) if self.cell and known else ""
        return self.block, dataset, model, loss, beta

    @property
    def state(self) -> str:
        """What of the cell failed, or that it was not run."""
        if self.cell is None:
            return "not run"
        return self.cell.state or ("" if self.cell.measured else "not run")

    @property
    def loss(self) -> str:
        """The name that the loss has in this report."""
        return "" if self.cell is None else self.cell.label


@dataclass(frozen=True)
class Sheet:
    """One table of a document: its printed cells and the cells of the grid."""

    document: str
    number: int
    printed: list[Published]
    cells: dict[Key, Cell]

    @property
    def name(self) -> str:
        """The stem of the table's files."""
        return f"{self.document}-table-{self.number}"

    @property
    def measured(self) -> list[Cell]:
        """The cells that have final models."""
        keys = dict.fromkeys(each.key for each in self.printed)
        return [self.cells[key] for key in keys if key in self.cells and self.cells[key].measured]

    def metrics(self) -> dict[str, bool]:
        """Return the metrics in the document's order, and whether a number of them compares."""
        found: dict[str, bool] = {}
        for each in self.printed:
            found[each.metric] = found.get(each.metric, False) or each.comparable
        return found

    def blocks(self) -> Iterator[tuple[Row, list[Line]]]:
        """Yield each block's head, which says its data and model, and its rows."""
        for block, members in groupby(self.printed, lambda each: each.block):
            lines = [
                Line(block, label, {each.metric: each for each in row}, self.cells.get(key))
                for (label, key), row in groupby(members, lambda each: (each.row_label, each.key))
            ]
            dataset, model, *_ = lines[0].keys()[1:]
            yield Row(block, (), statement=f"{dataset} with {model}"), lines
