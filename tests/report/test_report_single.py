"""One table of a grid as text: the report's own, without its figures."""

import sys
from pathlib import Path
from typing import Any

import pytest
import synthetic
from test_report_page import Reader
from test_report_paper_tables import fill

from harness.errors import HarnessError, StoreError
from harness.merged import MergedStore
from harness.report import Rendered, published, single
from harness.report.catalogue import Offer, choose, offers
from harness.report.collect import Group, collect
from harness.store import Store

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def written(rendered: Rendered) -> dict[str, str]:
    """The texts of the report's table files by name."""
    paths = [path for path in rendered.files if path.parent.name == "tables"]
    return {path.name: path.read_text() for path in paths}


def test_every_table_of_the_report_is_the_same_here(store: Store, written: dict[str, str]) -> None:
    for name, text in written.items():
        stem, _, form = name.rpartition(".")
        if form == "md":
            assert single.render(store, stem, form) == text, name
    for form in ("md", "tex", "csv"):
        assert single.render(store, "photos32-conv4", form) == written[f"photos32-conv4.{form}"]


@pytest.mark.parametrize("form", ["md", "tex"])
def test_all_tables_follow_one_another(store: Store, written: dict[str, str], form: str) -> None:
    found = single.render(store, None, form)
    assert all(text in found for name, text in written.items() if name.endswith(form))


def test_all_tables_are_not_one_csv(store: Store) -> None:
    with pytest.raises(HarnessError, match="a CSV file has one table"):
        single.render(store, None, "csv")


def test_only_the_rows_that_a_table_needs_are_read(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    original = Store._read
    monkeypatch.setattr(
        Store, "_read", lambda self, path: read.append(path.name) or original(self, path)
    )
    (store.root / "_report" / "rows.parquet").unlink(missing_ok=True)
    single.render(store, "digits-size-28-conv4", "md")
    assert read and all(name.startswith("digits") for name in read)
    single.render(store, "protocol", "md")
    assert all(name.startswith("digits") for name in read)


def test_a_page_of_one_table_stands_alone(store: Store) -> None:
    text = single.render(store, "photos32-conv4", "html")
    reader = Reader()
    reader.feed(text)
    assert reader.stack == [] and reader.targets == [] and reader.sources == []
    assert text.count("<table") == 1 and "<h1" in text and "prefers-color-scheme: dark" in text
    assert (
        "diverged 1/3" in text
        and "<strong>" in text
        and "http" not in text.replace('http-equiv="Content', "")
    )


def test_a_page_of_all_tables_has_unique_ids(store: Store, groups: list[Group]) -> None:
    reader = Reader()
    reader.feed(single.render(store, None, "html"))
    assert len(set(reader.ids)) == len(reader.ids) > len(groups)


@pytest.fixture
def offered(tmp_path: Path) -> list[Offer]:
    """What a grid of all cells of the documents' tables has, before anything was run."""
    store = Store(tmp_path / "paper")
    keys = dict.fromkeys((each.dataset, each.model, each.spec) for each in published.rows())
    cells = [
        synthetic.describe(dataset, loss, 1) | {"model": model, "id": f"cell-{number}"}
        for number, (dataset, model, loss) in enumerate(keys)
    ]
    synthetic.write_grid(store, cells)
    return offers(collect(MergedStore(store.root, ()), store.grid()))


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ("2", "bredell-table-2"),
        ("bredell-2", "bredell-table-2"),
        ("bredell-table-2", "bredell-table-2"),
        ("dalal-1", "dalal-table-1"),
        ("2-intervals", "bredell-table-2-intervals"),
        ("bredell-2-intervals", "bredell-table-2-intervals"),
        ("bredell-table-2-intervals", "bredell-table-2-intervals"),
    ],
)
def test_tables_of_the_documents_by_number(offered: list[Offer], asked: str, name: str) -> None:
    found = choose(asked, offered)
    assert found.name == name
    printed = published.rows(name.split("-")[0], int(name.split("-")[2]))
    assert found.places == {(each.dataset, each.model) for each in printed}


def test_a_number_of_two_documents_is_asked_back(offered: list[Offer]) -> None:
    with pytest.raises(HarnessError, match="table 1 is in two documents, bredell-table-1 and dal"):
        choose("1", offered)


def test_a_number_of_one_document_is_enough(tmp_path: Path) -> None:
    store = fill(tmp_path / "stft", document="dalal")
    text = single.render(store, "1", "md")
    assert "Dalal 2024, Table 1" in text and "published" in text


@pytest.fixture
def alone(tmp_path: Path) -> list[Offer]:
    """What a grid of one group has."""
    store = Store(tmp_path / "g")
    synthetic.write_grid(store, [synthetic.describe("photos32", "l2", 1)])
    return offers(collect(MergedStore(store.root, ()), store.grid()))


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ("main", "photos32-conv4"),
        ("price", "photos32-conv4-price"),
        ("rate-matched-full", "photos32-conv4-rate-matched-full"),
        ("photos32-conv4-price", "photos32-conv4-price"),
        ("protocol", "protocol"),
    ],
)
def test_tables_of_the_only_group_by_their_endings(
    alone: list[Offer], asked: str, name: str
) -> None:
    assert choose(asked, alone).name == name


def test_a_short_name_of_several_groups_is_asked_back(groups: list[Group]) -> None:
    for asked, ending in (("main", ""), ("comparisons", "-comparisons")):
        with pytest.raises(HarnessError) as raised:
            choose(asked, offers(groups))
        assert str(raised.value) == (
            f"table {asked!r} is in 2 groups: "
            f"say photos32-conv4{ending} or digits-size-28-conv4{ending}"
        )


def test_an_unknown_table_of_one_group_lists_the_short_names(alone: list[Offer]) -> None:
    with pytest.raises(HarnessError) as raised:
        choose("prise", alone)
    said = str(raised.value)
    assert said.startswith("no table 'prise' (did you mean 'price'?); there are: ")
    assert "of photos32-conv4: main, reconstruction, likelihood" in said


@pytest.mark.parametrize("asked", ["7", "bredell-9", "photos32-con4", "", "1.5"])
def test_an_unknown_table_lists_those_there_are(store: Store, asked: str) -> None:
    with pytest.raises(HarnessError) as raised:
        single.render(store, asked, "md")
    said = str(raised.value)
    assert said.startswith(f"no table {asked!r}") and "\n" not in said
    assert (
        "ranks, protocol; photos32-conv4, digits-size-28-conv4, and each of these with -rec" in said
    )
    assert ("did you mean 'photos32-conv4'?" in said) == (asked == "photos32-con4")


def test_a_table_without_anything_measured(tmp_path: Path) -> None:
    store = Store(tmp_path / "g")
    store.prepare()
    cell = synthetic.describe("photos32", "l2", 1)
    synthetic.write_grid(store, [cell])
    with pytest.raises(HarnessError, match="table photos32-conv4-price of g is empty: nothing"):
        single.render(store, "photos32-conv4-price", "md")
    assert "not run" in single.render(store, "photos32-conv4", "md")
    synthetic.write_grid(store, [])
    for asked in (None, "2"):
        with pytest.raises(HarnessError, match="no tables of g: its grid has no cells"):
            single.render(store, asked, "md")
    with pytest.raises(StoreError, match="no results in"):
        single.render(Store(tmp_path / "none"), None, "md")


def test_offers_need_no_rows(groups: list[Group]) -> None:
    found = offers(groups)
    assert len({offer.name for offer in found}) == len(found)
    assert choose("protocol", found).places == frozenset()


def test_the_format_follows_the_file() -> None:
    assert single.format_of(None, None) == "md"
    assert single.format_of(None, Path("t.tex")) == "tex"
    assert single.format_of("csv", Path("t.tex")) == "csv"
    assert single.format_of(None, Path("table")) == "md"
    with pytest.raises(HarnessError, match=r"unknown format 'htm' \(did you mean 'html'\?\)"):
        single.format_of("htm", None)


@pytest.fixture
def report(
    store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Any:
    """Call `harness report` and return its exit code, output and errors."""
    from harness import __main__

    def call(*arguments: str) -> tuple[int, str, str]:
        given = ["harness", "report", "--results", str(store.root.parent), *arguments]
        monkeypatch.setattr(sys, "argv", given)
        with pytest.raises(SystemExit) as ended:
            __main__.main()
        return int(ended.value.code or 0), *capsys.readouterr()

    return call


def test_the_command_prints_or_writes_the_text(report: Any, store: Store, tmp_path: Path) -> None:
    expected = single.render(store, "protocol", "tex")
    assert report("--table", "protocol", "--format", "tex") == (0, expected, "")
    file = tmp_path / "t.tex"
    assert report("--table", "protocol", "-o", str(file)) == (0, "", "")
    assert file.read_text() == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--check", "--table", "protocol"), "--check does not go with --table"),
        (("--json", "--format", "md"), "--json does not go with --table"),
        (("--table", "protocol", "-o", "/nowhere/t.md"), "cannot write /nowhere/t.md (No such"),
        (("-o", "/tmp"), "--output /tmp is a folder: name a file"),
        (("--table", "x"), "no table 'x'"),
    ],
)
def test_mistakes_of_the_command(report: Any, arguments: tuple[str, ...], message: str) -> None:
    code, out, err = report(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("error: ") and message in err and err.count("\n") == 1
