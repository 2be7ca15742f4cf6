"""A light copy of Matplotlib's font: embedding the whole one takes half of a report's time."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib as mpl
from fontTools import subset  # type: ignore[import-untyped]
from fontTools.ttLib import TTFont  # type: ignore[import-untyped]
from matplotlib.font_manager import fontManager

FULL = "DejaVu Sans"
LIGHT = "DejaVu Sans Light Copy"
_UNICODES = (
    *range(0x20, 0x180),  # Latin
    *range(0x370, 0x400),  # Greek
    *range(0x2010, 0x2040),  # dashes, quotation marks, daggers, the ellipsis
    *range(0x2070, 0x20A0),  # superscripts and subscripts
    *range(0x2190, 0x2194),  # arrows
    *range(0x2200, 0x2270),  # operators
)


@contextmanager
def light_font() -> Iterator[None]:
    """Let figures use a copy of DejaVu Sans with Latin, Greek, punctuation and operators only.

    PDFs embed fonts as Type 42, which journals ask for; Matplotlib parses the font anew for each
    of them, 0.2 s for the whole font and its layout tables, 0.01 s for this copy. Letters outside
    the copy are taken from the whole font. Within another such block it is there already.
    """
    if LIGHT in families():
        yield
        return
    with tempfile.TemporaryDirectory(prefix="harness-font-") as folder:
        path = Path(folder) / "light.ttf"
        _write(path)
        fontManager.addfont(path)
        try:
            yield
        finally:
            fontManager.ttflist = [each for each in fontManager.ttflist if each.name != LIGHT]


def families() -> list[str]:
    """Return the font families to draw with: the light copy first while it is there."""
    known = any(each.name == LIGHT for each in fontManager.ttflist)
    return [LIGHT, FULL] if known else [FULL]


def _write(path: Path) -> None:
    source = Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    options = subset.Options(layout_features=[], hinting=False, notdef_outline=True)
    options.drop_tables += ["GSUB", "GPOS", "GDEF", "kern", "FFTM"]
    with TTFont(source, recalcTimestamp=False) as font:
        reduced = subset.Subsetter(options)
        reduced.populate(unicodes=_UNICODES)
        reduced.subset(font)
        for record in font["name"].names:
            if record.nameID in (1, 3, 4, 6, 16):
                record.string = LIGHT.replace(" ", "") if record.nameID == 6 else LIGHT
        font.save(path)
