"""The claims of the documents, judged by a grid's own rows."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path

from harness.errors import HarnessError
from harness.report import claims, predicate
from harness.report.claims import Claim, Verdict
from harness.report.collect import Group
from harness.report.evidence import Evidence

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
    their paired difference, over the same seeds or images. What tables do not rank (survivors of
    failed seeds, several signatures, stale rows, a home advantage) no verdict ranks either.
    """
    rows = Evidence(groups)
    concerned = [claim for claim in claims.claims() if _concerns(claim, set(rows.cells))]
    return [
        Judged(claim, claims.evaluate(claim, rows.value, rows.difference, rows))
        for claim in concerned
    ]


def _concerns(claim: Claim, known: set[tuple[str, str, str]]) -> bool:
    if not claim.predicate:
        return any((claim.dataset, claim.model) == (dataset, model) for dataset, model, _ in known)
    return any(
        (value.dataset, value.model, value.loss) in known
        for comparison in predicate.parse(claim.predicate, claim.dataset, claim.model)
        for each in comparison.alternatives
        for value in each.values
    )


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
            reader = csv.DictReader(stream)
            missing = {"id", "verdict"} - set(reader.fieldnames or ())
            before = {} if missing else {row["id"]: row["verdict"] for row in reader}
        reason = f"no column {' or '.join(sorted(missing))}" if missing else ""
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        before, reason = {}, getattr(error, "strerror", None) or str(error)
    if reason:
        raise HarnessError(
            f"{committed} is no ledger of claims to check against ({reason}): "
            "render the report first and keep its claims.csv, or name one with --claims"
        )
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
