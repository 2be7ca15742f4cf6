"""The squared error of the stored reconstructions, split by radial frequency without remainder."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.report.artefacts import Bytes
from harness.report.collect import Cell, Group
from harness.report.means import estimate
from harness.report.table import Column, Entry, Row, Table, number, plural

# Upper ends in cycles per pixel: brightness alone, thirds up to Nyquist as in the table of spectra,
# and what lies beyond it in the corners of the plane.
BANDS = {"brightness": 0.0, "low": 1 / 6, "middle": 1 / 3, "high": 1 / 2, "corners": math.inf}

Split = NDArray[np.float64]  # one number per band


@dataclass(frozen=True)
class Budget:
    """The mean squared error of a loss's stored reconstructions and the data's power, by band.

    Both in squared units of [0, 1] per pixel and channel: `error` sums to the MSE of the pictures,
    `power` to the mean square of the inputs.
    """

    cell: Cell
    error: Split
    power: Split
    images: int
    seeds: int

    @property
    def shares(self) -> Split:
        """Each band's share of the error; NaN where there is none."""
        total = float(self.error.sum())
        return self.error / total if total > 0 else np.full_like(self.error, math.nan)


def power_by_band(images: NDArray[np.float64]) -> Split:
    """Return the mean square of `images` `(n, C, H, W)`, split by radial frequency.

    One number per entry of `BANDS`; they sum to the mean square (Parseval's theorem).
    """
    height, width = images.shape[-2:]
    across = np.fft.rfftfreq(width)
    radius = np.hypot(np.fft.fftfreq(height)[:, None], across[None, :])
    # A bin at 1/3 must not move with rounding: 1e-9 cycles per pixel are no frequency's distance.
    band = np.searchsorted(np.array(list(BANDS.values())) + 1e-9, radius.ravel())
    # Half the plane: a bin stands for its mirror image too, but where that is in the half itself.
    counts = np.where((across == 0) | (across == 0.5), 1.0, 2.0)
    total = np.zeros(len(BANDS))
    for image in images:  # one at a time: a set of large images would not fit twice
        spectrum = np.fft.rfft2(image)
        power = counts * (spectrum.real**2 + spectrum.imag**2).mean(axis=0)
        total += np.bincount(band, power.ravel(), minlength=len(BANDS))
    return total / len(images) / (height * width) ** 2


def budgets(group: Group) -> list[Budget]:
    """Return the budget of every loss that stored pictures of the inputs of the first one.

    Averaged over the stored seeds.
    """
    cells = [cell for cell in group.measured if any(len(each.recon) for each in cell.pictures)]
    if not cells:
        return []
    inputs = cells[0].pictures[0].inputs
    power = power_by_band(_unit(inputs))
    found = []
    for cell in cells:
        errors = [
            power_by_band(_unit(each.recon) - _unit(inputs))
            for each in cell.pictures
            if np.array_equal(each.inputs, inputs)
        ]
        if errors:
            error = np.mean(errors, axis=0)
            found.append(Budget(cell, error, power, len(inputs), len(errors)))
    return found


def _unit(images: Bytes) -> NDArray[np.float64]:
    return images / 255.0


def budget_table(group: Group, known: list[Budget] | None = None) -> Table | None:
    """Return each loss's squared error by frequency band, and over the data's own power there.

    None without stored pictures. `known` are the group's budgets where they were computed before.
    """
    found = budgets(group) if known is None else known
    if not found:
        return None
    columns = (
        Column("mse_pictures", "MSE of the pictures", direction="minimize"),
        *(Column(f"share_{band}", f"share, {band}", "%") for band in BANDS),
        *(Column(f"lost_{band}", f"error / data, {band}", direction="minimize") for band in BANDS),
        Column("mse", "MSE of all test images", direction="minimize"),
    )
    return Table(
        f"{group.slug}-budget",
        f"Error budget by frequency, {group.title}",
        _caption(group, found),
        columns,
        tuple(Row(each.cell.label, _entries(each), each.cell.label) for each in found),
    )


def _caption(group: Group, found: list[Budget]) -> str:
    seeds = sorted({each.seeds for each in found})
    over = plural(seeds[-1], "seed") if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]} seeds"
    text = (
        f"Squared error of the {plural(found[0].images, 'stored test image')} (8 bits, {over}) "
        "split by Parseval's theorem without remainder: brightness (each image's mean), rings to "
        "1/6, 1/3 and 1/2 cycles per pixel, and the corners beyond. Error / data is the error's "
        "power over the images' own: 1 is what a band left empty costs."
    )
    shown = {each.cell.label for each in found}
    others = [cell.label for cell in group.measured if cell.label not in shown]
    if others:
        text += f" Without pictures of these images: {', '.join(others)}."
    return text


def _entries(each: Budget) -> tuple[Entry, ...]:
    total, measured = float(each.error.sum()), estimate(each.cell, "mse").mean
    lost = np.divide(
        each.error, each.power, out=np.full_like(each.error, math.nan), where=each.power > 1e-12
    )
    return (
        Entry(number(total, 5), total),
        *(Entry(number(100 * float(share), 1), 100 * float(share)) for share in each.shares),
        *(Entry(number(float(ratio), 3), float(ratio)) for ratio in lost),
        Entry(number(measured, 5), measured),
    )
