"""The page in a real browser: what a reader clicks, types and sees."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import fixture_store
import numpy as np
import pytest
from devtools import CHROMIUM, Browser, browser

from harness.report import render

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine"),
]
SIZES = (1280, 400)
SCHEMES = ("light", "dark")
AXE = os.environ.get("HARNESS_AXE")
MAIN, PAPER = ".listing:not(.paper)", ".listing.paper"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of Dalal's table: one group with trials and pictures, invented numbers."""
    folder = tmp_path_factory.mktemp("browser")
    return render(fixture_store.build(folder / "dalal", document="dalal"), folder / "out").page


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture
def shown(running: Browser, page: Path) -> Iterator[Browser]:
    """The page, newly opened at 1280 pixels; whatever the browser complains of fails the test."""
    running.resize(1280)
    running.media("light")
    running.complaints.clear()
    running.open(page)
    yield running
    assert running.complaints == []


def column(shown: Browser, within: str, index: int) -> list[str]:
    """The texts of one column of a table, rows in their present order."""
    rows = f'document.querySelector("{within} table").tBodies[0].rows'
    return [
        str(text)
        for text in shown.ask(
            f"[...{rows}].filter((r) => !r.hidden && r.cells[{index}] && !r.matches('.block'))"
            f".map((r) => r.cells[{index}].dataset.value || r.cells[{index}].textContent.trim())"
        )
    ]


def head(shown: Browser, within: str, label: str) -> int:
    """The place of the first column with this label; the browser counts from 0."""
    return int(shown.ask(
        f'[...document.querySelector("{within} table").tHead.rows[0].cells]'
        f'.findIndex((c) => c.textContent.includes("{label}"))'
    ))  # fmt: skip


def visible(shown: Browser, selector: str) -> int:
    """How many elements that match take up room."""
    found = f'[...document.querySelectorAll("{selector}")]'
    return int(shown.ask(f"{found}.filter((e) => e.getClientRects().length).length"))


def test_a_header_sorts_up_and_down_and_words_last(shown: Browser) -> None:
    at = head(shown, MAIN, "PSNR")
    button = f"{MAIN} thead th:nth-child({at + 1}) button"
    shown.click(button)
    up = [float(x) for x in column(shown, MAIN, at)]
    shown.click(button)
    down = [float(x) for x in column(shown, MAIN, at)]
    assert len(up) == 6 and up == sorted(up) and down == up[::-1]
    state = shown.ask(f"document.querySelector('{button}').parentElement.getAttribute('aria-sort')")
    assert state == "descending"


def test_sorting_a_papers_table_keeps_rows_under_their_block(shown: Browser) -> None:
    first = 'document.querySelector(".listing.paper tbody tr").className'
    before = shown.ask(first)
    shown.click(f"{PAPER} thead th:nth-child(2) button")
    values = [float(x) for x in column(shown, PAPER, 1)]
    assert before == shown.ask(first) == "block"
    assert len(values) == 5 and values == sorted(values)


def test_typing_filters_rows(shown: Browser) -> None:
    shown.click(f"{MAIN} input.filter")
    shown.type("ssim")
    assert column(shown, MAIN, 0) == ["ssim"]  # neither ms-ssim nor the floor
    assert shown.ask(f'document.querySelector("{MAIN} .said").textContent') == "1 row shown"


def test_a_row_opens_and_closes_its_details_by_mouse_and_keyboard(shown: Browser) -> None:
    shown.click("button.open")
    assert visible(shown, "td.opened dl") == 1 and visible(shown, "td.opened polyline") == 2
    shown.press("Enter")  # the button has the focus
    assert visible(shown, "td.opened") == 0
    assert shown.ask('document.querySelectorAll(".details .detail").length') == 5


def test_what_is_published_stands_there_on_demand(shown: Browser) -> None:
    assert visible(shown, f"{MAIN} .published") == 0
    shown.click(f"{MAIN} .show-published")
    assert visible(shown, f"{MAIN} .published") == 10  # PSNR and SSIM of five losses
    text = shown.ask('document.querySelector("small.published").textContent')
    assert re.fullmatch(r"[\d.]+( ± [\d.]+)?", text), text  # not comparable: no difference
    assert visible(shown, f"{PAPER} td.theirs") == 10  # printed values alone
    shown.click(f"{PAPER} .show-published")
    assert visible(shown, f"{PAPER} td.theirs") == 0
    assert visible(shown, f"{PAPER} td") > 10


def test_a_figure_enlarges_and_goes_back(shown: Browser) -> None:
    width = 'document.querySelector("#answer ~ * figure svg, dialog .plot svg")'
    small = shown.ask(f"{width}.getBoundingClientRect().width")
    shown.click("#answer ~ * figure .scroll")
    assert shown.ask('document.querySelector("dialog").open')
    drawn = 'document.querySelector("dialog .plot svg")'
    assert shown.ask(f"{drawn}.getBoundingClientRect().width") > 2 * small
    assert visible(shown, "dialog .previous") == 0
    shown.press("Escape")
    shown.ask("new Promise((done) => setTimeout(done, 50))")
    assert shown.ask(f"{drawn} === null && document.querySelectorAll('figure svg').length") > 5
    assert shown.ask(f"{width}.getBoundingClientRect().width") == pytest.approx(small)


def test_a_picture_enlarges_with_whole_pixels_and_arrows_walk(shown: Browser) -> None:
    shown.click("button.strip", across=0.9)
    what = 'document.querySelector("dialog .what").textContent'
    assert shown.ask(what).endswith("4 of 4")
    scale = shown.ask('document.querySelector("dialog .view").getBoundingClientRect().width / 16')
    assert scale == int(scale) and scale > 10
    shown.press("ArrowRight")
    assert shown.ask(what).endswith("1 of 4")
    shown.click("dialog .previous")
    assert shown.ask(what).endswith("4 of 4")
    shown.click("dialog .close")
    assert not shown.ask('document.querySelector("dialog").open')


def test_the_slider_divides_two_losses_on_one_image(shown: Browser) -> None:
    shown.ask('document.querySelector(".compare select.right").value = "3"')
    shown.ask("""document.querySelector(".compare select.right")
        .dispatchEvent(new Event("change"))""")
    shown.click(".compare .stage", across=0.25)
    clip = shown.ask('document.querySelector(".stage .over").style.clipPath')
    assert float(re.findall(r"([\d.]+)%", clip)[0]) == pytest.approx(25, abs=1)
    names = shown.ask('[...document.querySelectorAll(".stage img")].map((i) => i.alt)')
    assert len(set(names)) == 2
    shown.ask("new Promise((done) => setTimeout(done, 100))")
    box = shown.ask("""(() => {
        const b = document.querySelector(".stage").getBoundingClientRect();
        return [b.left, b.top, b.right, b.bottom];
    })()""")
    stage = np.asarray(shown.photograph().crop(tuple(map(round, box))).convert("L"), dtype=float)
    left, right = np.array_split(stage, [stage.shape[1] // 4], axis=1)
    assert left[:, :-4].mean() < 240 and right[:, 4:].mean() < 240  # the bare page has 255
    shown.click(".compare input[type=range]", across=0.9)
    assert shown.ask('Number(document.querySelector(".compare input").value)') > 80


@pytest.mark.parametrize("within", [MAIN, PAPER])
def test_buttons_copy_a_table(shown: Browser, page: Path, within: str) -> None:
    shown.call("Browser.grantPermissions", permissions=["clipboardReadWrite"])
    for format_, suffix in (("Markdown", "md"), ("LaTeX", "tex")):
        shown.click(f"{within} button.copy[data-format={format_}]")
        shown.ask("new Promise((done) => setTimeout(done, 50))")
        said = shown.ask(f'document.querySelector("{within} .said").textContent')
        assert said == f"{format_} copied"
        file = shown.ask(f'document.querySelector("{within} > .notes .file").textContent')
        stem = file.removeprefix("tables/").partition(".md")[0]
        expected = (page.parent / "tables" / f"{stem}.{suffix}").read_text()
        assert shown.ask("navigator.clipboard.readText()") == expected


@pytest.mark.parametrize("width", SIZES)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_nothing_is_wider_than_the_window_and_it_is_painted(
    shown: Browser, page: Path, width: int, scheme: str
) -> None:
    shown.resize(width)
    shown.media(scheme)
    shown.open(page)
    assert shown.ask("document.scrollingElement.scrollWidth <= innerWidth")
    picture = np.asarray(shown.photograph().convert("L"), dtype=float)
    assert picture.shape == (900, width)
    paper = np.median(picture)
    assert paper > 200 if scheme == "light" else paper < 60
    ink = np.abs(picture - paper) > 60
    assert 0.01 < ink.mean() < 0.5
    # Ink in every quarter of the height: no part of the window is blank.
    assert all(part.any() for part in np.array_split(ink, 4))


def test_the_contents_lead_to_their_sections(shown: Browser) -> None:
    # What is not on the screen is not laid out yet: a jump must land all the same.
    for name in ("papers", "spectra", "made"):
        shown.click(f"nav a[href='#{name}']")
        shown.ask("new Promise((done) => setTimeout(done, 150))")
        top = shown.ask(f"document.getElementById('{name}').getBoundingClientRect().top")
        assert -5 <= top < 700, name


def test_printing_opens_what_is_closed_and_closes_it_again(shown: Browser) -> None:
    closed = 'document.querySelectorAll("details:not([open])").length'
    before = shown.ask(closed)
    shown.ask('window.dispatchEvent(new Event("beforeprint"))')
    assert before > 5 and shown.ask(closed) == 0 and visible(shown, ".details dl") == 5
    shown.ask('window.dispatchEvent(new Event("afterprint"))')
    assert shown.ask(closed) == before
    shown.media(kind="print")
    assert visible(shown, "nav, .controls, .switch, .compare") == 0


def test_the_page_reads_in_full_without_scripts(running: Browser, page: Path) -> None:
    running.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        running.open_quietly(page)
        assert visible(running, ".controls, .compare") == 0
        assert visible(running, ".details summary") == 5
    finally:
        running.call("Emulation.setScriptExecutionDisabled", value=False)


@pytest.mark.skipif(AXE is None, reason="HARNESS_AXE does not name axe.min.js of axe-core")
@pytest.mark.parametrize("scheme", SCHEMES)
def test_axe_finds_nothing(shown: Browser, page: Path, scheme: str) -> None:
    shown.media(scheme)
    shown.open(page)
    shown.ask('document.querySelectorAll("details").forEach((each) => { each.open = true; })')
    shown.ask(Path(AXE or "").read_text(encoding="utf-8") + "; true")
    found = shown.ask("axe.run().then((r) => JSON.stringify(r.violations))")
    violations = {
        each["id"]: [node["html"][:200] for node in each["nodes"]][:3] for each in json.loads(found)
    }
    assert violations == {}
