"""Small losses that use one part of the loss contract each, and note what they saw."""

import math
from collections.abc import Iterable
from typing import Unpack

import torch
from torch import Tensor, nn

from losses.base import Context, ReconstructionLoss


class Plain(ReconstructionLoss):
    """The squared error, and a record of what each forward pass was given."""

    beta_range = (0.01, 1.0)

    def __init__(self, **context: Unpack[Context]) -> None:
        super().__init__(**context)
        self.progress: list[float] = []
        self.energies: list[float] = []
        self.latents: list[Tensor] = []
        self.targets: list[Tensor] = []

    def start_epoch(self, progress: float) -> None:
        self.progress.append(progress)

    def forward(
        self, recon: Tensor, target: Tensor, latent: Tensor, *, logits: Tensor | None = None
    ) -> Tensor:
        energy = self.energy(recon, target)
        self.energies.append(float(energy.detach().mean()))
        self.latents.append(latent.detach().clone())
        self.targets.append(target.clone())
        return energy

    def energy(self, recon: Tensor, target: Tensor) -> Tensor:
        return (recon - target).square().flatten(1).sum(1)


class Learned(Plain):
    """Weighs the error by a parameter of its own: `e^-a SSE + a`."""

    main_lr = 0.05

    def __init__(self, **context: Unpack[Context]) -> None:
        super().__init__(**context)
        self.log_scale = nn.Parameter(torch.zeros(()))
        self.backbone = nn.Linear(2, 2)  # never trained, like a pretrained network

    def main_parameters(self) -> Iterable[nn.Parameter]:
        return [self.log_scale]

    def energy(self, recon: Tensor, target: Tensor) -> Tensor:
        return super().energy(recon, target) * (-self.log_scale).exp() + self.log_scale


class Companioned(Plain):
    """Compares images after a convolution that a companion loss trains."""

    companion_lr = 0.01

    def __init__(self, **context: Unpack[Context]) -> None:
        super().__init__(**context)
        self.companion = nn.Conv2d(1, 1, 3, padding=1)
        with torch.no_grad():
            self.companion.weight.copy_(torch.linspace(-1, 1, 9).reshape(1, 1, 3, 3))
            self.companion.bias.fill_(0.1)
        self.frozen: list[bool] = []
        self.seen: list[tuple[Tensor, Tensor, Tensor, Tensor | None]] = []

    def energy(self, recon: Tensor, target: Tensor) -> Tensor:
        self.frozen.append(not any(p.requires_grad for p in self.companion.parameters()))
        return (self.companion(recon) - self.companion(target)).square().flatten(1).sum(1)

    def companion_loss(
        self, recon: Tensor, target: Tensor, latent: Tensor, generated: Tensor | None
    ) -> Tensor:
        self.seen.append((recon, target, latent, generated))
        return -(self.companion(recon) - self.companion(target)).square().mean()


class Adversarial(Companioned):
    """Adds a term on the decoder alone; `weight` is its size."""

    def __init__(self, *, weight: float = 1.0, **context: Unpack[Context]) -> None:
        super().__init__(**context)
        self.weight = weight
        self.decoded: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []

    def energy(self, recon: Tensor, target: Tensor) -> Tensor:
        return Plain.energy(self, recon, target)

    def decoder_loss(
        self, recon: Tensor, target: Tensor, latent: Tensor, generated: Tensor
    ) -> Tensor:
        self.decoded.append((recon, target, latent, generated))
        return self.weight * (recon.flatten(1).sum(1) + generated.flatten(1).square().sum(1))


class Noisy(Plain):
    """Weighs the error by a random number from the loss's own generator."""

    def energy(self, recon: Tensor, target: Tensor) -> Tensor:
        weight = torch.rand((), generator=self.generator) if self.training else torch.tensor(0.5)
        return super().energy(recon, target) * (1 + weight)


class Everything(Adversarial):
    """All hooks in one loss, with randomness and a parameter."""

    main_lr = 0.05

    def __init__(self, **context: Unpack[Context]) -> None:
        super().__init__(**context)
        self.log_scale = nn.Parameter(torch.zeros(()))

    def main_parameters(self) -> Iterable[nn.Parameter]:
        return [self.log_scale]

    def energy(self, recon: Tensor, target: Tensor) -> Tensor:
        weight = 1 + torch.rand((), generator=self.generator)
        blurred = (self.companion(recon) - self.companion(target)).square().flatten(1).sum(1)
        return Plain.energy(self, recon, target) * (-self.log_scale).exp() + weight * blurred


class Showing(Companioned):
    """Shows the latents it is given and the companion that trains beside it."""

    def snapshot(self, latent: Tensor) -> dict[str, Tensor]:
        assert not (self.training or torch.is_grad_enabled())
        kernels = self.companion.weight.expand(len(latent), -1, -1, -1)
        late = {"late": latent[:, :1]} if self.progress[-1] >= 1 else {}
        return {"latent": latent, "kernel": kernels, **late}


class Breaks(Plain):
    """Returns `value` times the error from forward pass `at` on."""

    def __init__(self, *, at: int = 0, value: float = math.nan, **context: Unpack[Context]) -> None:
        super().__init__(**context)
        self.at, self.value, self.calls = at, value, 0

    def energy(self, recon: Tensor, target: Tensor) -> Tensor:
        self.calls += 1
        factor = self.value if self.calls > self.at else 1.0
        return super().energy(recon, target) * factor


class BrokenGradient(Plain):
    """A finite energy whose gradient is NaN in forward pass `at`."""

    def __init__(self, *, at: int = 0, **context: Unpack[Context]) -> None:
        super().__init__(**context)
        self.at, self.calls = at, 0

    def energy(self, recon: Tensor, target: Tensor) -> Tensor:
        self.calls += 1
        energy = super().energy(recon, target)
        if self.calls == self.at + 1:
            energy = energy + (recon * 0).flatten(1).sum(1).sqrt()  # 0 with gradient inf * 0
        return energy


class Late(Plain):
    """Starts a term at epoch 1000."""

    starts_at = 1000.0
