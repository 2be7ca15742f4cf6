"""Mean log spectra, laid out as Figure 6 of Bredell et al. (2023), and their radial profiles."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from harness.report.artefacts import Spectrum
from harness.report.collect import Cell, Group
from harness.report.drawing import LINE, QUIET, WIDE, Drawn, panel, short, style
from harness.report.figures_tuning import panel_height
from harness.report.labels import Label, end_labels, room
from harness.report.palette import Look
from harness.report.table import Column, Entry, Row, Table, number

ACROSS = 6  # losses side by side before the figure goes on below
MOST = 36  # losses drawn; the tables have all
KINDS = {"spectrum_recon": "reconstructed", "spectrum_gen": "generated"}
BANDS = {"low": (0.0, 1 / 6), "middle": (1 / 6, 1 / 3), "high": (1 / 3, 0.5)}


def with_spectra(group: Group) -> list[Cell]:
    """Return the cells that stored all three spectra in the shape of the first one's."""
    cells = [
        cell for cell in group.measured if cell.pictures and len(cell.pictures[0].spectra) == 3
    ]
    shapes = [cell.pictures[0].spectra["spectrum_data"].shape for cell in cells]
    return [c for c, shape in zip(cells, shapes, strict=True) if shape == shapes[0]][:MOST]


def difference(cell: Cell, kind: str, seed: int = 0) -> Spectrum:
    """Return S(x) - S(data) of the cell's `seed`-th stored pictures; negative is lost detail."""
    spectra = cell.pictures[seed].spectra
    return spectra[kind] - spectra["spectrum_data"]


def spectra_figure(group: Group) -> Drawn | None:
    """Draw the spectra: reconstructions above, samples below, the data at the right."""
    cells = with_spectra(group)
    if not cells:
        return None
    name = f"{group.slug}-spectra"
    blocks = [cells[start : start + ACROSS] for start in range(0, len(cells), ACROSS)]
    shape = cells[0].pictures[0].spectra["spectrum_data"].shape
    columns = min(len(cells), ACROSS) + 1
    side = min(1.15, (WIDE - 0.95) / columns - 0.06)
    tall = side * shape[0] / shape[1]
    block = 2 * (tall + 0.2) + 0.32
    scale = _scale(cells)
    with style(name):
        width = min(WIDE, columns * (side + 0.06) + 0.95)
        figure = Figure(figsize=(WIDE if width > 3.4 else 3.25, block * len(blocks) + 0.05))
        for index, members in enumerate(blocks):
            bottom = block * (len(blocks) - 1 - index) + 0.05
            _block(figure, members, bottom, side, tall, scale)
        right = 0.24 + columns * (side + 0.06) + 0.06
        bar = panel(figure, right, block * (len(blocks) - 1) + 0.25, 0.09, 2 * tall + 0.2)
        colours = figure.colorbar(ScalarMappable(scale, "magma"), cax=bar)
        colours.set_label("mean log amplitude")
        colours.outline.set_linewidth(0)  # type: ignore[operator]
    values = "; ".join(
        f"{cell.label} {_mean(cell, 'spectrum_recon')} and {_mean(cell, 'spectrum_gen')}"
        for cell in cells
    )
    alt = (
        f"Mean log spectra on {group.title}. Mean absolute difference to the data of "
        f"reconstructions and samples: {values}."
    )
    return Drawn(name, figure, alt, _spectra_data(cells))


def _scale(cells: Sequence[Cell]) -> Normalize:
    """One colour scale for all panels; the extreme percent of pixels may saturate."""
    every = np.concatenate([s.ravel() for c in cells for s in c.pictures[0].spectra.values()])
    low, high = np.percentile(every[np.isfinite(every)], [0.5, 99.5])
    return Normalize(float(low), float(high))


def _block(
    figure: Figure, cells: Sequence[Cell], bottom: float, side: float, tall: float, scale: Normalize
) -> None:
    for row, (kind, word) in enumerate(KINDS.items()):
        base = bottom + (1 - row) * (tall + 0.2) + 0.18
        for column, cell in enumerate(cells):
            axes = panel(figure, 0.24 + column * (side + 0.06), base, side, tall)
            _image(axes, cell.pictures[0].spectra[kind], scale)
            axes.set_xlabel(f"|Δ| {_mean(cell, kind)}", labelpad=2)
            if row == 0:
                axes.set_title(_fit(cell.label, side), pad=3)
            if column == 0:
                axes.set_ylabel(word, labelpad=3)
    data = panel(
        figure, 0.24 + len(cells) * (side + 0.06), bottom + tall + 0.38, side, tall
    )
    _image(data, cells[0].pictures[0].spectra["spectrum_data"], scale)
    data.set_title("data", pad=3)


def _fit(text: str, inches: float) -> str:
    letters = max(4, int(inches * 72 / 5.2))
    return text if len(text) <= letters else text[: letters - 1] + "…"


def _image(axes: Axes, spectrum: Spectrum, scale: Normalize) -> None:
    axes.imshow(spectrum, cmap="magma", norm=scale, interpolation="none")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _mean(cell: Cell, kind: str) -> str:
    return number(float(np.abs(difference(cell, kind)).mean()), 2)


def _spectra_data(cells: Sequence[Cell]) -> pd.DataFrame:
    rows = [
        (cell.label, word, float(np.abs(delta).mean()), float(delta.mean()))
        for cell in cells
        for kind, word in KINDS.items()
        for delta in [difference(cell, kind)]
    ]
    return pd.DataFrame(
        rows, columns=["loss", "images", "mean_abs_difference", "mean_difference"]
    )


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
        right = room([cell.label for cell in cells])
        height = panel_height(len(cells))
        figure = Figure(figsize=(WIDE, height + 0.75))
        width = (WIDE - 0.62 - 0.25 - right) / 2
        first: Axes | None = None
        for index, (kind, word) in enumerate(KINDS.items()):
            axes = panel(figure, 0.62 + index * (width + 0.25), 0.45, width, height)
            ends = [_profile_line(axes, cell, data, word, looks[cell.loss]) for cell in cells]
            axes.axhline(0, color=QUIET, linewidth=1.0, linestyle=(0, (3, 2)), zorder=1)
            axes.set_title(word)
            axes.set_xlim(0, 0.5)
            axes.set_xlabel("frequency (cycles per pixel)")
            if first is None:
                first = axes
                axes.set_ylabel("log amplitude − data's")
                axes.annotate("data", (0.01, 0), xytext=(0, 2), textcoords="offset points")
            else:
                axes.sharey(first)
                axes.autoscale_view()
                axes.tick_params(labelleft=False)
                end_labels(axes, [end for end in ends if math.isfinite(end.y)])
    alt = (
        f"Radial profile of the log spectrum of {len(cells)} losses minus the data's on "
        f"{group.title}: below zero, detail is missing."
    )
    return Drawn(name, figure, alt, data)


def _profile(cell: Cell, kind: str) -> pd.DataFrame:
    shape = cell.pictures[0].spectra["spectrum_data"].shape
    seeds = [
        index
        for index, each in enumerate(cell.pictures)
        if kind in each.spectra and each.spectra[kind].shape == shape
    ]
    profiles = np.stack([radial_mean(difference(cell, kind, seed))[1] for seed in seeds])
    spread = profiles.std(axis=0, ddof=1) if len(seeds) > 1 else np.full(profiles.shape[1], np.nan)
    return pd.DataFrame(
        {
            "loss": cell.label,
            "images": KINDS[kind],
            "frequency": radial_mean(difference(cell, kind))[0],
            "log_amplitude_minus_data": profiles.mean(axis=0),
            "std_over_seeds": spread,
            "seeds": len(seeds),
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
    radius = frequencies(cells[0].pictures[0].spectra["spectrum_data"].shape)  # type: ignore[arg-type]
    columns = tuple(
        Column(f"{kind}_{band}", f"{word}, {band}")
        for kind, word in KINDS.items()
        for band in BANDS
    )
    rows = tuple(
        Row(
            cell.label,
            tuple(
                Entry(number(value, 3), value)
                for kind in KINDS
                for low, high in BANDS.values()
                for value in [
                    float(difference(cell, kind)[(radius > low) & (radius <= high)].mean())
                ]
            ),
            cell.loss,
        )
        for cell in cells
    )
    return Table(
        f"{group.slug}-bands",
        f"Error by frequency band, {group.title}",
        "Mean S(x) − S(data) of log amplitudes within rings up to 1/6, 1/3 and 1/2 cycles per "
        "pixel: negative is detail that is missing, positive is detail that is not in the data. "
        "First stored seed.",
        columns,
        rows,
    )
