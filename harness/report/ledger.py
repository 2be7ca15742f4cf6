"""The claims of the documents, judged by a grid's own rows."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path

from harness.errors import HarnessError
from harness.report import claims, predicate
from harness.report.claims import Claim, Verdict
from harness.report.collect import Cell, Group
from harness.report.estimates import difference, estimate, half_width
from harness.report.expressions import Expression, Interval, Operation, Value
from harness.report.paper_tables import by_key

COLUMNS = ("id", "document", "where", "claim", "verdict", "numbers", "note")


@dataclass(frozen=True)
class Judged:
    """A claim and what the rows of this grid make of it."""

    claim: Claim
    verdict: Verdict


def judge(groups: list[Group]) -> list[Judged]:
    """Return the claims that concern a cell of these groups, each with its verdict.

    A mean over seeds has the 95 % interval of Student's t, from three seeds on; with fewer, that
    over test images where the metric has one per image. Two losses in one place are compared by
    their paired difference, over the same seeds or images.
    """
    cells = by_key(groups)

    def value(dataset: str, model: str, loss: str, metric: str) -> Interval | None:
        cell = cells.get((dataset, model, loss))
        return None if cell is None else _interval(cell, metric)

    def paired(a: Value, b: Value) -> Interval | None:
        first, second = (cells.get((each.dataset, each.model, each.loss)) for each in (a, b))
        if first is None or second is None:
            return None
        return difference(first, second, a.metric)

    concerned = [claim for claim in claims.claims() if _concerns(claim, set(cells))]
    return [Judged(claim, claims.evaluate(claim, value, paired)) for claim in concerned]


def _interval(cell: Cell, metric: str) -> Interval | None:
    if not cell.measured or metric not in cell.finals:
        return None
    found = estimate(cell, metric)
    if not found.known:
        return None
    half = half_width(found)
    return found.mean, found.mean - half, found.mean + half


def _concerns(claim: Claim, known: set[tuple[str, str, str]]) -> bool:
    if not claim.predicate:
        return any((claim.dataset, claim.model) == (dataset, model) for dataset, model, _ in known)
    comparisons = predicate.parse(claim.predicate, claim.dataset, claim.model)
    sides = [side for each in comparisons for side in (each.left, each.right)]
    values = [value for side in sides for value in _values(side)]
    return any((value.dataset, value.model, value.loss) in known for value in values)


def _values(expression: Expression) -> list[Value]:
    if isinstance(expression, Operation):
        return [*_values(expression.left), *_values(expression.right)]
    return [expression] if isinstance(expression, Value) else []


def to_csv(ledger: list[Judged]) -> str:
    """Return the ledger as CSV, one row per claim."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for claim, verdict in ((each.claim, each.verdict) for each in ledger):
        place = (claim.id, claim.document, claim.where, claim.text)
        writer.writerow((*place, verdict.state, verdict.numbers, claim.note))
    return text.getvalue()


def changed(ledger: list[Judged], committed: Path) -> list[str]:
    """Return in one sentence each which verdicts differ from those of a committed ledger.

    Raises:
        HarnessError: there is no such file, or it is no ledger.
    """
    try:
        with committed.open(newline="", encoding="utf-8") as stream:
            before = {row["id"]: row["verdict"] for row in csv.DictReader(stream)}
    except (OSError, KeyError) as error:
        raise HarnessError(
            f"{committed} is no ledger of claims to check against ({error}): "
            "render the report first and keep its claims.csv"
        ) from error
    now = {each.claim.id: each.verdict.state for each in ledger}
    names = dict.fromkeys([*before, *now])
    return [
        f"{name}: {before.get(name, 'absent')} before, {now.get(name, 'absent')} now"
        for name in names
        if before.get(name) != now.get(name)
    ]


def counts(ledger: list[Judged]) -> dict[str, int]:
    """Return how many claims have each verdict."""
    states = ("supported", "contradicted", "inconclusive", "not run")
    return {state: sum(each.verdict.state == state for each in ledger) for state in states}
