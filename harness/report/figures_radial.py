"""Radial profiles of the log spectra against the data's, and the error by frequency band."""

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from harness.report.artefacts import Spectrum
from harness.report.collect import Cell, Group
from harness.report.drawing import QUIET, WIDE, Drawn, panel, style
from harness.report.figures_spectra import KINDS, difference, with_spectra
from harness.report.figures_tuning import panel_height
from harness.report.labels import Label, end_labels, room
from harness.report.palette import Look
from harness.report.table import Column, Entry, Row, Table, number

BANDS = {"low": (0.0, 1 / 6), "middle": (1 / 6, 1 / 3), "high": (1 / 3, 0.5)}


def frequencies(shape: tuple[int, int]) -> NDArray[np.float64]:
    """Return the radial frequency of every bin of a shifted spectrum, in cycles per pixel."""
    vertical, horizontal = (np.fft.fftshift(np.fft.fftfreq(side)) for side in shape)
    return np.hypot(vertical[:, None], horizontal[None, :])


def radial_mean(spectrum: Spectrum) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean over rings one bin wide, up to Nyquist (0.5 cycles per pixel)."""
    shape = (spectrum.shape[0], spectrum.shape[1])
    side = min(shape)
    ring = np.rint(frequencies(shape) * side).astype(int).ravel()
    total = np.bincount(ring, weights=spectrum.ravel())
    count = np.bincount(ring)
    last = side // 2 + 1
    return np.arange(last) / side, total[:last] / count[:last]


def radial_figure(group: Group, looks: dict[str, Look]) -> Drawn | None:
    """Draw the radial profile of the log spectrum minus the data's; None without spectra."""
    cells = with_spectra(group)
    if not cells:
        return None
    name = f"{group.slug}-radial"
    data = pd.concat([_profile(cell, kind) for cell in cells for kind in KINDS])
    with style(name):
        right, height = room([cell.label for cell in cells]), panel_height(len(cells))
        figure = Figure(figsize=(WIDE, height + 0.75))
        width = (WIDE - 0.97 - right) / 2
        recon = panel(figure, 0.62, 0.45, width, height)
        made = panel(figure, 0.97 + width, 0.45, width, height)
        made.sharey(recon)
        for axes, word in zip((recon, made), KINDS.values(), strict=True):
            ends = [_profile_line(axes, cell, data, word, looks[cell.label]) for cell in cells]
            _profile_axes(axes, word)
        recon.set_ylabel("log amplitude − data's")
        # Beside the line's end: curves may run above it and below.
        recon.annotate("data", (0.5, 0), xytext=(2, 0), textcoords="offset points", color=QUIET,
                       va="center_baseline", annotation_clip=False)  # fmt: skip
        made.tick_params(labelleft=False)
        end_labels(made, [end for end in ends if math.isfinite(end.y)])
    alt = (
        f"Radial profile of the log spectrum of {len(cells)} losses minus the data's on "
        f"{group.title}: below zero, detail is missing."
    )
    return Drawn(name, figure, alt, data)


def _profile_axes(axes: Axes, word: str) -> None:
    axes.axhline(0, color=QUIET, linewidth=1.0, linestyle=(0, (3, 2)), zorder=1)
    axes.set_title(word)
    axes.set_xlim(0, 0.5)
    axes.set_xlabel("frequency (cycles per pixel)")


def _profile(cell: Cell, kind: str) -> pd.DataFrame:
    shape = cell.pictures[0].spectra["spectrum_data"].shape
    profiles = np.stack(
        [
            radial_mean(each.spectra[kind] - each.spectra["spectrum_data"])[1]
            for each in cell.pictures
            if kind in each.spectra and each.spectra[kind].shape == shape
        ]
    )
    seeds = len(profiles)
    spread = profiles.std(axis=0, ddof=1) if seeds > 1 else np.full(profiles.shape[1], np.nan)
    return pd.DataFrame(
        {
            "loss": cell.label,
            "images": KINDS[kind],
            "frequency": radial_mean(difference(cell, kind))[0],
            "log_amplitude_minus_data": profiles.mean(axis=0),
            "std_over_seeds": spread,
            "seeds": seeds,
        }
    )


def _profile_line(axes: Axes, cell: Cell, data: pd.DataFrame, word: str, look: Look) -> Label:
    rows = data[(data["loss"] == cell.label) & (data["images"] == word)]
    x, y, spread = rows["frequency"], rows["log_amplitude_minus_data"], rows["std_over_seeds"]
    if spread.notna().all():
        axes.fill_between(x, y - spread, y + spread, color=look.colour, alpha=0.2, linewidth=0)
    axes.plot(x, y, color=look.colour, dashes=look.dash or (None, None))
    return Label(cell.label, float(x.iloc[-1]), float(y.iloc[-1]), look)


def band_table(group: Group) -> Table | None:
    """Return the mean spectral difference to the data per frequency band; None without spectra."""
    cells = with_spectra(group)
    if not cells:
        return None
    columns = tuple(
        Column(f"{kind}_{band}", f"{word}, {band}")
        for kind, word in KINDS.items()
        for band in BANDS
    )
    return Table(
        f"{group.slug}-bands",
        f"Error by frequency band, {group.title}",
        "Mean S(x) − S(data) of log amplitudes within rings up to 1/6, 1/3 and 1/2 cycles per "
        "pixel: negative is detail that is missing, positive is detail that is not in the data. "
        "First stored seed.",
        columns,
        tuple(Row(cell.label, _band_entries(cell), cell.label) for cell in cells),
    )


def _band_entries(cell: Cell) -> tuple[Entry, ...]:
    height, width = cell.pictures[0].spectra["spectrum_data"].shape
    radius = frequencies((height, width))
    rings = [(radius > low) & (radius <= high) for low, high in BANDS.values()]
    values = [float(difference(cell, kind)[ring].mean()) for kind in KINDS for ring in rings]
    return tuple(Entry(number(value, 3), value) for value in values)
