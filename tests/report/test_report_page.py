"""The page and the files beside it."""

import hashlib
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import synthetic
from PIL import Image

from harness.errors import HarnessError, StoreError
from harness.report import Rendered, render
from harness.report.collect import Group
from harness.report.fonts import light_font
from harness.report.leading import MOST, leading, remark
from harness.report.palette import looks
from harness.report.sections import section
from harness.store import Store

# The second group has neither trials nor pictures: see `synthetic.build`.
ALWAYS = ("quality-cost", "training", "price")
MORE = ("reconstructions", "samples", "spectra", "radial", "tradeoff", "tuning")
TABLES = {
    "photos32-conv4": (
        "comparisons",
        "rate-matched",
        "tuning",
        "price",
        "bands",
        "budget",
        "reconstruction",
    ),
    "digits-size-28-conv4": ("comparisons", "price", "reconstruction"),
}
GROUPS = {"photos32-conv4": (*ALWAYS, *MORE), "digits-size-28-conv4": ALWAYS}

VOID = {"meta", "link", "img", "br", "input", "hr"}


class Reader(HTMLParser):
    """Checks that elements close in order and gathers what the tests ask about."""

    def __init__(self) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.ids: list[str] = []
        self.targets: list[str] = []
        self.sources: list[str] = []
        self.headings: list[int] = []
        self.images_without_alt = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.ids += [str(values["id"])] if "id" in values else []
        self.targets += [str(values["href"])] if tag == "a" else []
        self.sources += [str(values["src"])] if "src" in values else []
        self.headings += [int(tag[1])] if re.fullmatch(r"h[1-6]", tag) else []
        self.images_without_alt += tag == "img" and "alt" not in values
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.stack.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag


@pytest.fixture(scope="session")
def text(rendered: Rendered) -> str:
    return rendered.page.read_text()


@pytest.fixture(scope="session")
def page(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    return reader


def digest(folder: Path) -> dict[str, str]:
    """Name -> sha256 of every file below a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_the_page_is_sound(page: Reader) -> None:
    assert page.stack == []
    assert len(page.ids) == len(set(page.ids))
    assert page.images_without_alt == 0
    assert all(t.startswith("#") and t[1:] in page.ids for t in page.targets)
    assert page.headings[0] == 1 and page.headings.count(1) == 1
    assert all(b - a <= 1 for a, b in zip(page.headings, page.headings[1:], strict=False))


def test_the_page_loads_nothing(text: str, page: Reader) -> None:
    assert not re.search(r"https?://", text)
    assert all(source.startswith("data:") for source in page.sources)
    assert '<link rel="icon" href="data:,">' in text and text.count("<link") == 1
    assert "@import" not in text and "url(//" not in text


def test_the_page_has_every_section_in_order(page: Reader) -> None:
    sections = [
        "answer",
        "table",
        "ranks",
        "pictures",
        "spectra",
        "tradeoff",
        "tuning",
        "price",
        "made",
    ]
    assert [each for each in page.ids if each in sections] == sections


def test_states_and_causes_are_printed(text: str) -> None:
    for words in ("stale", "diverged 1/3", "unavailable", "not run"):
        assert words in text
    assert "the loss was not finite at step 321" in text
    assert "Pictures not stored." in text and "No trials: β was fixed" in text
    assert "weights lpips-vgg are not here" in text
    assert r"odd_50%\{x}" in text


def test_the_page_is_small(rendered: Rendered) -> None:
    assert rendered.page.stat().st_size < 15 * 2**20


def test_files_are_there_and_not_blank(rendered: Rendered) -> None:
    folder = rendered.page.parent
    names = {str(path.relative_to(folder)) for path in rendered.files}
    stems = {
        "protocol",
        "ranks",
        *GROUPS,
        *(f"{g}-{name}" for g, found in TABLES.items() for name in found),
    }
    tables = {f"tables/{stem}.{suffix}" for stem in stems for suffix in ("md", "tex", "csv")}
    stems = {f"figures/{group}-{name}" for group, found in GROUPS.items() for name in found}
    stems |= {"figures/ranks", "figures/photos32-conv4-budget"}
    figures = {f"{stem}.{suffix}" for stem in stems for suffix in ("svg", "png", "pdf", "csv")}
    assert names == {"index.html", "claims.csv"} | tables | figures
    for stem in stems:
        with Image.open(folder / f"{stem}.png") as picture:
            assert np.asarray(picture.convert("L")).std() > 5, stem
        assert (folder / f"{stem}.pdf").read_bytes().startswith(b"%PDF")
        assert len((folder / f"{stem}.csv").read_text().splitlines()) > 1
    assert names == set(digest(folder))


def test_the_summary_is_the_answer(rendered: Rendered) -> None:
    assert "`ssim` has the best FRD gen." in rendered.summary
    assert len(re.findall("costs 1.31(?: ± 0.0[0-9])?×", rendered.summary)) == 2


@pytest.mark.slow
def test_drawing_again_gives_the_same_bytes(
    rendered: Rendered, groups: list[Group], tmp_path: Path
) -> None:
    for folder in ("tables", "figures"):
        (tmp_path / folder).mkdir()
    palette = looks(cell.label for group in groups for cell in group.cells)
    with light_font():
        section(groups[0], palette, tmp_path, [])
    again, before = digest(tmp_path), digest(rendered.page.parent)
    assert len(again) == 64  # ten figures in four formats, eight tables in three
    assert again == {name: before[name] for name in again}


@pytest.mark.slow
def test_neither_the_package_nor_a_rendering_needs_torch(store: Store, tmp_path: Path) -> None:
    code = (
        "import sys; import harness.report; early = {'matplotlib', 'pandas'} & set(sys.modules);"
        "from pathlib import Path; from harness.store import Store;"
        "from harness.report.collect import collect; import harness.report.page;"
        "s = Store(Path(sys.argv[1])); collect(s, s.grid());"
        "heavy = {'torch', 'models', 'datasets', 'scipy'} & set(sys.modules);"
        "sys.exit(f'{early} {heavy}' if early or heavy else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(store.root)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_grid_without_rows_is_a_useful_page(tmp_path: Path) -> None:
    store = Store(tmp_path / "empty")
    synthetic.write_grid(store, [synthetic.describe("photos32", "l2", 3)])
    found = render(store, tmp_path / "out")
    text = found.page.read_text()
    assert found.summary == (
        "On photos32 with conv4 no loss has a final model yet. `l2` has not run."
    )
    assert "not run" in text and "Pictures not stored." in text
    assert "harness run --grid empty" in text
    assert render(store, tmp_path / "again").page.read_text() == text


@pytest.mark.slow
def test_figures_of_a_crowded_group_show_the_leaders(made: Callable[..., Group]) -> None:
    values = [0.5 + index for index in range(MOST + 4)]
    losses = [{"loss": f"p{i}", "frd_gen": [x]} for i, x in enumerate(values)]
    group = made(*losses, {"loss": "l2", "frd_gen": [99.0]})
    shown = leading(group)
    assert [cell.loss for cell in shown.cells] == [*(f"p{i}" for i in range(MOST - 1)), "l2"]
    of = f"Figures and pictures show {MOST} of {MOST + 5} losses"
    best = "those with the best FRD gen., while the tables have all."
    assert remark(group, shown) == f"{of}, l2 and {best}"
    without = replace(group, cells=group.cells[:-1])
    assert remark(without, leading(without)).endswith(f" losses, {best}")
    assert leading(shown) is shown and remark(shown, shown) == ""


def test_a_grid_without_cells(tmp_path: Path) -> None:
    store = Store(tmp_path / "empty")
    synthetic.write_grid(store, [])
    assert "no cells" in render(store, tmp_path / "out").page.read_text()


def test_a_folder_without_a_grid(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no results in"):
        render(Store(tmp_path / "nothing"), tmp_path / "out")


def test_an_output_that_cannot_be_written(tmp_path: Path) -> None:
    store = Store(tmp_path / "empty")
    synthetic.write_grid(store, [])
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(HarnessError, match=r"cannot write the report to .*: choose another folder"):
        render(store, tmp_path / "file" / "out")


def test_pictures_that_are_missing_or_damaged(tmp_path: Path) -> None:
    store = Store(tmp_path / "bare")
    cells = [synthetic.describe("photos32", loss, 1, trials=0) for loss in ("l2", "l1")]
    for cell in cells:
        store.write(synthetic.row(cell, "final", 0, 0.1))
    synthetic.write_grid(store, cells)
    damaged = store.artefact("images", cells[0]["id"], 0, "npz")
    damaged.parent.mkdir()
    damaged.write_bytes(b"PK\x03\x04 cut short")
    text = render(store, tmp_path / "out").page.read_text()
    assert "Pictures not stored." in text and "Spectra not stored." in text
