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

COLUMNS = (
    "id", "document", "where", "claim", "verdict", "over", "numbers", "own_numbers", "note",
)  # fmt: skip


@dataclass(frozen=True)
class Judged:
    """A claim, what the rows of this grid make of it, and what its document's own numbers do."""

    claim: Claim
    verdict: Verdict
    own: Verdict

    @property
    def by_its_own(self) -> str:
        """Return whether the numbers that the document prints bear the claim out."""
        return "not printed" if self.own.state == "not run" else self.own.state


def judge(groups: list[Group]) -> list[Judged]:
    """Return the claims that concern a cell of these groups, each with its verdict.

    Two losses in one place are compared by their paired difference: of a metric with a score for
    each image over the test images, from five common seeds on over images and seeds; of a distance
    between sets over the seeds, from three on, by Student's t. Below five seeds a verdict on a
    metric of images is thus one on the trained models, not on other trainings of the same losses.
    A number alone has the interval that tables give it (`harness.report.means.interval`), a share
    of trainings that diverged the score interval. Every verdict tells what its intervals are over.

    What tables do not rank (survivors of failed seeds, several signatures, stale rows, a home
    advantage) no verdict ranks either.
    """
    rows = Evidence(groups)
    known = set(rows.cells)
    return [
        Judged(
            claim,
            claims.evaluate(claim, rows.value, rows.difference, rows, rows.wider),
            claims.by_its_own_numbers(claim),
        )
        for claim in claims.claims()
        if _concerns(claim, known)
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
    for each in ledger:
        claim, verdict = each.claim, each.verdict
        place = (claim.id, claim.document, claim.where, claim.text)
        decided = (verdict.state, verdict.over, verdict.numbers)
        writer.writerow((*place, *decided, each.by_its_own, claim.note))
    return text.getvalue()


def changed(ledger: list[Judged], committed: Path) -> list[str]:
    """Return in one sentence each which verdicts differ from those of a committed ledger.

    Of its columns `id` and `verdict` are read, which every version of the file has.

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
