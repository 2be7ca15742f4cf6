"""Stores that are not as one would wish: a useful page or one sentence, never a traceback."""

import csv
import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fixture_store
import pytest
import synthetic

from harness.errors import HarnessError, StoreError
from harness.metrics import METRICS
from harness.report import render
from harness.store import Store

pytestmark = pytest.mark.slow

Page = Callable[..., tuple[str, Path]]
SPREADS = {f"{name}_std" for name in METRICS}
ROW = synthetic.row(synthetic.describe("photos32", "l2", 1, 0), "final", 0, 0.1)
NOTHING = {name: math.nan for name in ROW if name in METRICS or name in SPREADS}


@pytest.fixture
def page(tmp_path: Path) -> Page:
    """Render one seed of each loss with these values; return the page and its folder."""

    def make(**losses: dict[str, Any]) -> tuple[str, Path]:
        store = Store(tmp_path / "grid")
        cells = []
        for loss, values in losses.items():
            cells.append(synthetic.describe("photos32", loss.replace("_", "-"), 1, trials=0))
            store.write(synthetic.row(cells[-1], "final", 0, 0.1, **values))
        synthetic.write_grid(store, cells)
        return render(store, tmp_path / "out").page.read_text(), tmp_path / "out"

    return make


def entries(out: Path, column: str) -> dict[str, str]:
    """What the main table's file has in a column, by loss."""
    with (out / "tables" / "photos32-conv4.csv").open(newline="") as stream:
        return {row["loss"]: row[column] for row in csv.DictReader(stream)}


def test_mixed_signatures_have_columns_of_their_own_and_no_best(page: Page) -> None:
    text, out = page(
        l2={"psnr": 20.0, "psnr_signature": "psnr|range=1|v1"},
        l1={"psnr": 90.0, "psnr_signature": "psnr|range=255|v1"},
    )
    first, second = "psnr[range=1]", "psnr[range=255]"
    assert entries(out, first) == {"mean image (floor)": "13.87", "l2": "20.0", "l1": ""}
    assert entries(out, second)["l2"] == "" and entries(out, second)["l1"] == "90.0"
    assert set(entries(out, f"{first}_best").values()) == {""}
    assert set(entries(out, f"{second}_best").values()) == {""}
    assert 'title="measured with another signature"' in text
    assert "is best on PSNR" not in text


def test_numbers_that_are_not_finite_print_as_a_dash(page: Page) -> None:
    text, out = page(
        l2=NOTHING,
        l1={"psnr": math.inf, "frd_gen": -math.inf},
        ssim={"curve_energy": [math.inf] * 12},
    )
    found = entries(out, "psnr")
    assert found["l2"] == found["l1"] == "" and float(found["ssim"]) > 10
    assert 'title="no finite value"' in text
    assert not re.search(r">[^<]*\b(nan|inf)\b", re.sub(r"(?s)<script>.*?</script>", "", text))


def test_no_number_at_all(page: Page) -> None:
    text, _ = page(l2=NOTHING, l1=NOTHING)
    assert 'id="table-photos32-conv4"' in text and 'id="made"' in text


def test_a_loss_of_a_plugin_that_is_no_longer_installed(page: Page) -> None:
    text, out = page(
        l2={"frd_gen": 0.2}, gone_loss={"frd_gen": 0.1, "loss_options": "no JSON at all"}
    )
    assert "gone-loss" in text and entries(out, "frd_gen")["gone-loss"] == "0.1"
    assert "<dt>Loss options</dt><dd>no JSON at all</dd>" in text


def test_a_table_whose_cells_are_half_missing(tmp_path: Path) -> None:
    store = fixture_store.build(tmp_path / "grid", fixture_store.Size(pictures=0), "dalal")
    lost = [cell["id"] for cell in store.grid()["cells"][::2]]
    for path in [each for cell in lost for each in store.files(cell)]:
        path.unlink()
    text = render(store, tmp_path / "out").page.read_text()
    with (tmp_path / "out" / "tables" / "dalal-table-1.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["status"] for row in rows] == ["not run", "ok", "not run", "ok", "not run"]
    assert all(bool(row["psnr"]) == (row["status"] == "ok") for row in rows)
    assert text.count("not run") > 3 and "1 of 5" not in text


def test_rows_without_the_grid_they_belong_to(tmp_path: Path) -> None:
    store = Store(tmp_path / "grid")
    store.write(synthetic.row(synthetic.describe("photos32", "l2", 1, 0), "final", 0, 0.1))
    with pytest.raises(StoreError, match="no results in"):
        render(store, tmp_path / "out")


def test_a_store_of_another_schema(tmp_path: Path) -> None:
    store = Store(tmp_path / "grid")
    synthetic.write_grid(store, [synthetic.describe("photos32", "l2", 1)])
    (store.root / "_schema.json").write_text(json.dumps({"schema_version": 999}))
    with pytest.raises(StoreError, match=r"results schema 999, this harness reads schema \d+: use"):
        render(store, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("blocked", ["out", "out/tables", "out/index.html"])
def test_an_output_folder_that_cannot_be_written(tmp_path: Path, blocked: str) -> None:
    store = Store(tmp_path / "grid")
    synthetic.write_grid(store, [])
    place = tmp_path / blocked
    place.parent.mkdir(exist_ok=True)
    if place.suffix:
        place.mkdir()  # a folder where the page should lie
    else:
        place.write_text("a file where the folder should be")
    with pytest.raises(HarnessError, match=r"^cannot write the report to .*out \(.*\): choose"):
        render(store, tmp_path / "out")
