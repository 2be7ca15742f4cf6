"""What a loss says of perturbed images: energies, gradients and the gradients' spectra."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.probe.ladder import LEVELS, Rungs
from harness.probe.perturbations import NOISE
from harness.report.figures_radial import radial_mean


@dataclass(frozen=True)
class Reaction:
    """How a loss reacts to one perturbation at one level: means over the images that reach it.

    `excess` is the energy above that of a perfect reconstruction, which likelihoods do not put
    at 0. The two ratios compare with white noise of the same MSE on the same images. `power` is
    the gradient's power at `frequency` in cycles per pixel, 1 being each image's mean over all
    frequencies.
    """

    perturbation: str
    level: float
    mse: float
    strength: float
    images: int
    energy: float
    excess: float
    ratio: float
    gradient_norm: float
    gradient_ratio: float
    frequency: list[float]
    power: list[float]


@dataclass(frozen=True)
class _Answer:
    energy: Tensor  # (B,)
    gradient: Tensor  # (B, C, H, W)


def enough(reached: int, images: int) -> bool:
    """Tell whether a level is reached by the quarter of the images that a mean needs."""
    return reached >= math.ceil(images / 4)


def react(
    loss: Any, targets: Tensor, latent: Tensor, ladder: dict[str, Rungs]
) -> tuple[Reaction, ...]:
    """Ask a loss about every perturbation at every level that enough of the images reach.

    An image counts where both the perturbation and the noise it is compared with reach the level.
    The loss is asked as in validation, its randomness off, with schedules at the end of the
    budget, so that every term counts. One whose energies depend on the batch is asked about
    perturbation, noise and target with the same images in the batch.

    Args:
        loss: keeps its parameters.
        targets: `(B, C, H, W)` in [0, 1].
        latent: `(B, Z)`, for losses that look at it.
        ladder: perturbed targets, from `ladder.build`.
    """
    loss.eval().requires_grad_(False)
    loss.start_epoch(max(1.0, loss.starts_at))
    perfect = _Asked(loss, targets, targets, latent)
    noise = [_Asked(loss, images, targets, latent) for images in ladder[NOISE].images]
    found = []
    for name, rungs in ladder.items():
        for number in range(len(LEVELS)):
            which = rungs.reached[number] & ladder[NOISE].reached[number]
            if not enough(int(which.sum()), len(which)):
                continue
            beside = noise[number].of(which)
            answer = (
                beside
                if name == NOISE
                else _ask(loss, rungs.images[number][which], targets[which], latent[which])
            )
            flawless = perfect.of(which).energy
            found.append(_reaction(name, number, rungs, which, answer, beside, flawless))
    return tuple(found)


class _Asked:
    """What a loss says of all the images, and of any of them."""

    def __init__(self, loss: Any, recon: Tensor, target: Tensor, latent: Tensor) -> None:
        self.loss, self.batch = loss, (recon, target, latent)
        self.whole = _ask(loss, *self.batch)

    def of(self, which: Tensor) -> _Answer:
        """Return the answer for some of the images, asked again where their mates count."""
        if self.loss.batch_coupled and not which.all():
            return _ask(self.loss, *(each[which] for each in self.batch))
        return _Answer(self.whole.energy[which], self.whole.gradient[which])


def _ask(loss: Any, recon: Tensor, target: Tensor, latent: Tensor) -> _Answer:
    recon = recon.detach().requires_grad_()
    energy = loss(recon, target, latent)
    gradient = torch.autograd.grad(energy.sum(), recon)[0]
    return _Answer(energy.detach().double(), gradient.double())


def _reaction(
    name: str,
    number: int,
    rungs: Rungs,
    which: Tensor,
    answer: _Answer,
    noise: _Answer,
    perfect: Tensor,
) -> Reaction:
    excess, norm = answer.energy - perfect, _norm(answer.gradient)
    frequency, power = _spectrum(answer.gradient)
    return Reaction(
        perturbation=name,
        level=LEVELS[number],
        mse=float(rungs.mse[number][which].double().mean()),
        strength=float(rungs.strength[number][which].double().mean()),
        images=int(which.sum()),
        energy=float(answer.energy.mean()),
        excess=float(excess.mean()),
        ratio=_ratio(excess, noise.energy - perfect),
        gradient_norm=float(norm.mean()),
        gradient_ratio=_ratio(norm, _norm(noise.gradient)),
        frequency=frequency.tolist(),
        power=power.tolist(),
    )


def _ratio(values: Tensor, noise: Tensor) -> float:
    """Return the ratio of means; NaN where noise costs nothing or no finite amount."""
    above, below = float(values.mean()), float(noise.mean())
    return above / below if below > 0 and math.isfinite(below) else math.nan


def _norm(gradient: Tensor) -> Tensor:
    return gradient.flatten(1).norm(dim=1)


def _spectrum(gradient: Tensor) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the radial mean of the power, every image counting alike however strong its pull."""
    power = torch.fft.fft2(gradient).abs().square().mean(1)
    own = power / power.mean((1, 2), keepdim=True).clamp(min=torch.finfo(power.dtype).tiny)
    return radial_mean(torch.fft.fftshift(own.mean(0)).numpy())
