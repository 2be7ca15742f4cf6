"""Data that may take the place of a document's own, which not everybody can get."""

import functools
from collections.abc import Container, Iterable
from dataclasses import replace
from itertools import groupby

from harness.report import published
from harness.report.published import Published

Key = tuple[str, str, str]  # dataset, model, loss


@functools.cache
def stand_ins() -> dict[str, tuple[str, str]]:
    """Return by data set of the documents its stand-in and the sentence that says so."""
    records = published.records("stand_ins")
    return {each["dataset"]: (each["stand_in"], each["sentence"]) for each in records}


def stood_in(printed: Iterable[Published], cells: Container[Key]) -> list[Published]:
    """Return the printed cells, those of a block without a cell of ours with the stand-in's data.

    Their numbers do not compare with what is measured there, and an erratum says why. A block of
    which the stand-in has no cell either stays as it is.
    """
    found: list[Published] = []
    for _, block in groupby(printed, lambda each: (each.document, each.table, each.block)):
        own = list(block)
        others = [other for each in own if (other := _replaced(each)) is not None]
        absent = not any(each.key in cells for each in own)
        found += others if absent and any(each.key in cells for each in others) else own
    return found


def _replaced(each: Published) -> Published | None:
    pair = stand_ins().get(each.dataset)
    if pair is None:
        return None
    dataset, sentence = pair
    said = f"{sentence}: the order of the losses may carry over, the numbers do not."
    return replace(each, dataset=dataset, errata=(*each.errata, said), comparable=False)
