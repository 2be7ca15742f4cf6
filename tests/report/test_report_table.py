"""The main table: right numbers, bold only where right, failures as words."""

import csv
import math
from collections.abc import Callable

import pytest

from harness.report.collect import Group
from harness.report.export import to_csv, to_latex, to_markdown
from harness.report.latex import latex_escape, readable
from harness.report.main_table import further_table, main_table
from harness.report.measures import measures
from harness.report.table import Column, Entry, Row, Table, even, number, significant, with_spread

Make = Callable[..., Group]


def cell_of(table: Table, loss: str, key: str) -> Entry:
    """The entry of a loss under a column."""
    index = [column.key for column in table.columns].index(key)
    return next(row for row in table.rows if row.label == loss).entries[index]


def bold(table: Table, key: str) -> list[str]:
    """The losses printed bold in a column."""
    rows = [row for row in table.rows if row.loss and row.entries]
    return [row.label for row in rows if cell_of(table, row.label, key).bold]


def test_numbers_spread_and_bold(made: Make) -> None:
    table = main_table(
        made(
            {"loss": "l2", "psnr": [20.0, 21.0, 22.0], "frd_gen": [0.3, 0.31, 0.32]},
            {"loss": "ssim", "psnr": [18.0, 18.1, 18.2], "frd_gen": [0.1, 0.11, 0.12]},
        )
    )
    assert cell_of(table, "l2", "psnr").text == "21.00"
    assert cell_of(table, "l2", "psnr").spread == "1.00"
    assert cell_of(table, "l2", "seeds").text == "3/3"
    assert cell_of(table, "l2", "beta").text == "0.10"
    assert bold(table, "psnr") == ["l2"]
    assert bold(table, "frd_gen") == ["ssim"]
    assert bold(table, "kl") == []  # neither end is better


@pytest.mark.parametrize(
    ("mean", "spread", "decimals", "printed"),
    [
        (2.79921, 0.31141, 4, ("2.80", "0.31")),
        (2.79921, 0.0996, 4, ("2.80", "0.10")),
        (19.123456, 0.00234, 2, ("19.123", "0.002")),  # no more than one digit above the metric's
        (512.34, 0.3, 0, ("512.3", "0.3")),
        (-1520.4, 123.4, 0, ("−1\N{NARROW NO-BREAK SPACE}520", "123")),
        (0.25, 0.0, 4, ("0.2500", "0.0000")),
        (0.25, math.nan, 4, ("0.2500", "")),
    ],
)
def test_two_digits_of_the_spread_decide(
    mean: float, spread: float, decimals: int, printed: tuple[str, str]
) -> None:
    assert with_spread(mean, spread, decimals) == printed


def test_a_column_has_one_number_of_decimals(made: Make) -> None:
    table = main_table(
        made(
            {"loss": "l2", "psnr": [20.0, 21.0, 22.0], "frd_gen": [0.3, 0.3, 0.3]},
            {"loss": "l1", "psnr": [20.0, 20.1, 20.2], "frd_gen": [0.1, 0.11, 0.12]},
            {"loss": "ce", "psnr": [18.001, 18.002, 18.003], "frd_gen": [0.2, 0.2, 0.2]},
        )
    )
    found = [cell_of(table, loss, "psnr") for loss in ("l2", "l1", "ce")]
    assert [(each.text, each.spread) for each in found] == [
        ("21.00", "1.00"),
        ("20.10", "0.10"),
        ("18.00", "0.001"),  # never ± 0.00
    ]
    found = [cell_of(table, loss, "frd_gen") for loss in ("l2", "l1", "ce")]
    assert len({len(each.text) for each in found}) == 1 and found[0].spread == "0.000"


@pytest.mark.parametrize(("spread", "printed"), [(2e-16, "0.000"), (1e-8, "1e−8"), (0.0, "0.000")])
def test_the_rounding_error_of_equal_numbers_is_no_spread(spread: float, printed: str) -> None:
    values = ((1.875, spread), (1.0, 0.01))
    rows = [Row("l", (Entry(str(mean), mean, str(of), of),)) for mean, of in values]
    first, _ = even(rows, {0: 2})
    assert (first.entries[0].text, first.entries[0].spread) == ("1.875", printed)
    assert first.entries[0].spread_value == (spread if spread == 1e-8 else 0.0)
    assert with_spread(1.875, 2e-16, 3) == ("1.875", "0.000")
    assert with_spread(0.0, 0.25, 3) == ("0.00", "0.25")


def test_floor_row_comes_first_and_is_never_bold(groups: list[Group]) -> None:
    table = main_table(groups[0])
    assert table.rows[0].label == "mean image (floor)"
    assert cell_of(table, "mean image (floor)", "psnr").text == "13.870"  # as its column
    assert cell_of(table, "mean image (floor)", "frd_gen").text == ""
    assert not any(entry.bold for entry in table.rows[0].entries)


def test_states_are_words(groups: list[Group]) -> None:
    rows = {row.label: row for row in main_table(groups[0]).rows}
    assert rows["ffl"].statement == "stale"
    assert rows["lpips"].statement == "unavailable"
    assert rows[r"odd_50%\{x}"].statement == "not run"
    assert rows["blur"].badge == "diverged 1/3"
    assert rows["blur"].marks == "§"
    assert not rows["ffl"].entries  # a stale number is never shown


def test_survivors_are_not_ranked(groups: list[Group], made: Make) -> None:
    table = main_table(groups[0])
    assert cell_of(table, "blur", "seeds").text == "2/3"
    assert not any("blur" in bold(table, column.key) for column in table.columns)
    assert cell_of(table, "blur", "beta").marks == "†"
    assert any(note.startswith("†") for note in table.notes)
    assert any(note.startswith("§") for note in table.notes)


def test_rows_follow_the_grid(groups: list[Group]) -> None:
    labels = [row.label for row in main_table(groups[0]).rows]
    assert labels[1:6] == ["l2", "l1", "ce", "ssim", "sigma"]


def test_one_seed_says_that_distances_were_not_tested(groups: list[Group]) -> None:
    table = main_table(groups[1])
    assert "One seed per loss" in table.caption
    assert any("not a test" in note for note in table.notes)
    assert cell_of(table, "l2", "psnr").spread
    assert cell_of(table, "l2", "frd_gen").spread == ""


def test_two_signatures_never_share_a_column(made: Make) -> None:
    group = made(
        {"loss": "l2", "psnr": [20.0], "psnr_signature": ["psnr|8bit|v1"]},
        {"loss": "l1", "psnr": [25.0], "psnr_signature": ["psnr|float|v1"]},
    )
    found = [each for each in measures(group) if each.metric == "psnr"]
    assert [each.detail for each in found] == ["8bit", "float"]
    table = main_table(group)
    columns = [index for index, column in enumerate(table.columns) if column.key == "psnr"]
    l2, l1 = (row.entries for row in table.rows[1:])
    assert [l2[index].text for index in columns] == ["20.00", "—"]
    assert [l1[index].text for index in columns] == ["—", "25.00"]
    assert not any(entries[index].bold for entries in (l2, l1) for index in columns)


def test_not_finite_prints_as_a_dash_with_a_note(made: Make) -> None:
    group = made(
        {"loss": "l2", "frd_gen": [math.nan]},
        {"loss": "l1", "frd_gen": [math.inf]},
        {"loss": "ce", "frd_gen": [0.2]},
    )
    table = main_table(group)
    assert [cell_of(table, loss, "frd_gen").text for loss in ("l2", "l1", "ce")] == [
        "—",
        "—",
        "0.2000",
    ]
    assert any("FRD gen. of l2, FRD gen. of l1" in note for note in table.notes)


def test_time_is_over_l2_or_absolute_without_it(made: Make) -> None:
    with_l2 = main_table(
        made(
            {"loss": "l2", "images_per_second": [500.0]},
            {"loss": "ssim", "images_per_second": [250.0]},
        )
    )
    assert cell_of(with_l2, "ssim", "step_time").text == "2.00"


def test_time_without_l2_is_absolute(made: Make) -> None:
    table = main_table(made({"loss": "ssim", "images_per_second": [250.0]}))
    assert cell_of(table, "ssim", "seconds_per_1000").text == "4.00"


def test_batch_coupling_is_marked(made: Make) -> None:
    group = made({"loss": "ffl", "psnr": [20.0]}, {"loss": "l2", "psnr": [20.0]})
    rows = {row.label: row for row in main_table(group).rows}
    assert (rows["ffl"].marks, rows["l2"].marks) == ("‡", "")


def test_home_advantage_is_shaded(made: Make) -> None:
    group = made({"loss": "squeeze", "fsd_gen": [1.0]}, {"loss": "l2", "fsd_gen": [2.0]})
    table = main_table(group)
    assert cell_of(table, "squeeze", "fsd_gen").shaded
    assert not cell_of(table, "l2", "fsd_gen").shaded
    assert r"\textit{1.00}" in to_latex(table)


SMALL = Table(
    "a-b",
    "Title & co",
    "Caption with β and 50 %.",
    (
        Column("psnr", "PSNR", "dB", "maximize"),
        Column("kl", "KL", "nats"),
        Column("t", "T", text=True),
    ),
    (
        Row("a_b|c", (Entry("−1.5", -1.5, "0.1", 0.1, bold=True), Entry("2", 2), Entry("x"))),
        Row("gone", (), "gone", statement="diverged 2/5"),
    ),
    ("A note.",),
)


def test_markdown() -> None:
    lines = to_markdown(SMALL).splitlines()
    assert "| Loss | PSNR (dB) ↑ | KL (nats) | T |" in lines
    assert "| :-- | --: | --: | :-- |" in lines
    assert r"| a_b\|c | **−1.5** ± 0.1 | 2 | x |" in lines
    assert "| gone | *diverged 2/5* |  |  |" in lines
    assert "- A note." in lines


def test_latex_is_escaped_and_balanced() -> None:
    text = to_latex(SMALL)
    assert r"a\_b\textbar{}c & \textbf{$-$1.5}{\tiny\,$\pm$\,0.1} & 2 & x \\" in text
    assert r"gone & \multicolumn{3}{l}{diverged 2/5} \\" in text
    assert r"Caption with $\beta$ and 50 \%." in text
    assert r"\begin{tabular}{@{}lrrl@{}}" in text
    for rule in (r"\toprule", r"\midrule", r"\bottomrule"):
        assert text.count(rule) == 1
    plain = text.replace(r"\{", "").replace(r"\}", "")
    assert plain.count("{") == plain.count("}")


def test_names_with_special_characters_are_escaped_wherever_they_stand() -> None:
    """In the title, the header, its detail, a row, a badge, an entry of words and a note."""
    name, safe = (
        r"a_b%c&d#e{f}~g^h$i\j",
        (r"a\_b\%c\&d\#e\{f\}\textasciitilde{}g\textasciicircum{}h\$i\textbackslash{}j"),
    )
    columns = (Column("k", name, name, detail=name), Column("t", "T", text=True))
    row = Row(name, (Entry("1", 1.0), Entry(name)), name, badge=name)
    text = to_latex(Table(name, name, name, columns, (row, Row(name, (), statement=name)), (name,)))
    assert text.count(safe) == 3 + 3 + 3 + 2
    assert r"\label{tab:a-b-c-d-e-f--g-h-i-j}" in text
    rest = text.replace(safe, "").replace("$\\pm$", "")
    assert not set("_%#^~") & set(rest.partition("\n")[2])  # the first line is a comment


def test_every_latex_row_has_as_many_cells(groups: list[Group]) -> None:
    table = main_table(groups[0])
    text = to_latex(table)
    bodies = [panel.partition(r"\midrule")[2] for panel in text.split(r"\bottomrule")[:-1]]
    plain = [[x for x in body.splitlines() if "&" in x and "multi" not in x] for body in bodies]
    counts = [{line.replace(r"\&", "").count("&") for line in lines} for lines in plain]
    assert all(len(found) == 1 for found in counts)
    assert sum(sum(found) for found in counts) == len(table.columns)
    assert text.isascii()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"\{x}_%", r"\textbackslash{}\{x\}\_\%"),
        ("β ↑ ↓ σ ±", r"$\beta$ $\uparrow$ $\downarrow$ $\sigma$ $\pm$"),
        ("a~b^c&d#e$", r"a\textasciitilde{}b\textasciicircum{}c\&d\#e\$"),
    ],
)
def test_latex_escape(text: str, expected: str) -> None:
    assert latex_escape(text) == expected


def test_learned_losses_stand_under_a_rule_in_latex() -> None:
    names = ("l2", "ssim", "vgg", "lpips[net=alex]")
    rows = tuple(Row(name, (Entry("1", 1.0),), name) for name in names)
    lines = to_latex(Table("t", "T", "", (Column("a", "A"),), rows)).splitlines()
    at = [lines.index(rf"{name} & 1 \\") for name in ("l2", "ssim", "vgg", "lpips[net=alex]")]
    assert lines[at[2] - 1] == r"\midrule" and at == [at[0], at[0] + 1, at[0] + 3, at[0] + 4]


def test_formulas_of_quotations_are_readable() -> None:
    quoted = r"why $\Sigma(z)$ outperformed a fixed Σ; $x$ costs 5$ and $\unknown$"
    assert readable(quoted) == r"why Σ(z) outperformed a fixed Σ; x costs 5 and \unknown$"
    assert readable("no formula") == "no formula"


def test_csv_has_full_precision() -> None:
    rows = list(csv.DictReader(to_csv(SMALL).splitlines()))
    assert rows[0]["psnr"] == "-1.5"
    assert rows[0]["psnr_spread"] == "0.1"
    assert rows[0]["psnr_best"] == "yes"
    assert rows[0]["t"] == "x"
    assert (rows[1]["loss"], rows[1]["status"], rows[1]["psnr"]) == ("gone", "diverged 2/5", "")


def test_csv_has_the_keys_of_rows_and_no_heads_of_blocks() -> None:
    columns = (Column("psnr", "PSNR"), Column("psnr_published", "PSNR", detail="published"))
    twice = (Entry("1", 1.0), Entry("2 ± 3", 2.0, spread_value=3.0))
    rows = (
        Row("A", (), statement="data"),
        Row("L2", twice, "l2", keys=("A",)),
        Row("B", (), statement="other data"),
        Row("L2", (Entry(), Entry()), keys=("B",), badge="not run"),
        Row("L1", (), "l1", statement="unavailable", keys=("B",)),
    )
    table = Table("t", "T", "", columns, rows, first="Row", keys=("block",))
    header, *lines = to_csv(table).splitlines()
    assert header == (
        "row,block,status,psnr,psnr_spread,psnr_best,"
        "psnr_published,psnr_published_spread,psnr_published_best"
    )
    assert lines == [
        "L2,A,ok,1.0,,,2.0,3.0,",
        "L2,B,not run,,,,,,",
        "L1,B,unavailable,,,,,,",
    ]
    assert "block" not in to_markdown(table) + to_latex(table)


@pytest.mark.parametrize(
    ("value", "decimals", "expected"),
    [(1234.56, 1, "1\u202f234.6"), (-0.001, 2, "0.00"), (-2.5, 1, "−2.5"), (math.inf, 2, "—")],
)
def test_number(value: float, decimals: int, expected: str) -> None:
    assert number(value, decimals) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.0123, "0.012"), (0.42, "0.42"), (17.3, "17"), (3.3e-7, "3.3e−7"), (0, "0")],
)
def test_significant(value: float, expected: str) -> None:
    assert significant(value) == expected


def test_further_measures_stand_in_tables_of_their_own(made: Make) -> None:
    sharp = {"sharpness_recon": 0.5, "sharpness_recon_signature": "s"}
    group = made({"loss": "l2", "psnr": [21.0]}, {"loss": "ssim", "more": sharp, "psnr": [20.0]})
    table = further_table(group, "sharpness")
    assert table is not None and [column.key for column in table.columns] == ["sharpness_recon"]
    assert [row.label for row in table.rows] == ["l2", "ssim"]
    assert table.rows[1].entries[0].text == "0.500"
    assert further_table(group, "distribution") is None
