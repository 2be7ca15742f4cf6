"""Every table that a report writes, set by a real LaTeX with the booktabs package alone."""

import shutil
import subprocess
from pathlib import Path

import pytest
import synthetic
from test_report_paper_tables import fill

from harness.metrics import METRICS
from harness.report import published
from harness.report.collect import collect
from harness.report.export import to_latex
from harness.report.latex import SIGNS, latex_escape
from harness.report.main_table import FURTHER, further_table, main_table
from harness.report.paper_tables import paper_tables
from harness.report.table import Column, Entry, Row, Table

pytestmark = pytest.mark.slow

LATEX = shutil.which("pdflatex")
needs_latex = pytest.mark.skipif(LATEX is None, reason="no pdflatex on this machine")


def set_in_type(folder: Path, parts: list[str]) -> str:
    """Run LaTeX on the parts, a page each, and return what it says of errors."""
    body = "\n\\clearpage\n".join(parts)
    (folder / "all.tex").write_text(
        "\\documentclass{article}\n\\usepackage{booktabs}\n\\begin{document}\n"
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
    errors = "\n".join(line for line in ended.stdout.splitlines() if line.startswith("!"))
    assert (folder / "all.pdf").is_file() or errors
    return errors


@needs_latex
def test_all_tables_of_the_documents_and_of_a_grid_compile(tmp_path: Path) -> None:
    papers = fill(tmp_path / "papers")
    tables = paper_tables(collect(papers, papers.grid()))
    grid = synthetic.build(tmp_path / "grid")
    for group in collect(grid, grid.grid()):
        further = [further_table(group, kind) for kind in FURTHER]
        tables += [main_table(group), *(table for table in further if table is not None)]
    assert len(tables) >= 9
    assert set_in_type(tmp_path, [to_latex(table) for table in tables]) == ""


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
