"""Every table that a report writes, set by a real LaTeX with the booktabs package alone."""

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from test_report_paper_tables import fill

from harness.metrics import METRICS
from harness.report import published
from harness.report.catalogue import _KINDS, offers
from harness.report.collect import Group, collect
from harness.report.export import to_latex
from harness.report.latex import SIGNS, latex_escape
from harness.report.table import Column, Entry, Row, Table
from harness.report.type_width import FOOTNOTE, SCRIPT, TINY, Size, ems

pytestmark = pytest.mark.slow

LATEX = shutil.which("pdflatex")
needs_latex = pytest.mark.skipif(LATEX is None, reason="no pdflatex on this machine")


# Endings of the names of a group's tables, and the tables of a whole report.
KINDS = [kind for kind in _KINDS if kind not in ("", "-rate-matched-full")]
WHOLE = ("answer", "ranks", "protocol", "bredell-table-2", "bredell-table-2-intervals")


def set_in_type(folder: Path, parts: list[str]) -> str:
    """Run LaTeX on the parts, a page each; return its errors and what is over 2 pt too wide."""
    body = "\n\\clearpage\n".join(parts)
    (folder / "all.tex").write_text(
        "\\documentclass{article}\n\\usepackage{booktabs}\n\\hfuzz=2pt\n\\begin{document}\n"
        f"{body}\n\\end{{document}}\n",
        encoding="utf-8",
    )
    ended = subprocess.run(
        [LATEX or "", "-interaction=nonstopmode", "-no-shell-escape", "all.tex"],
        cwd=folder,
        capture_output=True,
        text=True,
        encoding="latin-1",
        timeout=120,
    )
    lines = ended.stdout.splitlines()
    errors = "\n".join(x for x in lines if x.startswith(("!", "Overfull \\hbox")))
    assert (folder / "all.pdf").is_file() or errors
    return errors


@needs_latex
def test_all_tables_of_a_report_fit_the_page(
    tmp_path: Path, groups: list[Group], made: Callable[..., Group]
) -> None:
    papers = fill(tmp_path / "papers")
    rare = ("distribution", "sharpness")  # no other store has them
    names = [name for name, metric in METRICS.items() if metric.table in rare]
    more = dict.fromkeys(names, 0.5) | {f"{name}_signature": "s|v1" for name in names}
    distances = made({"loss": "l2", "psnr": [20.0], "more": more})
    every = [collect(papers, papers.grid()), groups, [distances]]
    found = [offer.make(each) for each in every for offer in offers(each)]
    tables = [table for table in found if table is not None]
    names = [table.name for table in tables]
    for kind in KINDS:
        assert any(name.endswith(kind) for name in names), kind
    assert set(WHOLE) <= set(names)
    assert set_in_type(tmp_path, [to_latex(table) for table in tables]) == ""


@needs_latex
def test_long_texts_and_many_columns_fit_the_page(tmp_path: Path) -> None:
    assert set_in_type(tmp_path, [to_latex(wide())]) == ""


def wide() -> Table:
    """A table with more and longer texts than any of a report has."""
    word = "x" * 60 + "[split=80/20]"
    said = "as long as a sentence in running text, with " + word
    columns = tuple(
        Column(f"k{place}", f"{word} {place} ↑", text=place % 5 == 0, over=over)
        for place, over in enumerate(["", "", *[f"{said} a"] * 3, *[f"{said} b"] * 2, *[""] * 12])
    )
    entries = [Entry(said), Entry("21.992", bold=True, spread="0.036"), Entry("−1.5 [−2, −1]")]
    rows = (
        Row("block", (), statement=said),
        Row(said, tuple(entries[place % 3] for place in range(len(columns))), word, badge=said),
    )
    return Table("wide", said, said, columns, rows, (said, f"{word * 4} {'psnr|8bit|v1,' * 40}"))


@pytest.mark.parametrize("size", [FOOTNOTE, SCRIPT, TINY])
@needs_latex
def test_widths_are_those_of_latex(tmp_path: Path, size: Size) -> None:
    """Never more than 1 % too narrow, which is within the margin, nor a tenth too wide."""
    texts = ["21.992", "−0.09796 [−0.10283, −0.09290]", "blur[kernel=gaussian,variance=4]"]
    texts += ["FID gen. ↓", "celeba64[split=80/20] with conv5-bilinear", "β (tuned) ± 1 %", "§†‡"]
    texts += ["nothing to rank: watson-dft[tuned=true]", "1–2 — … ≥ 0.5", "Ümläut Łódź 😀"]
    boxes = [rf"\setbox0\hbox{{{size.command} {latex_escape(text)}}}" for text in texts]
    said = "\n".join(rf"{box}\typeout{{width \the\wd0}}" for box in boxes)
    assert set_in_type(tmp_path, [f"{said} x"]) == ""
    log = (tmp_path / "all.log").read_text(encoding="latin-1")
    found = [float(width) for width in re.findall(r"^width ([\d.]+)pt", log, flags=re.MULTILINE)]
    estimates = [ems(text) * size.quad for text in texts]
    for text, width, guess in zip(texts, found, estimates, strict=True):
        assert 0.99 * width <= guess <= 1.1 * width, text


@needs_latex
def test_every_sign_and_any_text_compiles(tmp_path: Path) -> None:
    signs = [sign for sign in SIGNS if sign != "\n"]
    known = [metric.label + metric.unit + metric.summary for metric in METRICS.values()]
    errata = [text for each in published.rows() for text in each.errata]
    odd = "Ümläut naïve façade Łódź 漢字 😀 \\end{tabular} %$&_#^~ ℓ ℝ"
    columns = (Column("a", odd), Column("b", "B", text=True))
    rows = tuple(Row(sign, (Entry(sign), Entry(odd, spread=sign)), odd) for sign in signs)
    table = Table("odd", odd, "".join(signs), columns, rows, tuple({*known, *errata}))
    assert set_in_type(tmp_path, [to_latex(table)]) == ""


@needs_latex
def test_what_latex_cannot_set_is_found(tmp_path: Path) -> None:
    """The check itself: without our escape LaTeX stops there."""
    assert "Unicode character" in set_in_type(tmp_path, ["∞ 漢"])
    assert latex_escape("∞ 漢") == r"$\infty$ U+6F22"
