"""A group as the page shows it: sentences, tables, figures and pictures, ready for the template."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from harness.report.annotations import Beside, beside
from harness.report.answer import answer
from harness.report.budget import Budget, budget_table, budgets
from harness.report.collect import Group
from harness.report.comparisons import comparison_table
from harness.report.details import Detail, detail
from harness.report.drawing import Drawn, inline, save
from harness.report.export import to_csv, to_latex, to_markdown
from harness.report.figures_budget import budget_figure
from harness.report.figures_cost import quality_figure
from harness.report.figures_images import grid_figures
from harness.report.figures_kernels import kernel_figure
from harness.report.figures_price import price_figure
from harness.report.figures_radial import band_table, radial_figure
from harness.report.figures_spectra import spectra_figure
from harness.report.figures_tradeoff import tradeoff_figure
from harness.report.figures_tuning import training_figure, tuning_figure
from harness.report.leading import leading, remark
from harness.report.main_table import FURTHER, further_table, main_table
from harness.report.matched import full_matched_table, matched_table
from harness.report.palette import Look
from harness.report.pictures import Strip, Strips, affordable, extremes, strip, strips
from harness.report.small_tables import price_table, tuning_table
from harness.report.table import Table

# A page of 15 MiB opens at once; its figures and pictures have 13 MiB.
ROOM = 13 * 2**20
LEAST_PICTURES = 64 * 2**10

FIGURES: dict[str, Callable[[Group, dict[str, Look]], Drawn | None]] = {
    "quality": quality_figure,
    "spectra": lambda shown, _: spectra_figure(shown),
    "radial": radial_figure,
    "budget": budget_figure,
    "kernels": kernel_figure,
    "tradeoff": tradeoff_figure,
    "tuning": tuning_figure,
    "training": training_figure,
    "price": price_figure,
}


@dataclass(frozen=True)
class Figure:
    """A figure in the page: `svg` is inlined, `name` is its file's stem."""

    name: str
    svg: str
    alt: str
    wide: bool


@dataclass(frozen=True)
class Listing:
    """A table in the page with its texts to copy."""

    table: Table
    markdown: str
    latex: str


@dataclass(frozen=True)
class Shown:
    """One row of pictures; the data has only `recon`."""

    label: str
    loss: str
    recon: Strip
    samples: Strip | None
    extremes: Strip | None
    median_index: int | None
    worst_index: int | None
    seed: int | None


@dataclass(frozen=True)
class Gallery:
    """The pictures of a group: the data first, then one row per loss."""

    indices: tuple[int, ...]
    rows: tuple[Shown, ...]
    left_out: int  # losses whose pictures the page has no room for
    stored: int  # images stored per loss
    other_inputs: tuple[str, ...]


@dataclass(frozen=True)
class Section:
    """Everything the page says about one group; None where there is nothing to show."""

    group: Group
    sentences: list[str]
    listing: Listing
    beside: Beside  # what documents print of the main table's entries
    details: list[Detail]
    figures: dict[str, Figure]
    tables: dict[str, Table]
    further: list[Table]
    gallery: Gallery | None
    remark: str  # which losses the figures leave out


def section(
    group: Group, looks: dict[str, Look], out: Path, files: list[Path], room: int = ROOM
) -> Section:
    """Draw and write what belongs to one group; `files` gains the paths written.

    `room` is what figures and pictures may take of the page, in bytes.
    """
    shown = leading(group)
    found = strips(shown)
    split = budgets(group)
    figures = _figures(shown, looks, split, out, files)
    for grid in grid_figures(shown, found):
        files += save(grid, out / "figures")[0]
    tables = {
        "comparisons": comparison_table(group),
        "matched": matched_table(group),
        "matched_full": full_matched_table(group),
        "tuning": tuning_table(group),
        "price": price_table(group),
        "bands": band_table(group),
        "budget": budget_table(group, split),
    }
    further = [further_table(group, kind) for kind in FURTHER]
    table = main_table(group)
    return Section(
        group,
        answer(group),
        listing(table, out, files),
        beside(group, table),
        [detail(cell) for cell in group.cells],
        figures,
        {key: listing(each, out, files).table for key, each in tables.items() if each is not None},
        [listing(each, out, files).table for each in further if each is not None],
        gallery(found, max(LEAST_PICTURES, room - sum(len(each.svg) for each in figures.values()))),
        remark(group, shown),
    )


def _figures(
    shown: Group, looks: dict[str, Look], split: list[Budget], out: Path, files: list[Path]
) -> dict[str, Figure]:
    every = FIGURES | {"budget": partial(budget_figure, known=split)}
    drawn: Iterator[tuple[str, Drawn | None]] = (
        (key, draw(shown, looks)) for key, draw in every.items()
    )  # one after the other: a figure is let go of before the next is drawn
    return {key: figure(each, out, files) for key, each in drawn if each is not None}


def figure(drawn: Drawn, out: Path, files: list[Path]) -> Figure:
    """Write a figure and return what stands of it in the page."""
    paths, svg = save(drawn, out / "figures")
    files += paths
    return Figure(drawn.name, inline(svg, drawn), drawn.alt, drawn.wide)


def listing(table: Table, out: Path, files: list[Path]) -> Listing:
    """Write a table as Markdown, LaTeX and CSV, and return it with its texts to copy."""
    texts = {"md": to_markdown(table), "tex": to_latex(table), "csv": to_csv(table)}
    for suffix, text in texts.items():
        files.append(out / "tables" / f"{table.name}.{suffix}")
        files[-1].write_text(text, encoding="utf-8")
    return Listing(table, texts["md"], texts["tex"])


def gallery(found: Strips | None, budget: int) -> Gallery | None:
    """Return the page's pictures within a budget of bytes; None where none are stored."""
    if found is None:
        return None
    across, many = affordable(found, budget)
    rows = [Shown("data", "", strip(found.inputs[:across]), None, None, None, None, None)]
    for label, each in list(found.cells.items())[:many]:
        rows.append(
            Shown(
                label,
                label,
                strip(each.recon[:across]),
                strip(each.samples[:across]),
                extremes(each),
                each.median_index,
                each.worst_index,
                each.seed,
            )
        )
    left_out = len(found.cells) - many
    return Gallery(
        found.indices[:across], tuple(rows), left_out, len(found.inputs), found.other_inputs
    )
