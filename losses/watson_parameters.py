"""The parameters of Watson's model: what training started from, or what Czolbe et al. found."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from losses.backbones import WrongWeights, read_tensors, taken

CHANNELS = ("ly", "lcb", "lcr")
"""The channels Y, Cb and Cr in the names of the released parameters."""

SENSITIVITY = (
    (1.40, 1.01, 1.16, 1.66, 2.40, 3.43, 4.79, 6.56),
    (1.45, 1.32, 1.52, 2.00, 2.71, 3.67, 4.93),
    (2.24, 2.59, 2.98, 3.64, 4.60, 5.88),
    (3.77, 4.55, 5.30, 6.28, 7.60),
    (6.15, 7.46, 8.71, 10.17),
    (9.62, 11.58, 13.51),
    (14.50, 17.29),
    (21.15,),
)
"""Upper triangle of Watson's symmetric table of just noticeable DCT coefficients."""


@dataclass(frozen=True)
class Initial:
    """What a form of the model starts from, and its name in the released files."""

    file: str  # "fft" or "dct"
    bins: int  # columns of coefficients: 5, or 8 for the DCT
    alpha: float
    w: float
    beta: float
    w_phase: float = -2.0


@dataclass(frozen=True)
class Parameters:
    """One model per channel, float64: tables `(C, 8, bins)`, scalars and colours `(C,)`."""

    t_tilde: Tensor
    alpha: Tensor
    w_tilde: Tensor
    beta: Tensor
    phase_tilde: Tensor
    colour_tilde: Tensor

    def phase_weights(self) -> Tensor:
        """Return exp(phase_tilde), 0 at the bins that are real and so have no phase."""
        weights = self.phase_tilde.exp()
        weights[:, ::4, ::4] = 0
        return weights


def initial(start: Initial, channels: int) -> Parameters:
    """Return the same untuned model for each channel."""
    size = (8, start.bins)
    table = _symmetric(SENSITIVITY).log() if start.file == "dct" else _full(size, 0.0)
    return Parameters(
        t_tilde=table.repeat(channels, 1, 1),
        alpha=_full((channels,), start.alpha),
        w_tilde=_full((channels,), math.log(start.w / (1 - start.w))),
        beta=_full((channels,), start.beta),
        phase_tilde=_full((channels, *size), start.w_phase),
        colour_tilde=_full((channels,), 0.0),
    )


def tuned_by_czolbe(path: Path, start: Initial, channels: int) -> Parameters:
    """Read the released parameters for grey (1 channel) or colour (3).

    `path` is an official file such as `rgb_watson_fft_trial0.pth`, or one .safetensors file of
    several whose keys begin with the file's name without `_trial0`, as `rgb_watson_fft.`. Raises
    `WrongWeights` when it holds others.
    """
    stem = f"{'gray' if channels == 1 else 'rgb'}_watson_{start.file}"
    state = _without_prefix(read_tensors(path), f"{stem}.")
    wanted = f"Czolbe et al.'s {stem}_trial0.pth"
    if channels == 1 and any(key.startswith(CHANNELS) for key in state):
        raise WrongWeights(f"{path} is not {wanted}: it holds the parameters for colour images")
    parts = ("",) if channels == 1 else tuple(f"{name}." for name in CHANNELS)

    def stacked(name: str, *size: int) -> Tensor:
        found = [taken(state, part + name, size, path, wanted) for part in parts]
        return torch.stack(found).double()

    size = (8, start.bins)
    colours = taken(state, "w_tild", (channels,), path, wanted) if channels == 3 else _full((1,), 0)
    return Parameters(
        t_tilde=stacked("t_tild", *size),
        alpha=stacked("alpha"),
        w_tilde=stacked("w_tild"),
        beta=stacked("beta"),
        phase_tilde=stacked("w_phase_tild", *size) if start.file == "fft" else _full((1, *size), 0),
        colour_tilde=colours.double(),
    )


def _without_prefix(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return one model of several, or the only one there is."""
    own = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
    return own or dict(state)


def _full(size: tuple[int, ...], value: float) -> Tensor:
    return torch.full(size, float(value), dtype=torch.float64)


def _symmetric(upper: tuple[tuple[float, ...], ...]) -> Tensor:
    table = torch.zeros(len(upper), len(upper), dtype=torch.float64)
    for row, values in enumerate(upper):
        filled = torch.tensor(values, dtype=torch.float64)
        table[row, row:] = filled
        table[row:, row] = filled
    return table
