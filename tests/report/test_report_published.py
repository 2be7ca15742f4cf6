"""The published numbers: sound as data, and cell for cell what the documents print."""

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from harness import grid
from harness.components import loss_spec, resolve, resolve_loss
from harness.errors import HarnessError
from harness.metrics import METRICS
from harness.report import published
from harness.report.published import Published, rows
from losses import REGISTRY

# Cells per table: rows times columns of numbers, counted in the documents by hand.
COUNTS = {
    ("bredell", 1): 7 * 5,
    ("bredell", 2): 16 * 5,
    ("bredell", 3): 6 * 2,
    ("bredell", 4): 6 * 5,
    ("bredell", 5): 4 * 5,
    ("bredell", 6): 2 * 6,
    ("dalal", 1): 5 * 2,
}
FILES = {"bredell": "bredell-blur-error.md", "dalal": "dalal-stft.md"}
HEADERS = {
    "PSNR": "psnr",
    "SSIM": "ssim",
    "LPIPS": "lpips",
    "FID_{Recon}": "fid_recon",
    "FID_{Gen}": "fid_gen",
    r"$-\log p$": "nll_paper",
}
Cell = tuple[str, int, str, str, str, str]  # document, table, block, row, metric, text


def one(table: int, block: str, label: str, metric: str, document: str = "bredell") -> Published:
    found = [
        row
        for row in rows(document, table)
        if (row.block, row.row_label, row.metric) == (block, label, metric)
    ]
    assert len(found) == 1
    return found[0]


def test_every_table_is_whole() -> None:
    assert Counter((row.document, row.table) for row in rows()) == COUNTS
    assert rows("sharpness") == ()  # pictures alone
    assert rows("bredell", 7) == ()


def test_cells_are_unique_and_in_order() -> None:
    keys = [(r.document, r.table, r.block, r.row_label, r.metric) for r in rows()]
    assert len(set(keys)) == len(keys)
    for document in published.DOCUMENTS:
        own = rows(document)
        assert [row.order for row in own] == list(range(1, len(own) + 1))
        assert [row.table for row in own] == sorted(row.table for row in own)


def test_losses_models_and_datasets_are_ours_in_their_canonical_form() -> None:
    for spec in {row.spec for row in rows()}:
        assert loss_spec(resolve_loss(spec)) == spec
    assert {term.name for r in rows() for term in resolve_loss(r.spec)} <= REGISTRY.keys()
    for kind in ("model", "dataset"):
        for spec in {getattr(row, kind) for row in rows()}:
            assert resolve(kind, spec).spec == spec


def test_metrics_are_columns() -> None:
    assert {row.metric for row in rows()} <= METRICS.keys()


def test_every_printed_row_is_a_cell_of_the_grids() -> None:
    cells = {
        (cell.dataset.spec, cell.model.spec, cell.loss_spec)
        for name in ("paper", "stft")
        for cell in grid.load(name).cells()
    }
    assert {(row.dataset, row.model, row.spec) for row in rows()} <= cells


def test_rows_of_losses_follow_the_tables() -> None:
    # read off the page: Table 2 with its learned losses last
    labels = ["L2", "L1", "SSIM", "CE", "FFL", "Ours", "VGG"]
    found = dict.fromkeys((row.block, row.row_label) for row in rows("bredell", 2))
    assert list(found) == [
        *(("CelebA", label) for label in (*labels, "Watson*")),
        *(("CelebA-HQ", label) for label in (*labels, "Watson")),
    ]


def test_watsons_shifted_rows_are_put_right() -> None:
    # 19 dB, an SSIM below 1, an LPIPS below the SSIM: each number under its own head
    heads = [metric for metric in HEADERS.values() if metric != "nll_paper"]
    starred = [one(2, "CelebA", "Watson*", metric) for metric in heads]
    assert [row.value for row in starred] == [19.22, 0.5808, 0.1164, 0.0356, 0.0459]
    assert [row.spread for row in starred] == [2.1, 0.11, 0.055, None, None]
    assert {row.model for row in starred} == {"czolbe"}
    plain = one(2, "CelebA-HQ", "Watson", "fid_gen")
    assert (plain.value, plain.model) == (0.1381, "conv4")
    assert any("one column too far left" in sentence for sentence in plain.errata)


def test_values_carry_their_errata() -> None:
    for row in rows():
        is_fid = row.metric.startswith("fid_")
        assert any("divided by 1,000" in sentence for sentence in row.errata) == is_fid
    assert "not comparable" in one(6, "CelebA", "Ours", "nll_paper").errata[0]
    assert any("variance" in each for each in one(1, "Σ(K)", "K(N(0, 2), ε)", "psnr").errata)
    assert all(any("raw output" in each for each in row.errata) for row in rows("dalal"))


def test_every_sentence_is_used_and_is_one() -> None:
    used = {sentence for row in rows() for sentence in row.errata}
    sentences = [record["sentence"] for record in published.records("errata")]
    assert set(sentences) == used
    assert all(re.fullmatch(r"[A-Z].*[^.]\.", sentence) for sentence in sentences)


def test_bold_is_known_only_where_the_text_tells() -> None:
    told = {(row.table, row.metric) for row in rows() if row.bold is not None}
    assert told == {(table, metric) for table in (2, 4, 5) for metric in ("ssim", "lpips")}
    bold = [(r.table, r.block, r.row_label, r.metric) for r in rows() if r.bold]
    assert bold == [
        (2, "CelebA", "Ours", "ssim"),
        (2, "CelebA", "Ours", "lpips"),
        (2, "CelebA-HQ", "L1", "ssim"),
        (2, "CelebA-HQ", "Ours", "lpips"),
        (4, "CelebA", "Ours", "ssim"),
        (4, "CelebA", "Ours", "lpips"),
        (5, "CIFAR10", "Ours", "ssim"),
        (5, "CIFAR10", "Ours", "lpips"),
    ]


@pytest.mark.parametrize(
    ("table", "block", "label", "metric", "text"),
    [
        (2, "CelebA", "L1", "lpips", "0.176 ± 0.064"),
        (2, "CelebA", "VGG", "ssim", "0.4439 ± 0.089"),
        (3, "HCP", "L1", "psnr", "18.95 ± 6.0"),
        (3, "HCP", "Ours", "ssim", "0.5209 ± 0.19"),
        (1, "C", "0.005", "fid_recon", "0.0340"),
        (6, "CelebA", "Ours", "nll_paper", "<-3062"),
    ],
)
def test_text_keeps_the_printed_digits(
    table: int, block: str, label: str, metric: str, text: str
) -> None:
    assert one(table, block, label, metric).text == text


def test_a_number_printed_twice_is_one_number() -> None:
    found: dict[tuple[str, str, str, str], set[float]] = {}
    for row in rows():
        found.setdefault((row.dataset, row.model, row.spec, row.metric), set()).add(row.value)
    assert all(len(values) == 1 for values in found.values())


def test_a_printed_value_is_an_interval_without_width() -> None:
    place = ("celeba64[split=80/20]", "conv4")
    assert published.value(*place, "blur", "fid_gen") == (0.0536, 0.0536, 0.0536)
    assert published.value("celebahq256", "conv4", "blur[size=41]", "psnr") == (20.17, 20.17, 20.17)
    assert published.value(*place, "sigma", "fid_gen") is None


def test_an_unknown_document_gets_one_sentence() -> None:
    hint = r"unknown document 'bredel' \(did you mean 'bredell'\?\)"
    with pytest.raises(HarnessError, match=hint):
        rows("bredel")


def test_reading_imports_neither_torch_nor_pandas() -> None:
    code = (
        "import sys; from harness.report import claims, published; published.rows();"
        "claims.claims(); print(sorted({'torch', 'pandas', 'numpy'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.fixture(scope="module")
def papers() -> Path:
    if "HARNESS_PAPERS" not in os.environ:
        pytest.skip("HARNESS_PAPERS names no folder with the documents")
    return Path(os.environ["HARNESS_PAPERS"])


def test_the_data_are_the_documents_cells_and_no_others(papers: Path) -> None:
    printed = bredell_cells((papers / FILES["bredell"]).read_text(encoding="utf-8"))
    printed += dalal_cells((papers / FILES["dalal"]).read_text(encoding="utf-8"))
    stored = [(r.document, r.table, r.block, r.row_label, r.metric, r.printed) for r in rows()]
    assert stored == printed  # order of tables, rows and columns included


def test_values_and_spreads_are_what_the_texts_say(papers: Path) -> None:
    for row in rows():
        value, spread = numbers(row.printed)
        assert (row.value, row.spread) == (value, spread), row.printed


def test_the_sharpness_report_prints_no_results(papers: Path) -> None:
    text = (papers / "sharpness-report.md").read_text(encoding="utf-8")
    tables = [line for line in text.splitlines() if "\t" in line or line.startswith("|")]
    # the eight filters, of 1, 0 and -1
    assert tables and set(re.findall(r"-?[\d.]+", " ".join(tables))) == {"0", "1", "-1"}


def bredell_cells(text: str) -> list[Cell]:
    """The cells of the Markdown tables, each table named by the caption that follows it."""
    found: list[Cell] = []
    pending: list[list[str]] = []
    for line in text.splitlines():
        if line.startswith("|"):
            pending.append([cell.strip() for cell in line.strip().strip("|").split("|")])
        elif pending and (caption := re.match(r"Table (\d+):", line)):
            found += table_cells(int(caption[1]), pending)
            pending = []
    assert not pending
    return found


def table_cells(table: int, lines: list[list[str]]) -> list[Cell]:
    header, _, *body = lines
    found, block = [], ""
    for line in body:
        # Watson's rows lack their empty first cell: their label stands in the dataset's column.
        cells = line if line[-1] else ["", *line[:-1]]
        block = cells[0] or block
        for head, cell in zip(header[2:], cells[2:], strict=True):
            found.append(("bredell", table, typeset(block), typeset(cells[1]), HEADERS[head], cell))
    return found


def dalal_cells(text: str) -> list[Cell]:
    """The lines with tabs between the table's head and its caption."""
    _, body = text.split("Reconstruction loss function\tPSNR\tSSIM\n")
    lines = [line.split("\t") for line in body.partition("\nTable 1:")[0].split("\n") if line]
    return [
        ("dalal", 1, "MNIST", typeset(label), metric, cell)
        for label, *cells in lines
        for metric, cell in zip(("psnr", "ssim"), cells, strict=True)
    ]


def typeset(markup: str) -> str:
    """LaTeX as the reader of the page sees it."""
    for command, sign in (
        (r"\\operatorname\{(\w+)\}", r"\1"),
        (r"\\mathcal\{(\w)\}", r"\1"),
        (r"\\epsilon", "ε"),
        (r"\\gamma", "γ"),
        (r"\\Sigma", "Σ"),
        (r"_\{(\w+)\}", r"_\1"),
        (r"\$", ""),
    ):
        markup = re.sub(command, sign, markup)
    return markup


def numbers(printed: str) -> tuple[float, float | None]:
    """A mean and a standard deviation out of `0.176±6.4e ⁻²` or `$0.4313 \\pm 1.7e^{-1}$`."""
    plain = printed.translate(str.maketrans("⁻¹²", "-12", "$<{}^ ")).replace(r"\pm", "±")
    mean, _, spread = plain.partition("±")
    return float(mean), float(spread) if spread else None
