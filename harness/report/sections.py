"""A group as the page shows it: sentences, tables, figures and pictures, ready for the template."""

from dataclasses import dataclass
from pathlib import Path

from harness.report.answer import answer
from harness.report.collect import Group
from harness.report.details import Detail, detail
from harness.report.drawing import Drawn, inline, save
from harness.report.export import to_csv, to_latex, to_markdown
from harness.report.figures_cost import price_figure, quality_figure
from harness.report.figures_images import grid_figures
from harness.report.figures_radial import band_table, radial_figure
from harness.report.figures_spectra import spectra_figure
from harness.report.figures_tradeoff import matched_table, tradeoff_figure
from harness.report.figures_tuning import training_figure, tuning_figure
from harness.report.leading import leading, remark
from harness.report.main_table import FURTHER, further_table, main_table
from harness.report.palette import Look
from harness.report.pictures import Strip, Strips, affordable, extremes, strip, strips
from harness.report.small_tables import price_table, tuning_table
from harness.report.table import Table


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
    details: list[Detail]
    figures: dict[str, Figure]
    tables: dict[str, Table]
    further: list[Table]
    strips: Strips | None
    remark: str  # which losses the figures leave out


def section(group: Group, looks: dict[str, Look], out: Path, files: list[Path]) -> Section:
    """Draw and write what belongs to one group; `files` gains the paths written."""
    shown = leading(group)
    found = strips(shown)
    figures = _figures(shown, looks, out, files)
    for grid in grid_figures(shown, found):
        files += save(grid, out / "figures")[0]
    tables = {
        "matched": matched_table(group),
        "tuning": tuning_table(group),
        "price": price_table(group),
        "bands": band_table(group),
    }
    further = [further_table(group, kind) for kind in FURTHER]
    return Section(
        group,
        answer(group),
        listing(main_table(group), out, files),
        [detail(cell) for cell in group.cells],
        figures,
        {key: listing(each, out, files).table for key, each in tables.items() if each is not None},
        [listing(each, out, files).table for each in further if each is not None],
        found,
        remark(group, shown),
    )


def _figures(
    shown: Group, looks: dict[str, Look], out: Path, files: list[Path]
) -> dict[str, Figure]:
    drawn = {
        "quality": quality_figure(shown, looks),
        "spectra": spectra_figure(shown),
        "radial": radial_figure(shown, looks),
        "tradeoff": tradeoff_figure(shown, looks),
        "tuning": tuning_figure(shown, looks),
        "training": training_figure(shown, looks),
        "price": price_figure(shown, looks),
    }
    return {key: _figure(each, out, files) for key, each in drawn.items() if each is not None}


def _figure(drawn: Drawn, out: Path, files: list[Path]) -> Figure:
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


def gallery(group: Group, found: Strips | None, budget: int) -> Gallery | None:
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
