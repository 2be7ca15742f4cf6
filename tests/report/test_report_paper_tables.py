"""The documents' tables from invented rows that cover every cell of every table."""

import csv
from pathlib import Path
from typing import Any

import pytest
import synthetic

from harness.metrics import METRICS
from harness.report import published, render
from harness.report.collect import collect
from harness.report.paper_tables import paper_tables
from harness.report.table import Table
from harness.store import Store


def seeds_of(loss: str) -> int:
    """Three for one loss, whose interval a test looks at; writing rows takes its time."""
    return 3 if loss == "l2" else 1


def fill(folder: Path, left_out: tuple[str, ...] = (), document: str | None = None) -> Store:
    """Store every printed row, each number a hundredth above the printed one."""
    store, cells = Store(folder), {}
    values: dict[tuple[str, str, str], dict[str, float]] = {}
    for each in published.rows(document):
        values.setdefault((each.dataset, each.model, each.spec), {})[each.metric] = each.value
    for (dataset, model, loss), metrics in values.items():
        cell = synthetic.describe(dataset, loss, seeds_of(loss), trials=0)
        cell |= {"model": model, "id": cell["id"].replace("conv4", model)}
        cells[dataset, model, loss] = cell
        if loss in left_out:
            continue
        own = {name: 1.01 * value for name, value in metrics.items()}
        spread = {f"{name}_std": 0.1 for name in own if METRICS[name].spread}
        for seed in range(seeds_of(loss)):
            row: dict[str, Any] = {**own, **spread}
            store.write(synthetic.row(cell, "final", seed, 0.1, **row))
    synthetic.write_grid(store, list(cells.values()))
    return store


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Table]:
    store = fill(tmp_path_factory.mktemp("full") / "paper")
    return {table.name: table for table in paper_tables(collect(store, store.grid()))}


def test_every_table_of_the_documents_is_there_in_their_order(tables: dict[str, Table]) -> None:
    expected = [f"bredell-table-{number}" for number in range(1, 7)] + ["dalal-table-1"]
    assert list(tables) == expected


def test_rows_stand_in_the_papers_order_under_their_block(tables: dict[str, Table]) -> None:
    for name, table in tables.items():
        document, _, number = name.split("-")
        printed = published.rows(document, int(number))
        labels = [row.label for row in table.rows if not row.statement]
        names = dict.fromkeys((each.block, each.row_label, each.spec) for each in printed)
        assert labels == [label for _, label, _ in names]


def test_numbers_stand_beside_the_published_ones(tables: dict[str, Table]) -> None:
    table = tables["bredell-table-2"]
    keys = [column.key for column in table.columns]
    row = next(row for row in table.rows if not row.statement)
    printed = {each.metric: each for each in published.rows("bredell", 2)[:5]}
    at = keys.index("psnr")
    mine, theirs, difference = row.entries[at : at + 3]
    assert mine.value == pytest.approx(1.01 * printed["psnr"].value)
    assert theirs.value == printed["psnr"].value and theirs.text == printed["psnr"].text
    assert difference.value == pytest.approx(0.01 * printed["psnr"].value)
    assert "95 % interval of the mean over seeds" in mine.note
    assert "fid_gen_difference" not in keys  # its scale is not stated


def test_a_loss_that_was_not_run_says_so(tmp_path: Path) -> None:
    store = fill(tmp_path / "paper", ("ssim",), "dalal")
    [table] = paper_tables(collect(store, store.grid()))
    rows = [row for row in table.rows if row.loss.startswith("ssim")]
    assert rows and all(row.badge == "not run" and row.entries[0].text == "—" for row in rows)


def test_a_grid_without_cells_of_a_document_has_no_such_table(tmp_path: Path) -> None:
    store = Store(tmp_path / "own")
    cell = synthetic.describe("photos32", "l2", 1, trials=0)
    store.write(synthetic.row(cell, "final", 0, 0.1, psnr=20.0))
    synthetic.write_grid(store, [cell])
    assert paper_tables(collect(store, store.grid())) == []


def test_the_page_shows_them_and_their_files_are_written(tmp_path: Path) -> None:
    store = fill(tmp_path / "paper", document="dalal")
    out = tmp_path / "report"
    page = render(store, out).page.read_text()
    assert "Dalal 2024, Table 1" in page and 'id="papers"' in page
    assert "Bredell et al. 2023, Table" not in page
    with (out / "tables" / "dalal-table-1.csv").open() as stream:
        rows = list(csv.reader(stream))
    assert len(rows) > 5
