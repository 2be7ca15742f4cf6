"""The metrics of a group: one column per metric and signature."""

from dataclasses import dataclass

import pandas as pd

from harness.metrics import METRICS, Table
from harness.report.collect import Cell, Group
from harness.report.means import Estimate, estimate


@dataclass(frozen=True)
class Measure:
    """A metric with one signature: two signatures never share a column."""

    metric: str
    signature: str
    detail: str

    def rows(self, cell: Cell) -> pd.DataFrame:
        """The cell's seeds that were measured with this signature."""
        signatures = cell.finals[f"{self.metric}_signature"].to_list()
        found = [(each if isinstance(each, str) else "") == self.signature for each in signatures]
        return cell.finals if all(found) else cell.finals[found]

    def estimate(self, cell: Cell) -> Estimate:
        """The cell's mean under this signature."""
        return estimate(cell, self.metric, self.rows(cell))


def measures(group: Group, table: Table = "main") -> list[Measure]:
    """Return the columns of one table: its stored metrics, split where signatures differ."""
    if not group.measured:
        return []
    finals = pd.concat([cell.finals for cell in group.measured])
    found = []
    for name in METRICS:
        if METRICS[name].table != table or name not in finals or finals[name].isna().all():
            continue
        signed = finals[finals[name].notna()][f"{name}_signature"]
        signatures = list(dict.fromkeys(signed.fillna("")))
        details = _differences(signatures)
        found += [Measure(name, *pair) for pair in zip(signatures, details, strict=True)]
    return found


def _differences(signatures: list[str]) -> list[str]:
    """What tells each signature from the others: its parts that not all of them have."""
    if len(signatures) < 2:
        return [""]
    parts = [each.split("|") for each in signatures]
    shared = set(parts[0]).intersection(*parts[1:])
    return [", ".join(p for p in each if p not in shared) or "no signature" for each in parts]
