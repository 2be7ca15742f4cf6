"""How figures look and are written: 8-point type, two widths, three formats, data beside."""

import base64
import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator
from PIL import Image

from harness.report.fonts import LIGHT, families
from harness.report.palette import BLACK

NARROW, WIDE = 3.25, 6.75  # inches: one column and two columns of a paper
POINTS = 8
DPI = 300
INK, LINE, QUIET = "#1f2430", "#c9ced6", "#6f7783"

_STYLE = {
    "font.size": POINTS,
    "axes.titlesize": POINTS,
    "axes.labelsize": POINTS,
    "xtick.labelsize": POINTS,
    "ytick.labelsize": POINTS,
    "text.color": INK,
    "text.parse_math": False,
    "axes.labelcolor": INK,
    "axes.edgecolor": QUIET,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "grid.color": LINE,
    "grid.linewidth": 0.4,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "lines.linewidth": 1.2,
    "lines.markersize": 3.5,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "image.interpolation": "none",
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
}


_LONG = re.compile(r"-?\d+\.\d{4,}")
_EMBEDDED = re.compile(r"data:image/png;base64,\s*([A-Za-z0-9+/=\s]+)")
HEAVY = 32 * 2**10  # bytes of a picture inside a figure
LARGE = 2**18  # pixels of a picture whose compression takes long


@dataclass(frozen=True)
class Drawn:
    """A figure to be written: `alt` says in words what it shows, `data` are its numbers."""

    name: str
    figure: Figure
    alt: str
    data: pd.DataFrame

    @property
    def wide(self) -> bool:
        """Whether it takes two columns of a paper."""
        return bool(self.figure.get_figwidth() > NARROW + 0.1)


@contextmanager
def style(salt: str) -> Iterator[None]:
    """Draw in the report's style; `salt` makes the identifiers inside an SVG reproducible."""
    settings: Any = {**_STYLE, "font.family": families(), "svg.hashsalt": salt}
    with mpl.rc_context(settings), warnings.catch_warnings():
        # A plugin's name may use letters the embedded font lacks; the page shows them all the same.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def panel(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Add axes at a place given in inches from the lower left corner."""
    across, up = figure.get_size_inches()
    axes = figure.add_axes((left / across, bottom / up, width / across, height / up))
    return axes


def log_axis(axes: Axes, which: str) -> None:
    """Make an axis logarithmic with plain numbers at its ticks."""
    (axes.set_xscale if which == "x" else axes.set_yscale)("log")
    axis = axes.xaxis if which == "x" else axes.yaxis
    low, high = axes.get_xlim() if which == "x" else axes.get_ylim()
    if high / low < 20:
        ticks = _decade_ticks(low, high)
        axis.set_ticks(ticks)
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())  # ticks without a mark, which still take time


def _decade_ticks(low: float, high: float) -> list[float]:
    """Ticks at 1, 2 and 5 times powers of ten: decades alone would leave a short axis bare."""
    candidates = [m * 10.0**e for e in range(-12, 13) for m in (1, 2, 5)]
    inside = [tick for tick in candidates if low <= tick <= high]
    return inside if len(inside) > 1 else [float(f"{low * 1.02:.2g}"), float(f"{high * 0.98:.2g}")]


def save(drawn: Drawn, folder: Path) -> tuple[list[Path], str]:
    """Write SVG, PNG, PDF and CSV; return their paths and the SVG."""
    with style(drawn.name), _quick_png():
        vector = _bytes(drawn.figure, "svg", metadata={"Date": None, "Creator": None})
        vector = vector.replace(f"'{LIGHT}', ".encode(), b"")
        written = {
            "svg": vector,
            "png": _bytes(
                drawn.figure,
                "png",
                dpi=DPI,
                facecolor="white",
                metadata={"Software": None},
            ),
            "pdf": _bytes(drawn.figure, "pdf", metadata={"CreationDate": None}),
            "csv": drawn.data.to_csv(index=False, lineterminator="\n").encode(),
        }
    paths = []
    for suffix, content in written.items():
        paths.append(folder / f"{drawn.name}.{suffix}")
        paths[-1].write_bytes(content)
    return paths, vector.decode()


@contextmanager
def _quick_png() -> Iterator[None]:
    """Let Pillow write large PNG at its lowest compression: a fifth larger, three times as fast.

    Matplotlib embeds images in SVG and PDF as PNG and has no setting for how.
    """
    usual = Image.SAVE["PNG"]

    def write(image: Image.Image, stream: IO[bytes], name: str | bytes) -> None:
        if image.width * image.height >= LARGE:
            image.encoderinfo.setdefault("compress_level", 1)
        usual(image, stream, name)

    Image.SAVE["PNG"] = write
    try:
        yield
    finally:
        Image.SAVE["PNG"] = usual


def _bytes(figure: Figure, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, format=kind, **options)
    return stream.getvalue()


def inline(svg: str, drawn: Drawn) -> str:
    """Return an SVG that can stand in a page among others, in the reader's ink.

    Identifiers get the figure's name as prefix, the ink and the line colour become those of the
    page, and addresses of namespaces, which HTML does not need, are dropped. Large pictures in it
    lose what no eye sees; the files have them whole.
    """
    svg = svg[svg.index("<svg") :]
    svg = _EMBEDDED.sub(_lighter, svg)
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\s+xmlns(:\w+)?="[^"]*"', "", svg).replace("xlink:href", "href")
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{drawn.name}-", svg)
    svg = re.sub(r"<[^>]*>", lambda tag: _LONG.sub(_rounded, tag[0]), svg)
    for colour, name in ((INK, "currentColor"), (BLACK, "currentColor")):
        svg = svg.replace(colour, name)
    svg = svg.replace(LINE, "var(--line)").replace(QUIET, "var(--quiet)")
    label = drawn.alt.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    return svg.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)


def _lighter(picture: re.Match[str]) -> str:
    """A large picture as WebP, a tenth of PNG's size for spectra, which are mostly noise."""
    content = base64.b64decode(picture[1])
    if len(content) < HEAVY:
        return picture[0]
    stream = io.BytesIO()
    Image.open(io.BytesIO(content)).convert("RGBA").save(stream, "webp", quality=90)
    return "data:image/webp;base64," + base64.b64encode(stream.getvalue()).decode()


def _rounded(number: re.Match[str]) -> str:
    return f"{float(number[0]):.3f}"
