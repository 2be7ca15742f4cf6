"""Where in frequency losses pull: the spectra of their gradients, as lines or as strips."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, LinearSegmentedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from numpy.typing import NDArray

from harness.probe.ladder import SHOWN
from harness.report.drawing import QUIET, log_axis, panel
from harness.report.labels import Label, end_labels
from harness.report.palette import looks

HEAD = 0.47  # inches for the names of columns
GRADIENT_OF = "blur"
POWERS = LinearSegmentedColormap.from_list("powers", ["#ffffff", "#9a9a9a", "#000000"])
POWER_SCALE = LogNorm(1 / 25, 25)
FAINTEST = 1e-3  # power at which lines end: rounding errors lie below
TITLE, SHORT = "spectrum of the gradient at blurred images", "gradient's spectrum"


Spectra = dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]


def gradient_spectra(frame: pd.DataFrame) -> Spectra:
    """Return frequencies and powers of the gradient of each loss at one perturbation."""
    rows = frame[
        (frame["perturbation"] == GRADIENT_OF)
        & (frame["level"] == SHOWN)
        & (frame["status"] == "ok")
    ]
    return {
        str(row["loss"]): (np.asarray(row["frequency"]), np.asarray(row["gradient_power"]))
        for _, row in rows.iterrows()
    }


def draw_lines(axes: Axes, spectra: Spectra, letter: str) -> None:
    """Draw a line per loss, its name at the end, as panel `letter`; for a few losses."""
    look = looks(spectra)
    ends = []
    for loss, (frequency, power) in spectra.items():
        # The mean's power is left out: blurring changes no mean.
        axes.plot(frequency[1:], power[1:], **look[loss].line())
        end = max(float(power[-1]), FAINTEST)
        ends.append(Label(loss, float(frequency[-1]), end, look[loss]))
    axes.axhline(1, color=QUIET, linewidth=0.8, linestyle=(0, (3, 2)), zorder=1)
    axes.set(xlim=(0, 0.5), xlabel="frequency (cycles per pixel)", ylabel="power, 1: the mean")
    log_axis(axes, "y")
    axes.set_ylim(bottom=max(FAINTEST, axes.get_ylim()[0]))
    title(axes, f"{letter}  {TITLE}", 0.06)
    end_labels(axes, [end for end in ends if np.isfinite(end.y)])


def draw_strips(axes: Axes, spectra: Spectra, losses: list[str], letter: str) -> None:
    """Draw a strip per loss, in the order of `losses`, as panel `letter`; for any number."""
    for y, loss in enumerate(losses):
        if loss not in spectra:
            continue
        frequency, power = spectra[loss]
        axes.imshow(
            np.maximum(power[None, 1:], FAINTEST),
            cmap=POWERS,
            norm=POWER_SCALE,
            aspect="auto",
            extent=(frequency[1] / 2, 0.5 + frequency[1] / 2, y + 0.46, y - 0.46),
        )
    axes.set(xlim=(0, 0.5), ylim=(len(losses) - 0.5, -0.5), yticks=[])
    axes.set_xticks([0, 0.25, 0.5], ["0", "0.25", "0.5"])
    bare(axes)
    axes.tick_params(length=2, pad=1)
    axes.set_xlabel("cycles per pixel", labelpad=1)
    title(axes, f"{letter}  {SHORT}")


def title(axes: Axes, text: str, above: float = HEAD + 0.03) -> None:
    """Write a panel's title so many inches above its left edge."""
    axes.annotate(
        text,
        (0, 1),
        xytext=(0, above * 72),
        xycoords="axes fraction",
        textcoords="offset points",
    )


def bare(axes: Axes) -> None:
    """Take the grid and the frame away."""
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(False)


def colour_bar(
    figure: Figure,
    place: tuple[float, float, float, float],
    colours: Colormap,
    scale: LogNorm,
    label: str,
) -> None:
    """Draw a horizontal scale at `place` in inches, ticks symmetric about 1."""
    axes = panel(figure, *place)
    bar = figure.colorbar(ScalarMappable(scale, colours), axes, orientation="horizontal")
    bar.outline.set_linewidth(0.4)
    low, high = float(scale.vmin or 1), float(scale.vmax or 1)
    ticks = [low, low**0.5, 1.0, high**0.5, high]
    bar.set_ticks(ticks, labels=[_fraction(tick) for tick in ticks])
    bar.ax.xaxis.set_minor_locator(NullLocator())
    bar.ax.tick_params(length=2, pad=1)
    bar.set_label(label, labelpad=1)


def _fraction(value: float) -> str:
    return f"{value:g}" if value >= 1 else f"1/{1 / value:g}"
