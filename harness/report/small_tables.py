"""The tables of the later sections: the tuning, the price, the protocol."""

import math

import pandas as pd

from harness.metrics import METRICS
from harness.report.collect import Cell, Group
from harness.report.figures_tuning import best_of
from harness.report.main_table import COST_DECIMALS, REFERENCE, beta_entry, cost_entries
from harness.report.means import HARDWARE, estimate
from harness.report.table import Column, Entry, Row, Table, even, number, plural, significant


def tuning_table(group: Group) -> Table | None:
    """Return trials spent, best β and best objective per loss; None where β was fixed."""
    cells = [cell for cell in group.cells if len(cell.tunes) and not cell.stale]
    if not cells:
        return None
    metric = METRICS[group.objective]
    columns = (
        Column("trials", "Trials ok"),
        Column("beta_low", "β lowest"),
        Column("beta_high", "β highest"),
        Column("beta", "β tuned"),
        Column("beta_source", "β in the source's scale"),
        Column(metric.name, f"{metric.label} of the best trial", metric.unit, metric.direction),
        Column("trouble", "Trials not ok", text=True),
    )
    rows = tuple(Row(c.label, _tuning_entries(c, group.objective), c.label) for c in cells)
    return Table(
        f"{group.slug}-tuning",
        f"Trials, {group.title}",
        "On the selection split with the tuning budget; † at a bound of the range.",
        columns,
        rows,
    )


def _tuning_entries(cell: Cell, objective: str) -> tuple[Entry, ...]:
    ok = cell.tunes[cell.tunes["status"] == "ok"]
    counts = cell.tunes["status"].value_counts()
    trouble = ", ".join(
        f"{name.replace('_', ' ')} {count}" for name, count in counts.items() if name != "ok"
    )
    values = best_of(ok[objective].dropna(), objective)
    best = float(values.iloc[-1]) if len(values) else math.nan
    low, high = (float(x) if len(ok) else math.nan for x in (ok["beta"].min(), ok["beta"].max()))
    source = cell.finals["beta_source"].dropna()
    native = float(source.iloc[0]) if len(source) else math.nan
    return (
        Entry(f"{len(ok)}/{max(cell.trials, len(cell.tunes))}", len(ok)),
        Entry(significant(low), low),
        Entry(significant(high), high),
        beta_entry(cell) if cell.measured else Entry(),
        Entry(significant(native), native),
        Entry(number(best, METRICS[objective].decimals), best),
        Entry(trouble or "none"),
    )


def price_table(group: Group) -> Table | None:
    """Return time, memory, parameters and hours per loss; None without final models."""
    if not group.measured:
        return None
    reference = group.cell(REFERENCE)
    time = Column("step_time", "Step time", f"× {REFERENCE}", "minimize")
    plain = Column("seconds_per_1000", "Time / 1,000 images", "s", "minimize")
    columns = (
        Column("images_per_second", "Images / s", "", "maximize"),
        time if reference else plain,
        Column("peak_memory_mib", "Peak memory", "MiB", "minimize"),
        Column("parameters_loss", "Parameters added"),
        Column("hours_tuning", "Tuning", "h"),
        Column("hours_final", "Final training", "h"),
    )
    rows = tuple(Row(c.label, _price_entries(c, reference), c.label) for c in group.measured)
    return Table(
        f"{group.slug}-price",
        f"Time and memory, {group.title}",
        _hardware(group),
        columns,
        even(rows, dict(enumerate(COST_DECIMALS, 1))),
    )


def _price_entries(cell: Cell, reference: Cell | None) -> tuple[Entry, ...]:
    added = cell.finals["parameters_loss"].dropna()
    parameters = float(added.iloc[0]) if len(added) else math.nan
    speed = estimate(cell, "images_per_second").mean
    return (
        Entry(number(speed, 0), speed),
        *cost_entries(cell, reference),
        Entry(number(parameters, 0), parameters),
        *(_hours(rows) for rows in (cell.tunes, cell.attempts)),
    )


def _hours(rows: pd.DataFrame) -> Entry:
    seconds = pd.concat([rows["seconds"], rows["seconds_evaluate"]]).dropna()
    hours = float(seconds.sum()) / 3600
    return Entry(significant(hours), hours)


def _hardware(group: Group) -> str:
    finals = pd.concat([cell.finals for cell in group.measured])
    kinds = finals[HARDWARE].drop_duplicates()
    names = [
        f"{row.device_name or 'unknown device'}, {row.precision or 'unknown precision'}"
        + ("" if pd.isna(row.threads) else f", {plural(int(row.threads), 'thread')}")
        for row in kinds.itertuples()
    ]
    warning = "" if len(names) == 1 else " Ratios are taken only on equal hardware."
    if finals.groupby("cell").size().max() == 1:
        warning += " One timing each: whatever else the machine did is in it."
    return f"Training throughput of the final models on {'; '.join(names)}.{warning}"


def protocol_table(groups: list[Group]) -> Table:
    """Return the protocol: one column where all cells share it, else one per group."""
    shared = all(cell.protocol == groups[0].protocol for g in groups for cell in g.cells)
    shown = groups[:1] if shared else groups
    keys = list(dict.fromkeys(key for group in shown for key in group.protocol))
    columns = tuple(
        Column(group.slug, "Value" if shared else group.title, text=True) for group in shown
    )
    rows = tuple(Row(key, tuple(Entry(_setting(g, key)) for g in shown)) for key in keys)
    return Table("protocol", "Protocol", "", columns, rows, first="Setting")


def _setting(group: Group, key: str) -> str:
    values = [_plain(cell.protocol.get(key)) for cell in group.cells]
    kinds = list(dict.fromkeys(values))
    if len(kinds) == 1:
        return kinds[0]
    pairs = zip(group.cells, values, strict=True)
    return "; ".join(f"{cell.label}: {value}" for cell, value in pairs)


def _plain(value: object) -> str:
    if isinstance(value, list | tuple):
        return " to ".join(map(_plain, value))
    if isinstance(value, float):
        return f"{value:.6g}"
    return "none" if value is None else str(value)
