"""Captions of the documents' figures: what is as in the document, what is not, what is missing."""

from harness.report.collect import Cell, Group
from harness.report.drawing import Drawn
from harness.report.figure_plans import Plan
from harness.report.table import spanned

SHOWS = {
    "kernels": (
        "Kernels that the loss predicts for training images, each scaled to its own largest value; "
        "σ is its standard deviation along an axis in pixels. Right: the median of σ over the "
        "images that were kept, with its range; dotted where the loss begins to use the kernels."
    ),
    "pictures": (
        "Left: reconstructions, below the test images that they are of. Right: images generated "
        "from the prior, below further test images; rows of one network and seed are of the same "
        "latents."
    ),
    "reconstructions": "Reconstructions, below the test images that they are of.",
    "generations": (
        "Images generated from the prior, below test images; rows of one network and seed are of "
        "the same latents."
    ),
    "spectra": (
        "Mean log amplitudes of the Fourier transform of reconstructions and of generated images, "
        "the test images' at the right; |Δ| is the mean absolute difference to these."
    ),
}


def caption(plan: Plan, group: Group, shown: list[str], drawn: Drawn) -> str:
    """Return the caption of a figure.

    Args:
        plan: what the document shows.
        group: the cells there are, by the document's names.
        shown: the names of those that the figure shows.
        drawn: the figure.
    """
    cells = [cell for cell in group.measured if cell.label in shown]
    sentences = [
        SHOWS[plan.kind],
        _alike(plan, cells),
        _unlike(plan, cells, drawn),
        _names(plan, shown),
        _training(cells, drawn),
        *_missing(plan, group, shown),
    ]
    return " ".join(sentence for sentence in sentences if sentence)


def _alike(plan: Plan, cells: list[Cell]) -> str:
    models = [f"`{model}`" for model in dict.fromkeys(cell.model for cell in cells)]
    parts = [] if plan.stand_in else [f"the data `{plan.rows[0].key[0]}`"]
    parts.append(f"the network{'s' * (len(models) > 1)} {' and '.join(models)}")
    if len(plan.rows) > 1:
        parts.append("the losses in its order")
    return f"As in the document: {', '.join(parts)}."


def _unlike(plan: Plan, cells: list[Cell], drawn: Drawn) -> str:
    parts = [f"{plan.stand_in} (`{plan.rows[0].key[0]}`)"] if plan.stand_in else []
    if plan.kind == "spectra":
        parts.append(f"means are over {_spectra(cells)}")
    elif plan.kind != "kernels":
        count = int(drawn.data["column"].max()) + 1
        parts.append(f"not chosen images but the first {count}")
    if plan.remark:
        parts.append(plan.remark)
    return f"Unlike it: {'; '.join(parts)}."


def _spectra(cells: list[Cell]) -> str:
    images, generated = (
        spanned(value for cell in cells for value in cell.finals[column])
        for column in ("images", "generated")
    )
    return f"{images or 'all'} test images and {generated or 'as many'} generated ones"


def _names(plan: Plan, shown: list[str]) -> str:
    """Say which of our losses stand behind the document's names that do not tell."""
    pairs = [(row.label, row.key[2]) for row in plan.rows if row.label in shown]
    told = [f"{label} is `{loss}`" for label, loss in pairs if label.lower() != loss]
    return f"{'; '.join(told)}." if told else ""


def _training(cells: list[Cell], drawn: Drawn) -> str:
    """Say what models these are."""
    seeds = drawn.data["seed"] if "seed" in drawn.data else [c.pictures[0].seed for c in cells]
    parts = [f"Seed {spanned(seeds)}"]
    epochs = spanned(value for cell in cells for value in cell.finals["epochs"])
    if epochs:
        parts.append(f"{epochs} epochs")
    fixed = {cell.protocol.get("beta") is not None for cell in cells}
    parts += ["β fixed"] * (True in fixed) + ["β tuned"] * (False in fixed)
    limits = spanned(cell.protocol["limit"] for cell in cells if cell.protocol.get("limit"))
    if limits:
        parts.append(f"the first {limits} images of each split alone")
    return f"{', '.join(parts)}."


def _missing(plan: Plan, group: Group, shown: list[str]) -> list[str]:
    """Name the losses of the document that the figure lacks, by the reason."""
    cells = {cell.label: cell for cell in group.cells}
    reasons: dict[str, list[str]] = {}
    for row in plan.rows:
        if row.label not in shown:
            reasons.setdefault(_reason(cells.get(row.label), plan.kind), []).append(row.label)
    return [f"{reason}: {', '.join(labels)}." for reason, labels in reasons.items()]


def _reason(cell: Cell | None, kind: str) -> str:
    if cell is None or not cell.measured:
        state = "not run" if cell is None else cell.state or "not run"
        return state[0].upper() + state[1:]
    stored = {"kernels": "kernels", "spectra": "spectra"}.get(kind, "images")
    return f"Measured, but {stored} not stored or not of the same images"
