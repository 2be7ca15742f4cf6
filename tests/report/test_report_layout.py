"""How wide LaTeX would set a table, and how it comes to fit a page: without LaTeX."""

import pytest

from harness.report.export import to_latex
from harness.report.latex_layout import NAME, PAGE, Layout, layout
from harness.report.table import Column, Entry, Row, Table
from harness.report.type_width import FOOTNOTE, SCRIPT, TINY, Size, ems, wrapped


def table(count: int, *, entry: str = "21.99", name: str = "l2", over: str = "") -> Table:
    """One row of so many equal numbers; under `over`, two columns stand together."""
    columns = tuple(
        Column(f"k{n}", "PSNR", over=f"{over}{n // 2}" if over else "") for n in range(count)
    )
    return Table("t", "T", "", columns, (Row(name, (Entry(entry, 1.0),) * count, name),))


def places(found: Layout) -> list[int]:
    """The columns of all panels in order."""
    return [place for span in found.panels for place in span]


@pytest.mark.parametrize(
    ("text", "size", "width"),
    [
        # \\settowidth in an article of 10 pt
        ("condition's", SCRIPT, 37.86),
        ("agreement (Kendall's W)", SCRIPT, 87.81),
        ("celebahq256,", SCRIPT, 44.17),
        ("0123456789", FOOTNOTE, 42.50),
        ("0123456789", TINY, 34.03),
    ],
)
def test_widths_come_close_to_those_of_latex(text: str, size: Size, width: float) -> None:
    assert 0.99 * width < ems(text) * size.quad < 1.05 * width


def test_lines_are_as_wide_as_asked_and_lose_nothing() -> None:
    text = "FID gen. ↓ of celeba64[split=80/20] with conv5-bilinear"
    for room in (2.0, 5.0, 9.0, 50.0):
        lines = wrapped(text, room)
        assert max(map(ems, lines)) <= room
        joined = "".join(lines).replace(" ", "").replace("\N{NO-BREAK SPACE}", "")
        assert joined == text.replace(" ", "")
    assert wrapped("FID gen. ↓", 3.5)[-1] == "gen.\N{NO-BREAK SPACE}↓"  # never an arrow alone
    assert wrapped("celeba64[split=80/20]", 5.0)[0] == "celeba64["
    assert wrapped("", 1.0) == [""]


@pytest.mark.parametrize(
    ("count", "entry", "size", "panels"),
    [
        (3, "21.99", FOOTNOTE, 1),
        (10, "21.99", FOOTNOTE, 1),
        (6, "123456789012", SCRIPT, 1),
        (13, "21.99", TINY, 1),
        (18, "21.99", SCRIPT, 2),
    ],
)
def test_the_largest_type_that_fits_is_taken(
    count: int, entry: str, size: Size, panels: int
) -> None:
    found = layout(table(count, entry=entry))
    assert (found.setting.size, len(found.panels)) == (size, panels)
    assert found.width <= PAGE and places(found) == list(range(count))


def test_panels_are_about_equally_wide_and_repeat_the_names() -> None:
    wide = table(18)
    assert [len(span) for span in layout(wide).panels] == [9, 9]
    lines = to_latex(wide).splitlines()
    assert [line.count("&") for line in lines if line.startswith("l2 &")] == [9, 9]
    assert lines.count(r"\par\medskip") == 1 == lines.count(r"\end{table*}")


def test_columns_under_one_head_stay_together() -> None:
    found = layout(table(26, over="o"))
    assert len(found.panels) > 1 and places(found) == list(range(26))
    assert all(len(span) % 2 == 0 and span[0] % 2 == 0 for span in found.panels)


def test_a_head_wider_than_its_columns_counts() -> None:
    assert layout(table(2, over="a" * 100)).width > 110
    assert layout(table(2)).width < 80


def test_heads_and_running_text_are_broken_before_columns_are_parted() -> None:
    heads = tuple(Column(f"k{n}", "Spectral difference, generated") for n in range(6))
    row = Row("l2", (Entry("0.5"),) * 6, "l2")
    found = layout(Table("t", "T", "", heads, (row,)))
    assert len(found.panels) == 1 and found.setting.broken
    text = to_latex(Table("t", "T", "", heads, (row,)))
    assert r"\begin{tabular}[b]{@{}r@{}}Spectral\\difference,\\generated\end{tabular}" in text


def test_long_names_and_statements_are_broken() -> None:
    name = "celeba64[split=80/20] with conv5-bilinear and more"
    said = "nothing that could be shown in so narrow a table, for these reasons: " * 3
    columns = (Column("a", "A"),)
    rows = (Row(name, (Entry("1"),), name), Row("b", (), "b", statement=said))
    found = layout(Table("t", "T", "", columns, rows))
    assert found.width <= PAGE and found.setting.names <= NAME
    text = to_latex(Table("t", "T", "", columns, rows))
    assert r"\begin{tabular}[t]{@{}l@{}}nothing that" in text


def test_a_line_that_begins_like_an_option_is_none() -> None:
    """After a line's end, LaTeX would take [random] for a length and * for another command."""
    column = Column("a", "Distance between features", detail="random")
    wide = Table("t", "T", "", (column,) * 9, (Row("*", (Entry("1"),) * 9, "*"),))
    text = to_latex(wide)
    assert r"\\{}[random]" in text and "\n{}* & 1" in text


def test_what_fits_a_column_of_two_spans_one() -> None:
    assert r"\begin{table}[t]" in to_latex(table(3))
    assert r"\begin{table*}[t]" in to_latex(table(9))
