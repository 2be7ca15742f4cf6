"""A training step, one for all losses: mean(loss) + β · mean(KL), and the loss's hooks."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from harness import device as devices
from harness.metrics.latent import kl_divergence
from harness.schedule import make_optimizer, make_schedule

if TYPE_CHECKING:
    from harness.train import Job


@dataclass(frozen=True)
class Done:
    """What one step came to: detached scalars on the device."""

    energy: Tensor  # mean over the batch
    kl: Tensor
    objectives: tuple[Tensor, ...]  # of the main step and, where there is one, the companion's


class Steps:
    """Owns the optimisers of a network, of its loss and of the loss's companion."""

    def __init__(self, job: "Job", model: Any, loss: Any) -> None:
        self.job, self.model, self.loss = job, model, loss
        protocol = job.protocol
        loss.requires_grad_(False)  # but for the two kinds below: a backbone is not trained
        groups = [{"params": list(model.parameters())}, *loss.main_groups()]
        for group in groups[1:]:
            for parameter in group["params"]:
                parameter.requires_grad_(True)
        self.optimizer = make_optimizer(protocol.optimizer, groups, protocol.lr)
        self.schedule = make_schedule(protocol.schedule, protocol.epochs)
        own = loss.companion_groups()
        self._companion = [p for group in own for p in group["params"]]
        self.companion_optimizer = (
            make_optimizer("adam", own, loss.companion_lr) if self._companion else None
        )

    def step(self, images: Tensor, noise: dict[str, torch.Generator], progress: float) -> Done:
        """Make one main step, then one step of the companion on detached inputs.

        Args:
            images: `(B, C, H, W)` in [0, 1].
            noise: generators of the posterior's and the prior's draws.
            progress: epochs of the full budget that are behind.
        """
        factor = self.schedule(progress, self.job.protocol.epochs)
        for group in self.optimizer.param_groups:
            group["lr"] = group["base_lr"] * factor
        for parameter in self._companion:
            parameter.requires_grad_(False)
        record, generated, done = self._main_step(images, noise)
        if self.companion_optimizer is None:
            return done
        own = self._companion_step(self.companion_optimizer, record, images, generated)
        return replace(done, objectives=(*done.objectives, own))

    def state(self) -> dict[str, Any]:
        """Return the state of the optimisers, for a checkpoint."""
        own = self.companion_optimizer
        return {
            "optimizer": self.optimizer.state_dict(),
            "companion_optimizer": own.state_dict() if own else None,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a state that `state` returned."""
        self.optimizer.load_state_dict(state["optimizer"])
        if self.companion_optimizer:
            self.companion_optimizer.load_state_dict(state["companion_optimizer"])

    def _companion_step(
        self, optimizer: torch.optim.Optimizer, record: Any, images: Tensor, generated: Any
    ) -> Tensor:
        for parameter in self._companion:
            parameter.requires_grad_(True)
        value = self.loss.companion_loss(
            record.recon.detach().float(),
            images,
            record.latent.detach(),
            None if generated is None else generated.detach(),
        )
        optimizer.zero_grad(set_to_none=True)
        value.backward()
        optimizer.step()
        return value.detach()

    def _main_step(
        self, images: Tensor, noise: dict[str, torch.Generator]
    ) -> tuple[Any, Tensor | None, Done]:
        precision = self.job.protocol.precision
        with devices.autocast(self.job.device, precision):
            record = self.model(images, noise["posterior"])
        energy = self.loss(
            record.recon.float(), images, record.latent.float(), logits=record.logits.float()
        ).mean()
        kl = kl_divergence(record.mu.float(), record.logvar.float()).mean()
        objective = energy + self.job.beta * kl
        generated = None
        if self.loss.decoder_loss is not None:
            extra, generated = self._decoder_terms(images, record.latent.detach(), noise["prior"])
            objective = objective + extra
        self.optimizer.zero_grad(set_to_none=True)
        objective.backward()
        self.optimizer.step()
        return record, generated, Done(energy.detach(), kl.detach(), (objective.detach(),))

    def _decoder_terms(
        self, images: Tensor, latent: Tensor, prior: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Decode the detached latent and prior noise: nothing here reaches the encoder."""
        drawn = torch.randn(latent.shape, generator=prior).to(latent)
        with devices.autocast(self.job.device, self.job.protocol.precision):
            _, recon = self.model.decode(latent)
            _, generated = self.model.decode(drawn)
        value = self.loss.decoder_loss(recon.float(), images, latent, generated.float())
        return value.mean(), generated.float()
