"""What the page says of all groups together: ranks, the documents' tables and figures."""

import base64
import io
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from harness.report.collect import Group
from harness.report.drawing import inline, save
from harness.report.figures_ranks import rank_figure
from harness.report.glance import glance_table
from harness.report.palette import Look
from harness.report.paper_figures import PaperFigure
from harness.report.paper_intervals import ENDING, interval_tables
from harness.report.paper_tables import paper_tables
from harness.report.rank_table import rank_table
from harness.report.ranks import standing
from harness.report.sections import Figure, Listing, figure, listing
from harness.report.small_tables import protocol_table

# Of a figure made of photographs, pixels across on the page; its files have them all.
ACROSS = 1400


@dataclass(frozen=True)
class DocumentFigure:
    """A figure of a document: drawn in `svg` or, made of photographs, a `picture` (data URI)."""

    name: str
    title: str
    caption: str
    alt: str
    wide: bool
    svg: str
    picture: str
    size: tuple[int, int]  # of the picture, in pixels


@dataclass(frozen=True)
class Whole:
    """What belongs to no single group, but the documents' figures; None where there is nothing."""

    glance: Listing | None
    ranks: Figure | None
    rank_table: Listing | None
    papers: list[Listing]
    intervals: dict[str, Listing]  # of a paper's table, by that table's name
    protocol: Listing | None


def whole(groups: list[Group], looks: dict[str, Look], out: Path, files: list[Path]) -> Whole:
    """Draw and write what belongs to no single group; `files` gains the paths written."""
    standings = standing(groups)
    ranked = rank_table(groups, standings)
    drawn = rank_figure(groups, looks, standings)
    seen = glance_table(groups)
    return Whole(
        None if seen is None else listing(seen, out, files),
        None if drawn is None else figure(drawn, out, files),
        None if ranked is None else listing(ranked, out, files),
        [listing(table, out, files) for table in paper_tables(groups)],
        {
            table.name.removesuffix(ENDING): listing(table, out, files)
            for table in interval_tables(groups)
        },
        listing(protocol_table(groups), out, files) if groups else None,
    )


def document_figure(each: PaperFigure, out: Path, files: list[Path]) -> DocumentFigure:
    """Write a document's figure and return what stands of it in the page."""
    drawn = each.drawn
    paths, svg = save(drawn, out / "figures")
    files += paths
    picture, size = "", (0, 0)
    if each.photographic:
        svg = ""
        picture, size = _picture(next(path for path in paths if path.suffix == ".png"))
    else:
        svg = inline(svg, drawn)
    return DocumentFigure(
        drawn.name, each.title, each.caption, drawn.alt, drawn.wide, svg, picture, size
    )


def _picture(path: Path) -> tuple[str, tuple[int, int]]:
    """Return a PNG small enough for a page, as a data URI, and its size."""
    with Image.open(path) as opened:
        across = min(ACROSS, opened.width)
        size = (across, round(opened.height * across / opened.width))
        # A gap of 2: averages first, which no eye tells from the filter over all pixels.
        image = opened.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0).convert("RGB")
    stream = io.BytesIO()
    image.save(stream, "WEBP", quality=80, method=2)
    encoded = base64.b64encode(stream.getvalue()).decode()
    return f"data:image/webp;base64,{encoded}", image.size
