"""Losses that keep the contract but for one thing each."""

import math
import random
from typing import Any, Unpack

import torch
from torch import Tensor, nn

from losses.base import Context, ReconstructionLoss
from losses.options import InvalidOption


class Sound(ReconstructionLoss):
    """Half the squared error: nothing is wrong with it."""

    def __init__(self, *, weight: float = 1.0, **context: Unpack[Context]) -> None:
        super().__init__(**context)
        if not weight > 0:
            raise InvalidOption(f"weight is {weight}; give a positive number")
        self.weight = weight

    def forward(self, recon, target, latent, *, logits=None):
        return self.energy(recon, target)

    def energy(self, recon: Tensor, target: Tensor) -> Tensor:
        return self.weight * (recon - target).square().flatten(1).sum(1) / 2


class PixelMean(Sound):
    def energy(self, recon, target):
        return (recon - target).square().mean((1, 2, 3))


class PixelRoot(Sound):
    """The 4-norm, which grows by 1.41: a definition, not a forgotten factor."""

    def energy(self, recon, target):
        return ((recon - target) ** 4).sum((1, 2, 3)).add(1e-8) ** 0.25


class OneSize(Sound):
    def __init__(self, **context: Unpack[Context]) -> None:
        super().__init__(**context)
        if self.image_shape[1] != 16:
            raise InvalidOption(f"images of {self.image_shape[1]} pixels; give 16")


class OneSizeUnsaid(Sound):
    def energy(self, recon, target):
        return super().energy(recon, target) + recon[:, 0, 0] @ recon.new_zeros(16)


class NoContext(Sound):
    def __init__(self, **context: Any) -> None:
        ReconstructionLoss.__init__(self)
        self.weight = 1.0


class NeedsGenerator(Sound):
    def __init__(self, **context: Unpack[Context]) -> None:
        super().__init__(**context)
        self.start = torch.rand((), generator=self.generator) * self.generator.initial_seed()


class Reversed(Sound):
    beta_range = (10.0, 1.0)


class WrongScale(Sound):
    native_scale = 3.0


class RequiresText(Sound):
    requires = "vgg16"

    def _check_weights(self, names: object) -> None: ...


class Untyped(Sound):
    def __init__(self, *, power=2, **context: Any) -> None:
        super().__init__(**context)


class Positional(Sound):
    def __init__(self, power: int = 2, **context: Any) -> None:
        super().__init__(**context)


class Divides(Sound):
    def __init__(self, *, steps: int = 2, **context: Any) -> None:
        super().__init__(**context)
        self.width = 1 / steps


class DividesLater(Sound):
    def __init__(self, *, steps: int = 2, **context: Any) -> None:
        super().__init__(**context)
        self.steps = steps

    def energy(self, recon, target):
        return super().energy(recon, target) * (1 / self.steps)


class BatchMean(Sound):
    def energy(self, recon, target):
        return (recon - target).square().mean()


class OnePerPixel(Sound):
    def energy(self, recon, target):
        return (recon - target).square()


class Single(Sound):
    def energy(self, recon, target):
        return super().energy(recon.float(), target.float())


class WrongLogits(Sound):
    def forward(self, recon, target, latent, *, logits=None):
        return self.energy(recon if logits is None else logits, target)


class InPlace(Sound):
    def energy(self, recon, target):
        return recon.sub_(target).square().flatten(1).sum(1)


class NoGradientAtZero(Sound):
    def energy(self, recon, target):
        return (recon - target).square().flatten(1).sum(1).sqrt()


class Logarithm(Sound):
    def energy(self, recon, target):
        return -(target * recon.log()).flatten(1).sum(1)


class Centred(Sound):
    """Compares with the mean of the batch taken away."""

    def energy(self, recon, target):
        error = recon - target
        return (error - error.mean(0)).square().flatten(1).sum(1) + 1e-3 * error.square().sum()


class CentredInTraining(Centred):
    def energy(self, recon, target):
        return super().energy(recon, target) if self.training else Sound.energy(self, recon, target)


class FirstCountsTwice(Sound):
    batch_coupled = True

    def energy(self, recon, target):
        weight = torch.ones(len(recon)).index_fill(0, torch.tensor(0), 2.0)
        return super().energy(recon, target) * weight.to(recon)


class Uncoupled(Sound):
    batch_coupled = True


class DrawsTorch(Sound):
    def energy(self, recon, target):
        return super().energy(recon, target) * (1 + torch.rand(()).to(recon))


class DrawsPython(Sound):
    def energy(self, recon, target):
        return super().energy(recon, target) * (1 + random.random())


class DrawsWhenBuilt(Sound):
    def __init__(self, **context: Unpack[Context]) -> None:
        super().__init__(**context)
        self.companion = nn.Conv2d(3, 3, 3)

    def companion_loss(self, recon, target, latent, generated):
        return self.companion(recon).square().mean()


class OwnGenerator(Sound):
    own = torch.Generator().manual_seed(0)

    def energy(self, recon, target):
        return super().energy(recon, target) * (1 + torch.rand((), generator=self.own).to(recon))


class DrawsInEvaluation(Sound):
    def energy(self, recon, target):
        factor = torch.rand((), generator=self.generator).to(recon)
        return super().energy(recon, target) * (1 + factor)


class WastesDraws(Sound):
    def energy(self, recon, target):
        torch.rand((), generator=self.generator)
        return super().energy(recon, target)


class Detached(Sound):
    def energy(self, recon, target):
        return super().energy(recon.detach(), target)


class Rounded(Sound):
    def energy(self, recon, target):
        return (recon.round() - target).square().flatten(1).sum(1)


class DetachedWeight(Sound):
    """Weighs errors by their size, held constant."""

    def energy(self, recon, target):
        error = recon - target
        return (error.detach().abs() * error.square()).flatten(1).sum(1)


class Declared(DetachedWeight):
    stopped_gradient = True


class Similarity(Sound):
    def energy(self, recon, target):
        return -super().energy(recon, target)


class Forgets(Sound):
    """Divides by a running mean that is a plain number."""

    mean = 1.0

    def energy(self, recon, target):
        energy = super().energy(recon, target)
        if self.training:
            self.mean = 0.5 * self.mean + 0.5 * float(energy[:1].detach().mean() * 0 + 2)
        return energy / self.mean


class DrawnConstant(Sound):
    def __init__(self, **context: Unpack[Context]) -> None:
        super().__init__(**context)
        self.factor = float(1 + torch.rand((), generator=self.generator or torch.Generator()))

    def energy(self, recon, target):
        return super().energy(recon, target) * self.factor


class SharedCopy(Sound):
    def __init__(self, **context: Unpack[Context]) -> None:
        super().__init__(**context)
        self.scale = nn.Parameter(torch.ones(()))

    def main_parameters(self):
        return [self.scale]

    def energy(self, recon, target):
        return super().energy(recon, target) * self.scale + 1 / self.scale

    def __deepcopy__(self, memo: Any) -> "SharedCopy":
        other = type(self)(image_shape=self.image_shape)
        other.scale = self.scale
        return other


class StaysBehind(Sound):
    """Keeps a window as a plain attribute."""

    def __init__(self, **context: Unpack[Context]) -> None:
        super().__init__(**context)
        self.window = torch.ones(self.needed_image_shape())

    def energy(self, recon, target):
        return super().energy(recon * self.window.to(recon.dtype), target)


class DrawsOnDevice(Sound):
    def energy(self, recon, target):
        factor = 1.0
        if self.training:
            factor += torch.rand(
                (), generator=self.generator, device=recon.device, dtype=recon.dtype
            )
        return super().energy(recon, target) * factor


class Waits(Sound):
    def energy(self, recon, target):
        energy = super().energy(recon, target)
        return energy if float(energy.detach().mean()) >= 0 else -energy


class RoundsWhenDouble(Sound):
    def __init__(self, **context: Unpack[Context]) -> None:
        super().__init__(**context)
        self.register_buffer("kernel", torch.ones(1, 1, 1, 1))

    def energy(self, recon, target):
        if self.kernel.dtype == torch.float64:
            recon, target = recon.half().double(), target.half().double() + 0.1
        return super().energy(recon, target)


class ForeignParameter(Sound):
    other = nn.Parameter(torch.ones(()))

    def main_parameters(self):
        return [ForeignParameter.other]


class UnusedParameter(Sound):
    def __init__(self, **context: Unpack[Context]) -> None:
        super().__init__(**context)
        self.scale = nn.Parameter(torch.ones(()))

    def main_parameters(self):
        return [self.scale]


class ForgottenParameter(UnusedParameter):
    def main_parameters(self):
        return []


class Companioned(Sound):
    """Compares images after a filter that a companion loss trains."""

    def __init__(self, **context: Unpack[Context]) -> None:
        super().__init__(**context)
        self.companion = nn.ParameterDict({"filter": torch.ones(1)})

    def energy(self, recon, target):
        return super().energy(recon * self.companion["filter"], target)

    def companion_loss(self, recon, target, latent, generated):
        return (recon * self.companion["filter"] - target).square().mean()


class CompanionPerImage(Companioned):
    def companion_loss(self, recon, target, latent, generated):
        return (recon * self.companion["filter"] - target).square().flatten(1).sum(1)


class CompanionDetached(Companioned):
    def companion_loss(self, recon, target, latent, generated):
        return (recon * self.companion["filter"].detach() - target).square().mean()


class CompanionBlocks(Companioned):
    def energy(self, recon, target):
        with torch.no_grad():
            filtered = recon * self.companion["filter"]
        return Sound.energy(self, filtered, target)


class CompanionAlone(Companioned):
    companion_loss = None


class DecoderShape(Sound):
    def decoder_loss(self, recon, target, latent, generated):
        return generated.flatten(1)


class DecoderDetached(Sound):
    def decoder_loss(self, recon, target, latent, generated):
        return generated.detach().flatten(1).sum(1)


class EndsAtInfinity(Sound):
    epoch = 0.0

    def start_epoch(self, progress: float) -> None:
        self.epoch = progress

    def energy(self, recon, target):
        return super().energy(recon, target) * math.exp(min(self.epoch, 700)) * 1e30


class WholeEpochs(Sound):
    def start_epoch(self, progress: float) -> None:
        self.weight = ([1.0] * 2000)[progress]


class NeverStarts(Sound):
    starts_at = 15.0


class SnapshotShape(Sound):
    def snapshot(self, latent):
        return {"kernel": torch.zeros(7, 7)}


class SnapshotDraws(Sound):
    def snapshot(self, latent):
        return {"sample": latent + torch.randn(latent.shape, generator=self.generator)}


class ComparesSpread(Sound):
    """Compares the images' variances, which mixing lowers and another image has again."""

    def energy(self, recon, target):
        first, second = (image.flatten(1).var(1) for image in (recon, target))
        return (first - second).square()


class LikesHalf(Sound):
    """Wants an error of its own size."""

    def energy(self, recon, target):
        return (super().energy(recon, target) - 20).square()


class _Backwards(torch.autograd.Function):
    @staticmethod
    def forward(context, value):
        return value.clone()

    @staticmethod
    def backward(context, slope):
        return -slope


class WrongWay(Sound):
    def energy(self, recon, target):
        return super().energy(_Backwards.apply(recon), target)
