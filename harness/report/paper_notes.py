"""What is wrong, open or different in rows of a document's table: their marks, and sentences."""

from collections.abc import Iterator
from dataclasses import dataclass

from harness.report.notes import label
from harness.report.published import Published
from harness.specs import parse

Place = tuple[str, str]  # the block, the row's label

SIGNS = "†‡§¶‖"
# Settings that the document has for one block alone and that no row's label tells.
SETTINGS = {
    "size": "with a kernel of {0} × {0}, as in the document; elsewhere it is 11 × 11.",
    "warmup": "with a warm-up of {0} epochs, as in the document; elsewhere it is 10.",
}


@dataclass(frozen=True)
class Footnotes:
    """The marks behind the labels of rows, and what they and the columns' errata say."""

    marks: dict[Place, str]
    sentences: tuple[str, ...]


def footnotes(printed: list[Published]) -> Footnotes:
    """Return the errata and exceptions of a table, each sentence once, with a mark for its rows.

    What concerns every row has no mark; what concerns starred rows alone stands under their star.
    """
    every = list(dict.fromkeys(map(place_of, printed)))
    columns = list(dict.fromkeys(each.metric for each in printed))
    marks, lines, used = dict.fromkeys(every, ""), [], 0
    for sentence, members in _concerned(printed).items():
        places = list(dict.fromkeys(map(place_of, members)))
        metrics = list(dict.fromkeys(each.metric for each in members))
        what = "" if metrics == columns else ", ".join(map(label, metrics))
        if places == every:
            lines.append(f"{what or 'All rows'}: {sentence}")
            continue
        sign = "*"
        if not all(row.endswith("*") for _, row in places):
            sign = SIGNS[used % len(SIGNS)] * (used // len(SIGNS) + 1)
            used += 1
            marks |= {place: marks[place] + sign for place in places}
        names = _named(places, every)
        lines.append(f"{sign} {f'{what} of {names}' if what else names}: {sentence}")
    return Footnotes(marks, (*lines, *_without_difference(printed)))


def _concerned(printed: list[Published]) -> dict[str, list[Published]]:
    models: dict[str, str] = {}
    found: dict[str, list[Published]] = {}
    for each in printed:
        usual = models.setdefault(each.block, each.model)
        for sentence in (*_exceptions(each, usual), *each.errata):
            found.setdefault(sentence, []).append(each)
    return found


def _exceptions(each: Published, model: str) -> Iterator[str]:
    """Yield where a row's model or loss has other settings than its block or the other blocks."""
    if each.model != model:
        yield f"another architecture ({each.model}) than its block's, as in the document."
    options = parse(f"{each.loss}[{each.options}]").options if each.options else ()
    yield from (SETTINGS[name].format(value) for name, value in options if name in SETTINGS)


def place_of(each: Published) -> Place:
    return each.block, each.row_label


def _named(places: list[Place], every: list[Place]) -> str:
    """Return the rows' labels, with their block where another block's row of that name is not."""
    partial = {row for block, row in every if (block, row) not in places}
    return ", ".join(
        dict.fromkeys(f"{row} ({block})" if row in partial else row for block, row in places)
    )


def _without_difference(printed: list[Published]) -> Iterator[str]:
    lacking = dict.fromkeys(label(each.metric) for each in printed if not each.comparable)
    if lacking:
        yield (
            f"No Δ of {', '.join(lacking)}: what is printed there is not comparable with what is "
            "measured, for the reason that stands with it above."
        )
