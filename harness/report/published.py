"""The numbers that the three documents print, as data: what was published, never what we measured.

One CSV per document in the folder `published` beside this module, a row per printed cell, in the
documents' own order of tables, rows and columns; `errata.csv` has the sentences that rows refer to.
"""

import csv
import functools
import io
import re
from dataclasses import dataclass
from importlib.resources import files

from harness.errors import HarnessError, suggestion
from harness.report.expressions import Interval
from harness.specs import format_spec, parse

# The sharpness report prints pictures alone: its file has no rows.
DOCUMENTS = ("bredell", "dalal", "sharpness")

_BOLD = {"yes": True, "no": False, "unknown": None}
_NUMBER = re.compile(r"<?-?\d+(?:\.\d+)?")


@dataclass(frozen=True)
class Published:
    """One printed cell.

    `table` is the document's number of the table; `block` what its first column prints (a dataset,
    or in Bredell's Table 1 a parameter) and `row_label` the row's name, both as typeset. `dataset`
    and `model` are our specs, `loss` a name or a sum of ours with its `options`, `metric` our
    column. `spread` is the printed standard deviation over test images, None where there is none;
    `printed` the cell in the document's text, markup included. `bold` is None where that text does
    not tell: only SSIM and LPIPS of Bredell's Tables 2, 4 and 5 do, by how exponents are set.
    `errata` are sentences on what is wrong or open; where one says that the number is of another
    kind than ours it is not `comparable`. `order` is the cell's place in the document.
    """

    order: int
    document: str
    table: int
    block: str
    row_label: str
    dataset: str
    model: str
    loss: str
    options: str
    metric: str
    value: float
    spread: float | None
    printed: str
    bold: bool | None
    errata: tuple[str, ...]
    comparable: bool

    @property
    def key(self) -> tuple[str, str, str]:
        """The cell's dataset, model and loss."""
        return self.dataset, self.model, self.spec

    @property
    def spec(self) -> str:
        """The loss with its options, as a cell of a grid has it."""
        if not self.options:
            return self.loss
        return format_spec(
            self.loss, dict(parse(f"{self.loss}[{self.options}]").options), sized=False
        )

    @property
    def text(self) -> str:
        """The cell for a reader, with the digits that were printed: `0.176 ± 0.064`, `<632`."""
        digits: str = _NUMBER.findall(self.printed)[0]
        return digits if self.spread is None else f"{digits} ± {self.spread:#.2g}"


def rows(document: str | None = None, table: int | None = None) -> tuple[Published, ...]:
    """Return the printed cells of all documents, of one, or of one's table, in printed order.

    A table or document without numbers gives an empty tuple.

    Raises:
        HarnessError: no such document.
    """
    return tuple(
        row
        for name in documents(document)
        for row in _document(name)
        if table is None or row.table == table
    )


def documents(document: str | None = None) -> tuple[str, ...]:
    """Return the names of all documents, or the one asked for.

    Raises:
        HarnessError: no such document.
    """
    if document is None:
        return DOCUMENTS
    if document not in DOCUMENTS:
        hint = suggestion(document, DOCUMENTS)
        raise HarnessError(f"unknown document {document!r}{hint}; valid: {', '.join(DOCUMENTS)}")
    return (document,)


def value(dataset: str, model: str, loss: str, metric: str) -> Interval | None:
    """Return the printed number of a cell as an interval without width, None where none is printed.

    With it `harness.report.claims.by_its_own_numbers` asks whether they bear out the document's
    claims. A number that several tables repeat is one number.
    """
    found = _values().get((dataset, model, loss, metric))
    return None if found is None else (found, found, found)


@functools.cache
def records(name: str) -> tuple[dict[str, str], ...]:
    """Return the rows of `published/<name>.csv` as they stand there."""
    path = files("harness.report") / "published" / f"{name}.csv"
    return tuple(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"), newline="")))


@functools.cache
def _document(name: str) -> tuple[Published, ...]:
    errata = {record["id"]: record for record in records("errata")}
    return tuple(_published(record, errata) for record in records(name))


def _published(record: dict[str, str], known: dict[str, dict[str, str]]) -> Published:
    errata = [known[key] for key in record["errata"].split()]
    texts = ("document", "block", "row_label", "dataset", "model", "loss", "options", "metric")
    return Published(
        **{name: record[name] for name in texts},
        order=int(record["order"]),
        table=int(record["table"]),
        value=float(record["value"]),
        spread=float(record["spread"]) if record["spread"] else None,
        printed=record["printed"],
        bold=_BOLD[record["bold"]],
        errata=tuple(each["sentence"] for each in errata),
        comparable=all(each["comparable"] == "yes" for each in errata),
    )


@functools.cache
def _values() -> dict[tuple[str, str, str, str], float]:
    return {(*row.key, row.metric): row.value for row in rows()}
