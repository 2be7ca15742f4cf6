"""The page: one HTML file that needs nothing else, rendered from the stored rows."""

from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup, escape

from harness.errors import HarnessError
from harness.merged import MergedStore
from harness.report import CLAIMS, Rendered, ledger
from harness.report.advantage import is_learned
from harness.report.collect import Group, collect
from harness.report.drawers import Desk, Drawings, Hands, draw, hired
from harness.report.latex import readable
from harness.report.palette import BLACK, looks
from harness.report.templates import environment, source
from harness.store import Store
from harness.terminal.wording import report_command

FEWEST = 3  # groups from which on other processes, which import Matplotlib first, save time


def write(store: Store, out: Path, workers: int = 1) -> Rendered:
    """Render the report of `store` to `out`; see `harness.report.render`."""
    grid = store.grid()
    places = {(each["dataset"], each["model"]) for each in grid.get("cells", [])}
    with hired(workers if len(places) >= FEWEST else 1) as hands:
        groups = collect(MergedStore(store.root), grid)
        try:
            return _write(grid, groups, out, hands)
        except OSError as error:
            raise HarnessError(
                f"cannot write the report to {out} ({error.strerror}): "
                "choose another folder or change its permissions"
            ) from error


def check(store: Store, committed: Path) -> list[str]:
    """Return which verdicts differ from a committed ledger; see `harness.report.check`."""
    return ledger.changed(ledger.judge(collect(store, store.grid())), committed)


def _write(grid: dict[str, Any], groups: list[Group], out: Path, hands: Hands) -> Rendered:
    for folder in ("tables", "figures"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    palette = looks(cell.label for group in groups for cell in group.cells)
    drawn = draw(Desk(groups, palette, out), hands)
    # Without a claim too, as a header alone: `check` compares with it.
    (out / CLAIMS).write_text(ledger.to_csv(drawn.judged), encoding="utf-8")
    page = out / "index.html"
    page.write_text(_html(grid, drawn, palette), encoding="utf-8")
    sentences = [sentence for each in drawn.sections for sentence in each.sentences]
    return Rendered(
        page, [page, *drawn.files, out / CLAIMS], "\n".join(sentences) or "The grid has no cells."
    )


def _html(grid: dict[str, Any], drawn: Drawings, palette: dict[str, Any]) -> str:
    groups = [each.group for each in drawn.sections]
    templates = environment()
    templates.filters |= {"code": code, "readable": readable}
    return templates.get_template("page.html").render(
        grid=grid,
        report_command=report_command(grid["name"], Path(grid.get("results", "results"))),
        sections=drawn.sections,
        looks=palette,
        black=BLACK,
        learned={cell.label for each in groups for cell in each.cells if is_learned(cell.loss)},
        every=drawn.whole,
        figures=drawn.figures,
        claims=drawn.judged,
        verdicts=ledger.counts(drawn.judged),
        made=_made(groups),
        failures=_failures(groups),
        css=source("page.css"),
        js=source("page.js"),
    )


def code(sentence: str) -> Markup:
    """Return a sentence as HTML, what stands in backquotes as code."""
    parts = sentence.split("`")
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if index % 2 else escape(part)
        for index, part in enumerate(parts)
    )


def _made(groups: list[Group]) -> list[tuple[str, str]]:
    """Where the rows come from: versions, devices, data and the time of the last row."""
    frames = [rows for g in groups for c in g.cells for rows in (c.tunes, c.attempts) if len(rows)]
    if not frames:
        return []
    rows = pd.concat(frames)
    facts = [
        ("harness", _each(rows["harness_version"])),
        ("torch", _each(rows["torch_version"])),
        ("Python", _each(rows["python_version"])),
        ("Device", _each(rows["device_name"])),
        ("Precision", _each(rows["precision"])),
        ("Source digests", _each(rows["source_digest"].dropna().str.partition("-")[0])),
    ]
    for group in groups:
        own = [each["data_hash"] for c in group.cells for each in (c.tunes, c.attempts)]
        hashes = _each(pd.concat(own)) if own else ""
        facts.append((f"Data of {group.title}", hashes))
    facts.append(("Rows stored", f"{rows['created'].min()} to {rows['created'].max()} (UTC)"))
    return [(term, text) for term, text in facts if text]


def _each(values: pd.Series) -> str:
    return ", ".join(sorted({str(value) for value in values.dropna()}))


def _failures(groups: list[Group]) -> list[tuple[str, str, str, tuple[str, ...]]]:
    """Every cell that is not wholly ok: group, loss, state and the stored causes."""
    return [
        (group.title, cell.label, cell.state or "ok, with trials that failed", cell.causes)
        for group in groups
        for cell in group.cells
        if cell.state or cell.causes
    ]
