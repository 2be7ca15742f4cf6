"""How a document's table was measured: images, seeds, β of each row, signatures."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby

from harness.report.advantage import is_learned
from harness.report.collect import Cell
from harness.report.main_table import beta_entry
from harness.report.means import interval
from harness.report.notes import label
from harness.report.paper_notes import Place, place_of
from harness.report.published import Published
from harness.report.table import plural, spanned

Cells = Mapping[tuple[str, str, str], Cell]  # by dataset, model and loss

# What the document chose β by; the others do not say.
TUNED_FOR = {"bredell": "fid_gen"}
PERCEPTUAL = ("lpips", "fid_")


def caption(name: str, printed: list[Published], measured: list[Cell]) -> str:
    """Return what was measured on how many images and seeds, and what the signs mean.

    `name` is the table's, after which that of its intervals is called.
    """
    images, generated = (
        spanned(value for cell in measured for value in cell.finals[column])
        for column in ("images", "generated")
    )
    drawn = any(each.metric.endswith("_gen") for each in printed) and generated
    counts = [f"{images or 'the'} test images", *([f"{drawn} generated images"] if drawn else [])]
    seeds = sorted({len(cell.finals) for cell in measured})
    trained = f"{' or '.join(map(str, seeds))} {'seed' if seeds == [1] else 'seeds'}"
    delta = " Δ: measured minus published." if any(each.comparable for each in printed) else ""
    return (
        f"Measured on {' and '.join(counts)}, {trained}; ± is the standard deviation over images, "
        f"as the document prints it. {_bold(printed)}{delta}{_intervals(name, printed, measured)}"
    )


def _bold(printed: list[Published]) -> str:
    """What bold means in either column: the document's own is known of few metrics."""
    apart = ""
    if any(is_learned(each.spec) for each in printed):
        apart = ", without the learned losses below the rule, as in the document"
    known = dict.fromkeys(label(each.metric) for each in printed if each.bold is not None)
    theirs = f"as the document has it, known of {' and '.join(known)} alone" if known else "unknown"
    return (
        "Bold in what was measured: best of its block and those tied with it"
        f"{apart}; in what is published: {theirs}."
    )


def _intervals(name: str, printed: list[Published], measured: list[Cell]) -> str:
    metrics = dict.fromkeys(each.metric for each in printed)
    pairs = [(cell, metric) for cell in measured for metric in metrics if metric in cell.finals]
    known = any(interval(cell, metric).over != "none" for cell, metric in pairs)
    return f" 95 % intervals of the measured means: table {name}-intervals." if known else ""


def choices(printed: list[Published], cells: Cells) -> tuple[str, ...]:
    """Return per block how β was chosen and each row's β, and where the document chose otherwise.

    A grid may hold rows of one block with a fixed and with a tuned β: each kind has its sentence.
    """
    blocks = [(block, list(rows)) for block, rows in groupby(printed, lambda each: each.block)]
    lines = []
    for block, rows in blocks:
        values: dict[str, dict[str, list[str]]] = {}
        for row, cell in measured(rows, cells):
            betas = values.setdefault(_how(cell), {})
            betas.setdefault(beta_text(cell), []).append(row.row_label)
        head = f"{block}: " if len(blocks) > 1 else ""
        lines += [f"{head}{how} {_listed(betas)}." for how, betas in values.items()]
    return (*lines, *_other_objective(printed, cells))


def _listed(betas: dict[str, list[str]]) -> str:
    """Return each β with its rows; a β of all rows alone."""
    if len(betas) == 1:
        return next(iter(betas))
    return ", ".join(f"{beta} for {' and '.join(rows)}" for beta, rows in betas.items())


def measured(rows: Iterable[Published], cells: Cells) -> list[tuple[Published, Cell]]:
    """Return the rows that have a measured cell, with it, each row once."""
    once = {place_of(row): row for row in rows}.values()
    return [(row, cells[row.key]) for row in once if row.key in cells and cells[row.key].measured]


def _how(cell: Cell) -> str:
    if _fixed(cell):
        return "β fixed at"
    chosen = cell.protocol.get("select_on") or "validation"
    where = "the test split: not a held-out estimate" if chosen == "test" else chosen
    return f"β tuned in {plural(cell.trials, 'trial')} for {label(_objective(cell))} ({where}):"


def _fixed(cell: Cell) -> bool:
    return cell.protocol.get("beta") is not None


def _objective(cell: Cell) -> str:
    return str(cell.protocol.get("objective") or "frd_gen")


def beta_text(cell: Cell) -> str:
    """Return the β of a cell's final models, and whether it lies at a bound of its range."""
    if _fixed(cell):
        return f"{cell.protocol['beta']:g}"
    entry = beta_entry(cell)
    return f"{entry.text} ({entry.note})" if entry.note else entry.text


def _other_objective(printed: list[Published], cells: Cells) -> Iterator[str]:
    theirs = TUNED_FOR.get(printed[0].document)
    tuned = [cell for _, cell in measured(printed, cells) if not _fixed(cell)]
    others = dict.fromkeys(_objective(cell) for cell in tuned if _objective(cell) != theirs)
    if theirs is None or not others:
        return
    perceptual = any(each.metric.startswith(PERCEPTUAL) for each in printed)
    why = "" if perceptual else "; in this table it prints no perceptual metric"
    yield (
        f"β was not tuned for what the document tuned for: {', '.join(map(label, others))} instead "
        f"of {label(theirs)}{why}."
    )


def signatures(printed: list[Published], cells: Cells) -> tuple[str, ...]:
    """Return the signatures of a table's measured columns, each once after what bears it.

    A column with several names the rows of each: blocks have their own test images.
    """
    bearers: dict[str, list[str]] = {}
    for metric, rows in _by_metric(printed).items():
        signed: dict[str, list[Place]] = {}
        for row, cell in measured(rows, cells):
            for signature in signed_with(cell, metric):
                signed.setdefault(signature, []).append(place_of(row))
        every = [place for places in signed.values() for place in places]
        for signature, places in signed.items():
            which = f" ({_whole_blocks(places, every)})" if len(signed) > 1 else ""
            bearers.setdefault(signature, []).append(label(metric) + which)
    named = [f"{', '.join(labels)}: {signature}" for signature, labels in bearers.items()]
    return (f"Signatures. {'; '.join(named)}.",) if named else ()


def _by_metric(printed: list[Published]) -> dict[str, list[Published]]:
    found: dict[str, list[Published]] = {}
    for each in printed:
        found.setdefault(each.metric, []).append(each)
    return found


def signed_with(cell: Cell, metric: str) -> list[str]:
    """Return the signatures that a metric of a cell's seeds bears."""
    column = f"{metric}_signature"
    return list(dict.fromkeys(cell.finals[column].dropna())) if column in cell.finals else []


def _whole_blocks(places: list[Place], every: list[Place]) -> str:
    """Name a block whose rows are all there once, other rows by label and block."""
    shared = {block for block, row in every if every.count((block, row)) > 1}
    broken = shared | {block for block, row in every if (block, row) not in places}
    return ", ".join(
        dict.fromkeys(f"{row} of {block}" if block in broken else block for block, row in places)
    )
