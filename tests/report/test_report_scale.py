"""The report of large stores: all tables of the documents, 300 losses, several processes."""

import hashlib
import html
import re
from pathlib import Path

import fixture_store
import pytest
import synthetic

from harness.report import Rendered, published, render
from harness.report.figure_plans import plans
from harness.store import Store

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Every cell of every table, invented, with few and small pictures."""
    size = fixture_store.Size(pictures=4, side=16)
    return fixture_store.build(tmp_path_factory.mktemp("papers") / "papers", size)


@pytest.fixture(scope="module")
def rendered(papers: Store, tmp_path_factory: pytest.TempPathFactory) -> Rendered:
    return render(papers, tmp_path_factory.mktemp("out") / "papers", workers=2)


def digests(found: Rendered) -> dict[str, str]:
    """Name -> sha256 of every file of a report."""
    folder = found.page.parent
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in found.files
    }


def test_every_table_and_every_printed_number_is_on_the_page(rendered: Rendered) -> None:
    text = rendered.page.read_text()
    tables = {(each.document, each.table) for each in published.rows()}
    assert set(re.findall(r'id="paper-(\w+)-table-(\d)"', text)) == {
        (document, str(table)) for document, table in tables
    }
    section = html.unescape(text[text.index('id="papers"') : text.index('id="claims"')])
    cells = {re.sub(r"</?strong>", "", cell) for cell in re.findall(r"<td.*?>(.*?)</td>", section)}
    assert {each.text for each in published.rows()} <= cells


def test_losses_that_learned_stand_under_a_rule(rendered: Rendered) -> None:
    text = rendered.page.read_text()
    rows = re.findall(r'<tr[^>]* class="learned">\s*(<th.*?</th>)', text, re.S)
    first = [re.sub(r"<.*?>|\s", "", row).lower() for row in rows]
    assert len(first) > 5 and {re.split(r"\W", name)[0] for name in first} == {"vgg"}


def test_the_fixture_leaves_no_figure_and_no_claim_without_numbers(rendered: Rendered) -> None:
    folder = rendered.page.parent
    claims = (folder / "claims.csv").read_text()
    assert "not stored" not in claims and "not run" not in claims
    drawings = {path.stem for path in (folder / "figures").glob("*.svg")}
    assert {plan.name for plan in plans()} <= drawings
    assert "celeba64-split-80-20-conv4-kernels" in drawings


def test_processes_draw_the_same_bytes(papers: Store, rendered: Rendered, tmp_path: Path) -> None:
    assert digests(render(papers, tmp_path / "papers")) == digests(rendered)


def test_three_hundred_losses_in_one_table(tmp_path: Path) -> None:
    store = Store(tmp_path / "many")
    cells = [synthetic.describe("photos32", f"loss-{n:03d}", 1, trials=0) for n in range(300)]
    for cell in cells:
        store.write(synthetic.row(cell, "final", 0, 0.1))
    synthetic.write_grid(store, cells)
    found = render(store, tmp_path / "out")
    text = found.page.read_text()
    table = text[text.index('id="table-photos32-conv4"') : text.index('class="details"')]
    assert all(table.count(f">loss-{n:03d}</a>") == 1 for n in range(300))
    assert "Figures and pictures show 36 of 300 losses" in text
    assert found.page.stat().st_size < 15 * 2**20
