"""The main table of a group: losses as rows, β, metrics and cost as columns."""

import math
from dataclasses import replace

import pandas as pd

from harness.metrics import METRICS
from harness.metrics import Table as Kind
from harness.report.advantage import home, optimised
from harness.report.collect import Cell, Group
from harness.report.means import Estimate, estimate, single_seeds, step_ratio
from harness.report.measures import Measure, measures
from harness.report.notes import caption, notes
from harness.report.table import Column, Entry, Row, Table, even, significant
from harness.report.ties import Ranking, rank

FLOORS = {"psnr": "psnr_mean_image", "ssim": "ssim_mean_image"}
REFERENCE = "l2"
COST_DECIMALS = (2, 0)  # of step time and memory


def main_table(group: Group) -> Table:
    """Return the group's main table with the floor first."""
    columns = measures(group)
    rankings = {each: _ranking(group, each) for each in columns}
    reference = group.cell(REFERENCE)
    heads = [
        Column("seeds", "Seeds"),
        Column("beta", "β", "tuned" if group.protocol.get("beta") is None else "fixed"),
        *(_head(each) for each in columns),
        *_cost_heads(reference),
    ]
    rows = [_row(cell, columns, rankings, reference, len(heads)) for cell in group.cells]
    places = _decimals(columns, start=2) | dict(enumerate(COST_DECIMALS, len(heads) - 2))
    floor = _floor(group, columns, len(heads))
    return Table(
        name=group.slug,
        title=group.title,
        caption=caption(group),
        columns=tuple(heads),
        rows=even([*([floor] if floor else []), *rows], places),
        notes=notes(group, columns, list(rankings.values())),
    )


FURTHER: dict[Kind, str] = {
    "reconstruction": "Reconstructions, further measures",
    "likelihood": "Likelihood and rate",
    "distribution": "Distances between sets, further measures",
    "sharpness": "Sharpness and spectra",
}


def further_table(group: Group, kind: Kind) -> Table | None:
    """Return one of the tables that hold what the main table leaves out; None where it is empty."""
    columns = measures(group, kind)
    if not columns:
        return None
    rankings = {each: _ranking(group, each) for each in columns}
    rows = [
        Row(
            cell.label,
            tuple(_entry(cell, each, rankings[each]) for each in columns),
            cell.label,
            badge=cell.state,
            marks="" if cell.whole else "§",
        )
        for cell in group.measured
    ]
    title = f"{FURTHER[kind]}, {group.title}"
    heads = tuple(_head(each) for each in columns)
    lines = notes(group, columns, list(rankings.values()), marks=False)
    level = even(rows, _decimals(columns))
    return Table(f"{group.slug}-{kind}", title, caption(group), heads, level, notes=lines)


def _decimals(columns: list[Measure], start: int = 0) -> dict[int, int]:
    """Place of a measure among the columns -> the decimals it is printed with."""
    return {place: METRICS[each.metric].decimals for place, each in enumerate(columns, start)}


def _ranking(group: Group, measure: Measure) -> Ranking:
    """Rank within one signature; a cell measured with several is in none."""
    cells = [c for c in group.measured if len(measure.rows(c)) == len(c.finals)]
    return rank(tuple(cells), measure.metric)


def _head(measure: Measure) -> Column:
    metric = METRICS[measure.metric]
    return Column(metric.name, metric.label, metric.unit, metric.direction, measure.detail)


def _cost_heads(reference: Cell | None) -> tuple[Column, ...]:
    memory = Column("peak_memory_mib", "Memory", "MiB", "minimize")
    if reference is None:
        return (Column("seconds_per_1000", "Time / 1,000 images", "s", "minimize"), memory)
    return (Column("step_time", "Step time", f"× {REFERENCE}", "minimize"), memory)


def _row(
    cell: Cell,
    columns: list[Measure],
    rankings: dict[Measure, Ranking],
    reference: Cell | None,
    width: int,
) -> Row:
    anchor = f"cell-{cell.id}"
    if not cell.measured:
        return Row(cell.label, (), cell.label, anchor, statement=cell.state or "not run")
    entries = (
        Entry(f"{len(cell.finals)}/{cell.seeds}", len(cell.finals)),
        beta_entry(cell),
        *(_entry(cell, each, rankings[each]) for each in columns),
        *cost_entries(cell, reference),
    )
    coupled = bool(cell.finals["batch_coupled"].fillna(False).astype(bool).any())
    marks = ("‡" if coupled else "") + ("" if cell.whole else "§")
    return Row(cell.label, entries, cell.label, anchor, badge=cell.state, marks=marks)


def beta_entry(cell: Cell) -> Entry:
    """Return the β of the final models, marked † at a bound."""
    beta = float(cell.finals["beta"].iloc[0])
    flag = cell.finals["beta_flag"].dropna()
    if flag.empty:
        return Entry(significant(beta), beta)
    note = f"tuned β lies at the {flag.iloc[0]} end of its range"
    return Entry(significant(beta), beta, marks="†", note=note)


def _entry(cell: Cell, measure: Measure, ranking: Ranking) -> Entry:
    found = measure.estimate(cell)
    if not found.known:
        missing = len(measure.rows(cell)) == 0 and measure.detail
        return Entry(note="measured with another signature" if missing else "no finite value")
    shaded = home(cell, measure.metric)
    seeds = single_seeds(measure.rows(cell), measure.metric)
    parts = (_why(cell, measure.metric, shaded), f"seeds: {seeds}" if seeds else "")
    return replace(
        _unrounded(found),
        bold=cell in ranking.bold,
        shaded=shaded,
        note="; ".join(filter(None, parts)),
    )


def _unrounded(found: Estimate) -> Entry:
    """An entry whose texts `even` gives it together with its column."""
    return Entry(value=found.mean, spread_value=found.spread)


def _why(cell: Cell, metric: str, shaded: bool) -> str:
    if shaded:
        return f"home advantage: {cell.loss} was trained with this metric's network; not ranked"
    if not cell.whole:
        return "mean of the seeds that survived; not ranked"
    if optimised(cell, metric):
        return f"{cell.loss} optimises this metric's formula itself"
    return ""


def cost_entries(cell: Cell, reference: Cell | None) -> tuple[Entry, Entry]:
    """Return step time (over the reference's, or per 1,000 images) and peak memory.

    They have no texts before `even`, with `COST_DECIMALS`.
    """
    if reference is None:
        rows = (1000 / cell.finals["images_per_second"]).to_frame("seconds_per_1000")
        time = _unrounded(estimate(cell, "seconds_per_1000", rows))
    else:
        time = _unrounded(step_ratio(cell, reference))
    return time, _unrounded(estimate(cell, "peak_memory_mib"))


def _floor(group: Group, columns: list[Measure], width: int) -> Row | None:
    """The scores of predicting the mean training image: what a loss must beat."""
    values = {each: floor(group, each.metric) for each in columns}
    if not any(math.isfinite(value) for value in values.values()):
        return None
    entries = [
        Entry(value=value) if math.isfinite(value) else Entry("") for value in values.values()
    ]
    blank = Entry("")
    return Row("mean image (floor)", (blank, blank, *entries, blank, blank))


def floor(group: Group, metric: str) -> float:
    """Return the metric of predicting the mean training image, NaN where it has no floor."""
    column = FLOORS.get(metric)
    if column is None or not group.measured:
        return math.nan
    values = pd.concat([cell.finals[column] for cell in group.measured]).dropna()
    return float(values.mean()) if len(values) else math.nan
