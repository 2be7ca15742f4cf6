"""Perturbed images at equal mean squared error: the rungs on which losses are compared."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from harness import seeds
from harness.probe.perturbations import PERTURBATIONS, Path

# 40, 35, 30, 25 and 20 dB of PSNR, near enough; figures and sentences show the fourth, which
# VAEs come near to.
LEVELS = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)
SHOWN = LEVELS[3]
TOLERANCE = 1e-3  # relative, of an image's MSE
_SCANNED, _DECADES = 24, 3
_STEPS = 14


@dataclass(frozen=True)
class Rungs:
    """One perturbation at every level: images `(L, B, C, H, W)`, the rest `(L, B)`."""

    images: Tensor
    strength: Tensor
    mse: Tensor
    reached: Tensor  # whether the image can be spoilt to that error at all


def build(images: Tensor, axes: tuple[str | int, ...]) -> dict[str, Rungs]:
    """Spoil images `(B, C, H, W)` in [0, 1] in every way to every level of MSE.

    `axes` name the draws of the random perturbations.
    """
    found = {}
    for each in PERTURBATIONS:
        path = each.begin(images, seeds.generator("probe", each.name, *axes))
        found[each.name] = climb(path, images, LEVELS, each.strongest)
    return found


def climb(path: Path, images: Tensor, levels: tuple[float, ...], strongest: float) -> Rungs:
    """Find the least strength at which each image has each MSE, after clipping to [0, 1].

    A coarse scan brackets the first crossing, for some paths turn back, as a shift by a period
    does. Bisection narrows the bracket; every second cut is not in the middle but where a line
    through the roots of the MSE crosses, for these are nearly linear in the strength.
    """
    goal = torch.tensor(levels).sqrt()[:, None]
    low, high = _brackets(path, images, goal, strongest)
    for step in range(_STEPS):
        share = ((goal - low.root) / (high.root - low.root)).clamp(0, 1).nan_to_num(0.5)
        if step % 2:
            share = torch.full_like(share, 0.5)
        middle = _tried(path, images, torch.lerp(low.strength, high.strength, share))
        enough = middle.root >= goal
        low, high = _choose(enough, low, middle), _choose(enough, middle, high)
    nearer = (low.root - goal).abs() < (high.root - goal).abs()
    strength = torch.where(nearer, low.strength, high.strength)
    spoilt = path(strength)
    mse = _root(spoilt, images).square()
    return Rungs(spoilt, strength, mse, (mse / goal.square() - 1).abs() < TOLERANCE)


class _End(NamedTuple):
    """One end of the brackets, `(L, B)` each: strengths and the roots of their MSE."""

    strength: Tensor
    root: Tensor


def _brackets(path: Path, images: Tensor, goal: Tensor, strongest: float) -> tuple[_End, _End]:
    nothing = torch.zeros(len(goal), len(images))
    low, high = _End(nothing, nothing), _End(nothing, nothing)
    found = torch.zeros_like(nothing, dtype=torch.bool)
    for step in range(_SCANNED + 1):
        tried = strongest * 10 ** (_DECADES * (step / _SCANNED - 1))
        end = _tried(path, images, torch.full((len(images),), tried))
        low = _choose(found, low, high)
        high = _choose(found, high, end)
        found = found | (end.root >= goal)
    # Where the error stays too small the strongest change stands, and counts as not reached.
    return low, high


def _tried(path: Path, images: Tensor, strength: Tensor) -> _End:
    return _End(strength, _root(path(strength), images))


def _choose(which: Tensor, yes: _End, no: _End) -> _End:
    return _End(*(torch.where(which, a, b) for a, b in zip(yes, no, strict=True)))


def _root(spoilt: Tensor, images: Tensor) -> Tensor:
    return (spoilt - images).square().mean((-3, -2, -1)).sqrt()
