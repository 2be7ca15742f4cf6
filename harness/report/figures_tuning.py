"""β against the objective, the best of k trials, and training curves."""

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from harness.metrics import METRICS
from harness.report.collect import Cell, Group
from harness.report.drawing import INK, WIDE, Drawn, log_axis, panel, style
from harness.report.labels import HEIGHT, Label, end_labels, room
from harness.report.palette import Look

HEIGHT_MIN = 2.1  # inches of a panel; more where the labels need it


def metric_label(metric: str) -> str:
    """Return an axis label with its unit."""
    unit = METRICS[metric].unit
    return METRICS[metric].label + (f" ({unit})" if unit else "")


def panel_height(labels: int) -> float:
    """Return the inches a panel needs for so many end labels."""
    return max(HEIGHT_MIN, labels * HEIGHT / 72)


def trials(group: Group) -> list[tuple[Cell, pd.DataFrame]]:
    """Return the ok trials with a β and a finite objective of every cell that has some."""
    found = []
    for cell in group.cells:
        if cell.stale or cell.tunes.empty:
            continue
        ok = cell.tunes[cell.tunes["status"] == "ok"].dropna(subset=["beta", group.objective])
        if len(ok):
            found.append((cell, ok))
    return found


def tuning_figure(group: Group, looks: dict[str, Look]) -> Drawn | None:
    """Draw objective against β, and the best of the first k trials; None without trials."""
    found = trials(group)
    if not found:
        return None
    metric, name = group.objective, f"{group.slug}-tuning"
    with style(name):
        right, height = room([cell.label for cell, _ in found]), panel_height(len(found))
        figure = Figure(figsize=(WIDE, height + 0.6))
        width = (WIDE - 0.62 - 0.3 - right) / 2
        left = panel(figure, 0.62, 0.45, width, height)
        best = panel(figure, 0.62 + width + 0.3, 0.45, width, height)
        best.sharey(left)
        for cell, rows in found:
            _beta_curve(left, rows, metric, looks[cell.label])
        labels = [_best_curve(best, cell, rows, metric, looks[cell.label]) for cell, rows in found]
        _finish(left, best, metric, found)
        end_labels(best, labels)
    alt = (
        f"{METRICS[metric].label} on the {group.protocol.get('select_on') or 'validation'} split "
        f"against β for {len(found)} losses on {group.title}, and the best value after k trials."
    )
    return Drawn(name, figure, alt, _trial_data(found, metric))


def _beta_curve(axes: Axes, rows: pd.DataFrame, metric: str, look: Look) -> None:
    ordered = rows.sort_values("beta")
    axes.plot(
        ordered["beta"],
        ordered[metric],
        **look.line(),
        marker=look.marker,
        linewidth=0.9,
        markeredgewidth=0,
    )
    best = rows.loc[best_index(rows, metric)]
    axes.plot(
        best["beta"],
        best[metric],
        look.marker,
        markersize=6.5,
        markerfacecolor=look.colour,
        markeredgecolor=INK,
        markeredgewidth=1.0,
    )


def best_index(rows: pd.DataFrame, metric: str) -> int:
    """Return the index label of the best trial."""
    values = rows[metric]
    up = METRICS[metric].direction == "maximize"
    return int(values.idxmax() if up else values.idxmin())


def best_of(values: pd.Series, metric: str) -> pd.Series:
    """Return the best value after 1, 2, … trials."""
    return values.cummax() if METRICS[metric].direction == "maximize" else values.cummin()


def _best_curve(axes: Axes, cell: Cell, rows: pd.DataFrame, metric: str, look: Look) -> Label:
    best = best_of(rows[metric], metric)
    k = rows["trial"] + 1
    axes.step(k, best, where="post", **look.line())
    axes.plot(k.iloc[-1], best.iloc[-1], look.marker, color=look.colour, markeredgewidth=0)
    return Label(cell.label, float(k.iloc[-1]), float(best.iloc[-1]), look)


def _finish(left: Axes, best: Axes, metric: str, found: list[tuple[Cell, pd.DataFrame]]) -> None:
    values = pd.concat([rows[metric] for _, rows in found])
    betas = pd.concat([rows["beta"] for _, rows in found])
    if (betas > 0).all():
        left.set_xlim(betas.min() / 1.6, betas.max() * 1.6)
        log_axis(left, "x")
    if (values > 0).all() and values.max() / values.min() > 10:
        left.set_ylim(values.min() / 1.2, values.max() * 1.2)
        log_axis(left, "y")
    left.set_xlabel("β")
    left.set_ylabel(metric_label(metric))
    best.set_xlabel("trials k, best so far")
    best.xaxis.set_major_locator(MaxNLocator(integer=True))
    best.tick_params(labelleft=False)


def _trial_data(found: list[tuple[Cell, pd.DataFrame]], metric: str) -> pd.DataFrame:
    columns = ["trial", "beta", metric, "kl", "psnr", "mse"]
    kept = list(dict.fromkeys(columns))
    return pd.concat([rows[kept].assign(loss=cell.label) for cell, rows in found])[["loss", *kept]]


def training_figure(group: Group, looks: dict[str, Look]) -> Drawn | None:
    """Draw the course of energy and KL over the epochs, first seed; None without curves."""
    data = _curve_data(group)
    if data.empty:
        return None
    name = f"{group.slug}-training"
    labels = list(dict.fromkeys(data["loss"]))
    with style(name):
        height = panel_height(len(labels))
        figure = Figure(figsize=(WIDE, height + 0.6))
        width = (WIDE - 0.62 - 0.75 - room(labels)) / 2
        energy = panel(figure, 0.62, 0.45, width, height)
        kl = panel(figure, 0.62 + width + 0.75, 0.45, width, height)
        ends = []
        for label, rows in data.groupby("loss", sort=False):
            look = looks[str(label)]
            line = look.line() | {"marker": look.marker if len(rows) < 12 else ""}
            energy.plot(rows["epoch"], rows["energy_left"], **line)
            kl.plot(rows["epoch"], rows["kl"], **line)
            ends.append(Label(str(label), rows["epoch"].iloc[-1], rows["kl"].iloc[-1], look))
        energy.set_ylabel("energy above its lowest (share of first)")
        kl.set_ylabel("KL (nats per image)")
        for axes in (energy, kl):
            axes.set_xlabel("epoch")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if data["kl"].min() > 0 and data["kl"].max() > 20 * data["kl"].min():
            log_axis(kl, "y")
        end_labels(kl, [end for end in ends if math.isfinite(end.y)])
    alt = f"Reconstruction energy and KL per training epoch of {len(labels)} losses, {group.title}."
    return Drawn(name, figure, alt, data)


def _curve_data(group: Group) -> pd.DataFrame:
    """Energies have the unit of their loss, so each is drawn as a share of its own fall."""
    frames = []
    for cell in group.measured:
        row = cell.finals.iloc[0]
        if row["curve_epoch"] is None or len(row["curve_epoch"]) < 2:
            continue
        energy = np.asarray(row["curve_energy"], dtype=float)
        energy = np.where(np.isfinite(energy), energy, np.nan)
        lowest = pd.Series(energy).min()  # NaN where none is known
        fall = (energy - lowest) / ((energy[0] - lowest) or 1.0)
        frames.append(
            pd.DataFrame(
                {
                    "loss": cell.label,
                    "seed": int(row["seed"]),
                    "epoch": np.asarray(row["curve_epoch"], dtype=float),
                    "energy": energy,
                    "energy_left": fall,
                    "kl": np.asarray(row["curve_kl"], dtype=float),
                }
            )
        )
    return pd.concat(frames) if frames else pd.DataFrame()
