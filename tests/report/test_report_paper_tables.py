"""The documents' tables from invented rows that cover every cell of every table."""

import csv
import io
import math
from pathlib import Path
from typing import Any, cast

import pandas as pd
import pytest
import synthetic

from harness.metrics import METRICS
from harness.report import published, render
from harness.report.annotations import beside
from harness.report.catalogue import offers
from harness.report.collect import Cell, Group, collect
from harness.report.export import to_csv
from harness.report.main_table import main_table
from harness.report.paper_intervals import interval_tables
from harness.report.paper_protocol import choices, signatures
from harness.report.paper_sheets import KEYS
from harness.report.paper_tables import paper_tables
from harness.report.stand_ins import Key
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
def paper(tmp_path_factory: pytest.TempPathFactory) -> list[Group]:
    store = fill(tmp_path_factory.mktemp("full") / "paper")
    return collect(store, store.grid())


@pytest.fixture(scope="module")
def tables(paper: list[Group]) -> dict[str, Table]:
    return {table.name: table for table in paper_tables(paper)}


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
    # 1.96 of 0.1 over the root of 40 images, although there are three seeds
    ends = f"{mine.value - 0.03099:.3f} to {mine.value + 0.03099:.3f}"
    assert f"95 % interval of the mean over images: {ends}; seeds: " in mine.note
    assert "fid_gen_difference" not in keys  # its scale is not stated


def test_each_number_has_its_beta_and_its_signature(tables: dict[str, Table]) -> None:
    table = tables["bredell-table-2"]
    assert "CelebA-HQ: β fixed at 0.1." in table.notes
    assert table.notes[-1] == "Signatures. PSNR: psnr|synthetic|v1; SSIM: ssim|synthetic|v1."
    rows = [row for row in table.rows if not row.statement]
    assert all(row.entries[0].note.startswith("β = 0.1; ") for row in rows)


def test_no_difference_is_printed_to_numbers_of_another_kind(tables: dict[str, Table]) -> None:
    keys = {name: [column.key for column in table.columns] for name, table in tables.items()}
    assert not any(key.endswith("_difference") for key in keys["dalal-table-1"])
    assert any(note.startswith("No Δ of PSNR, SSIM:") for note in tables["dalal-table-1"].notes)
    assert "psnr_difference" in keys["bredell-table-6"]
    assert "nll_paper_difference" not in keys["bredell-table-6"]


def test_marks_name_the_rows_that_a_sentence_is_about(tables: dict[str, Table]) -> None:
    notes = tables["bredell-table-2"].notes
    found = {(row.label, row.marks) for row in tables["bredell-table-2"].rows if not row.statement}
    assert {("CE", "†"), ("FFL", "‡"), ("Watson*", "§"), ("Watson", "§"), ("L2", "")} <= found
    assert [row.marks for row in tables["bredell-table-2"].rows if row.label == "Ours"] == ["", "¶"]
    heads = [note.partition(": ")[0] for note in notes]
    for head in ("† CE", "‡ FFL", "* Watson*", "§ Watson*, Watson", "¶ Ours (CelebA-HQ)"):
        assert head in heads
    assert any(note.startswith("¶") and "kernel of 41 × 41" in note for note in notes)
    assert "FID rec., FID gen." in heads  # every row: no mark
    brains = tables["bredell-table-3"].notes
    assert any(note.startswith("§ Ours: with a warm-up of 20 epochs") for note in brains)


def printed(table: int) -> list[published.Published]:
    return list(published.rows("bredell", table))


def stored(
    folder: Path, loss: str, dataset: str, protocol: dict[str, Any], rows: list[dict[str, Any]]
) -> list[Table]:
    """The tables of one cell with this protocol, one row of numbers per seed."""
    store = Store(folder)
    cell = synthetic.describe(dataset, loss, len(rows), trials=8)
    cell["protocol"] |= protocol
    for seed, row in enumerate(rows):
        store.write(synthetic.row(cell, "final", seed, 0.25, **row))
    synthetic.write_grid(store, [cell])
    return paper_tables(collect(store, store.grid()))


def test_a_tuned_beta_and_an_objective_not_the_documents_are_told(tmp_path: Path) -> None:
    [brains] = stored(tmp_path / "brains", "l2", "hcp64", {}, [{"beta_flag": "low"}])
    at = "0.25 (tuned β lies at the low end of its range)"
    assert brains.notes[0] == f"β tuned in 8 trials for FRD gen. (validation): {at}."
    assert "FRD gen. instead of FID gen.; in this table it prints no perceptual" in brains.notes[1]
    faces = {"objective": "fid_gen", "select_on": "test"}
    tables = stored(tmp_path / "faces", "l2", "celeba64[split=80/20]", faces, [{}])
    assert [table.name for table in tables] == ["bredell-table-2", "bredell-table-6"]
    for table in tables:
        assert "8 trials for FID gen. (the test split: not a held-out estimate)" in table.notes[0]
        assert not any("instead of" in note for note in table.notes)


def test_rows_with_different_betas_have_each_their_own() -> None:
    rows = printed(3)
    cells = {row.key: Fixed(1.96 if row.loss == "l2" else 0.00784) for row in rows}
    names = "L1 and SSIM and Cross-Entropy and FFL and Ours"
    expected = (f"β fixed at 1.96 for L2, 0.00784 for {names}.",)
    assert choices(rows, cast("dict[Key, Cell]", cells)) == expected


class Fixed:
    """What of a cell the choice of β and the signatures ask for."""

    measured = True

    def __init__(self, beta: float, signature: str = "") -> None:
        self.protocol = {"beta": beta}
        self.finals = pd.DataFrame({"psnr_signature": [signature]})


def test_blocks_with_signatures_of_their_own_are_named() -> None:
    rows = printed(2)
    cells = {row.key: Fixed(1, "n=8" if row.block == "CelebA" else "n=4") for row in rows}
    expected = ("Signatures. PSNR (CelebA): n=8; PSNR (CelebA-HQ): n=4.",)
    assert signatures(rows, cast("dict[Key, Cell]", cells)) == expected


def test_a_mean_over_several_signatures_is_not_printed(tmp_path: Path) -> None:
    rows = [{"psnr_signature": f"psnr|v{version}"} for version in (1, 2)]
    table = stored(tmp_path / "mixed", "l2", "hcp64", {}, rows)[0]
    mine, _, difference = table.rows[1].entries[:3]
    assert (mine.text, difference.text) == ("—", "—") and "several signatures" in mine.note
    assert table.rows[1].entries[3].text != "—"  # SSIM has one
    assert "PSNR (L2 of HCP): psnr|v1; PSNR (L2 of HCP): psnr|v2" in table.notes[-1]


def test_the_main_table_has_no_difference_where_a_number_is_of_another_kind(
    tables: dict[str, Table], tmp_path: Path
) -> None:
    store = fill(tmp_path / "paper", document="dalal")
    [group] = collect(store, store.grid())
    found = beside(group, main_table(group))
    assert found.texts["l2", "psnr"] == "10.20"
    assert found.sources.endswith("printed number is not comparable: PSNR, SSIM")


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


def stand_in_store(folder: Path, *datasets: str) -> Store:
    """One seed of `l2` and of `l1` on each."""
    store = Store(folder)
    cells = [synthetic.describe(each, x, 1, trials=0) for each in datasets for x in ("l2", "l1")]
    for cell in cells:
        store.write(synthetic.row(cell, "final", 0, 0.1, psnr=20.0))
    synthetic.write_grid(store, cells)
    return store


def test_stand_ins_take_the_place_of_data_that_nobody_ran(tmp_path: Path) -> None:
    store = stand_in_store(tmp_path / "open", "fairface64", "hcp64", "nifti:brain_t1")
    groups = collect(store, store.grid())
    tables = {table.name: table for table in paper_tables(groups)}
    faces = tables["bredell-table-2"]
    assert any("FairFace stand in for those of CelebA" in note for note in faces.notes)
    assert faces.rows[0].statement == "fairface64 with conv4"
    row = next(row for row in faces.rows if row.label == "L2")
    entries = dict(zip((column.key for column in faces.columns), row.entries, strict=True))
    assert entries["psnr"].text == "20.00" and entries["psnr_published"].text not in ("", "—")
    assert entries["psnr_difference"].text == "—"
    # Of HCP itself there is something: its stand-in has nothing to say.
    brains = next(table for table in tables.values() for r in table.rows if "hcp64" in r.statement)
    assert not any("stand in for those of HCP" in note for note in brains.notes)
    assert {offer.name for offer in offers(groups)} >= set(tables)


def test_intervals_stand_in_the_csv(tables: dict[str, Table]) -> None:
    table = tables["bredell-table-2"]
    with io.StringIO(to_csv(table)) as stream:
        printed = next(row for row in csv.DictReader(stream) if row["row"] == "L2")
    own = next(row for row in table.rows if row.label == "L2").entries[0]
    key = table.columns[0].key
    assert float(printed[f"{key}_low"]) == own.low < own.value < own.high
    assert float(printed[f"{key}_high"]) == own.high
    assert f"{key}_published" in printed and f"{key}_published_low" not in printed
    assert not any("[" in name for name in printed)


def test_csv_tells_rows_apart_and_has_what_is_printed(tables: dict[str, Table]) -> None:
    for table in tables.values():
        rows = list(csv.DictReader(io.StringIO(to_csv(table))))
        keys = [tuple(row[key] for key in ("row", *KEYS)) for row in rows]
        assert len(set(keys)) == len(keys) == sum(not row.statement for row in table.rows)
    table = tables["bredell-table-2"]
    rows = list(csv.DictReader(io.StringIO(to_csv(table))))
    first = rows[0]
    found = [first[key] for key in ("block", "dataset", "model", "loss", "beta")]
    assert found == ["CelebA", "celeba64[split=80/20]", "conv4", "l2", "0.1"]
    assert (first["psnr_published"], first["psnr_published_spread"]) == ("22.51", "1.6")
    assert [row["block"] for row in rows if row["row"] == "L2"] == ["CelebA", "CelebA-HQ"]


def test_learned_losses_are_not_bold_as_in_the_document(tables: dict[str, Table]) -> None:
    table = tables["bredell-table-2"]
    lpips = [column.key for column in table.columns].index("lpips")
    rows = [row for row in table.rows if not row.statement]
    # The document's numbers for VGG are the best of all, and it does not print them bold.
    vgg, ours = (next(row for row in rows if row.label == name) for name in ("VGG", "Ours"))
    for at in (lpips, lpips + 1):
        assert vgg.entries[at].value < ours.entries[at].value
        assert ours.entries[at].bold and not vgg.entries[at].bold
    assert "without the learned losses below the rule, as in the document" in table.caption
    assert "in what is published: as the document has it, known of SSIM and LPIPS" in table.caption
    other = tables["dalal-table-1"].caption
    assert "learned" not in other and "in what is published: unknown." in other


def test_intervals_stand_in_a_table_below(paper: list[Group], tables: dict[str, Table]) -> None:
    found = {table.name: table for table in interval_tables(paper)}
    assert list(found) == [f"{name}-intervals" for name in tables]
    for name, table in tables.items():
        companion = found[f"{name}-intervals"]
        assert f"table {companion.name}." in table.caption
        assert [row.label for row in companion.rows] == [row.label for row in table.rows]
        assert [row.keys for row in companion.rows] == [row.keys for row in table.rows]
    table = found["bredell-table-2-intervals"]
    assert table.title == "Bredell et al. 2023, Table 2: intervals of the measured means"
    keys = [column.key for column in table.columns]
    assert keys[:4] == ["psnr", "psnr_seeds", "ssim", "ssim_seeds"]
    row = next(row for row in table.rows if row.label == "L2")
    psnr, seeds = row.entries[:2]
    # 1.96 of 0.1 over the root of 40 images
    ends = f"[{psnr.value - 0.03099:.3f}, {psnr.value + 0.03099:.3f}]"
    assert psnr.text == f"{psnr.value:.3f} {ends}" and seeds.text == "22.735, 22.735, 22.735"
    assert table.rows[2].entries[1].text == ""  # one seed
    assert "of PSNR, SSIM, LPIPS over images;" in table.caption
    assert "Seeds one by one where there are 2 to 4." in table.caption
    assert table.rows[2].entries[keys.index("fid_gen")].text.count("[") == 0


def test_where_rows_have_intervals_over_different_things_each_says(tmp_path: Path) -> None:
    store = Store(tmp_path / "mixed")
    l2, l1 = (synthetic.describe("hcp64", loss, 5, trials=0) for loss in ("l2", "l1"))
    for seed in range(5):
        store.write(synthetic.row(l2, "final", seed, 0.1, psnr=20.0 + seed / 10, ssim=0.5))
    store.write(synthetic.row(l1, "final", 0, 0.1, psnr=21.0, psnr_std=1.0))
    synthetic.write_grid(store, [l2, l1])
    [table] = interval_tables(collect(store, store.grid()))
    marks = {row.label: row.entries[0].marks for row in table.rows if row.entries}
    assert marks["L2"] == " (over seeds)" and marks["L1"] == " (over images)"
    assert "of PSNR, SSIM over images or seeds, as each says" in table.caption
    assert table.rows[-1].badge == "not run" and table.rows[-1].entries[0].text == "—"


def test_without_an_interval_there_is_no_such_table(tmp_path: Path) -> None:
    rows = [{"psnr_std": math.nan, "ssim_std": math.nan}]
    [table] = stored(tmp_path / "one", "l2", "hcp64", {}, rows)
    assert "intervals" not in table.caption
    store = Store(tmp_path / "one")
    assert interval_tables(collect(store, store.grid())) == []


@pytest.mark.slow
def test_the_page_shows_them_and_their_files_are_written(tmp_path: Path) -> None:
    store = fill(tmp_path / "paper", document="dalal")
    out = tmp_path / "report"
    page = render(store, out).page.read_text()
    assert "Dalal 2024, Table 1" in page and 'id="papers"' in page
    _, _, below = page.partition('id="paper-dalal-table-1"')
    assert below.index("</table>") < below.index("<summary>Intervals</summary>")
    assert "dalal-table-1-intervals.md" in below
    for form in ("md", "tex", "csv"):
        assert (out / "tables" / f"dalal-table-1-intervals.{form}").is_file()
    assert "Bredell et al. 2023, Table" not in page
    with (out / "tables" / "dalal-table-1.csv").open() as stream:
        rows = list(csv.reader(stream))
    assert len(rows) > 5
