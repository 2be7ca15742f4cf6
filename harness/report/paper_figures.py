"""The documents' figures, drawn from what we stored: their losses in their order."""

from dataclasses import dataclass, replace

from harness.report.collect import Cell, Group
from harness.report.drawing import Drawn
from harness.report.figure_captions import caption
from harness.report.figure_plans import Plan
from harness.report.figures_kernels import MOST, kernel_figure
from harness.report.figures_spectra import spectra_figure, with_spectra
from harness.report.figures_strips import PARTS, strips_figure
from harness.report.kernels import tracks
from harness.report.palette import Look
from harness.report.pictures import strips
from harness.report.stand_ins import Key

PHOTOGRAPHIC = ("pictures", *PARTS)


@dataclass(frozen=True)
class PaperFigure:
    """A figure of a document as we measured it.

    `caption` says what is as in the document and what is not; what stands in it in backquotes is
    code. `photographic` tells that it is made of images, megabytes as SVG: better linked to than
    put into a page.
    """

    drawn: Drawn
    title: str
    caption: str
    photographic: bool


def paper_figure(plan: Plan, cells: dict[Key, Cell], looks: dict[str, Look]) -> PaperFigure | None:
    """Return a figure of the documents, or None where these cells have nothing to show of it.

    Where they have nothing of the figure's own data set, the one that stands in for it is taken.
    `looks` has the look of every label of the cells.
    """
    stand_in = plan.stood_in()
    own = _drawn(plan, cells, looks)
    return own if own or stand_in is None else _drawn(stand_in, cells, looks)


def _drawn(plan: Plan, cells: dict[Key, Cell], looks: dict[str, Look]) -> PaperFigure | None:
    members = [replace(cells[row.key], label=row.label) for row in plan.rows if row.key in cells]
    palette = {row.label: looks[cells[row.key].label] for row in plan.rows if row.key in cells}
    dataset, model, _ = plan.rows[0].key
    group = Group(dataset, model, plan.name, tuple(members))
    drawn, shown = _draw(plan, group, palette)
    if drawn is None:
        return None
    ids = {cell.label: cell.id for cell in members}
    data = drawn.data.assign(cell=drawn.data["loss"].map(ids))
    drawn = replace(drawn, name=plan.name, data=data)
    words = caption(plan, group, shown, drawn)
    return PaperFigure(drawn, plan.title, words, plan.kind in PHOTOGRAPHIC)


def _draw(plan: Plan, group: Group, looks: dict[str, Look]) -> tuple[Drawn | None, list[str]]:
    """Draw a figure; return with it the labels of the losses that it shows."""
    if plan.kind == "kernels":
        return kernel_figure(group, looks), [track.loss for track in tracks(group)[:MOST]]
    if plan.kind == "spectra":
        return spectra_figure(group), [cell.label for cell in with_spectra(group)]
    found = strips(group)
    if found is None:
        return None, []
    parts = PARTS if plan.kind == "pictures" else (plan.kind,)
    return strips_figure(plan.name, plan.title, found, parts), list(found.cells)
