"""The training loop, one for all losses: mean(loss) + β · mean(KL), and the loss's hooks."""

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from harness import device as devices
from harness.batches import Batches
from harness.checkpoint import Checkpoint
from harness.errors import Interrupted
from harness.metrics.latent import kl_divergence
from harness.protocol import Protocol
from harness.schedule import make_optimizer, make_schedule
from harness.seeds import generator
from harness.snapshots import Snapshots

# An objective this many times larger than at the start (or than one unit per value) has exploded.
EXPLODED = 1e4


@dataclass(frozen=True)
class Job:
    """What one training run consists of, beside the network and the loss."""

    protocol: Protocol
    beta: float
    epochs: int  # of this run: the tuning or the full budget
    axes: tuple[str | int, ...]  # (dataset, model, seed): all that random numbers depend on
    device: torch.device


@dataclass
class Trained:
    """What a training run came to."""

    status: str = "ok"  # ok | diverged | pruned
    diverged_step: int | None = None
    epochs: int = 0
    images_seen: int = 0
    seconds: float = 0.0
    curve_epoch: list[float] = field(default_factory=list)
    curve_energy: list[float] = field(default_factory=list)
    curve_kl: list[float] = field(default_factory=list)
    epoch_seconds: list[float] = field(default_factory=list)

    @property
    def images_per_second(self) -> float:
        """Speed of the median epoch: what else the machine did for a while does not count."""
        if not self.epoch_seconds:
            return 0.0
        return self.images_seen / self.epochs / max(statistics.median(self.epoch_seconds), 1e-9)


class Trainer:
    """Trains one model with one loss; the state can be saved and restored at any step."""

    def __init__(
        self,
        job: Job,
        model: Any,
        loss: Any,
        images: np.ndarray,
        *,
        loss_generator: torch.Generator | None = None,
        checkpoint: Checkpoint | None = None,
        stop: Callable[[], bool] = lambda: False,
        resident: bool | None = None,
        snapshots: Snapshots | None = None,
    ) -> None:
        # Channels last is two to three times faster on CPUs and what tensor cores want on GPUs.
        self.model = model.to(job.device, memory_format=torch.channels_last)
        self.job, self.loss = job, loss.to(job.device)
        self.loss_generator, self.checkpoint, self.stop = loss_generator, checkpoint, stop
        self.snapshots = snapshots
        self.batches = Batches(images, job.protocol.batch, job.device, resident)
        self.result = Trained()
        self._values = math.prod(images.shape[1:])
        self._make_optimizers()
        self._step = 0  # within the epoch
        self._sums = torch.zeros(2, dtype=torch.float64, device=job.device)
        # Both stay on the device and are read at the epoch's end, so that no step waits for it.
        self._first_bad = torch.full((), -1, dtype=torch.int64, device=job.device)
        self._scale = torch.full((), math.nan, dtype=torch.float32, device=job.device)

    def _make_optimizers(self) -> None:
        protocol, loss = self.job.protocol, self.loss
        loss.requires_grad_(False)  # but for the two kinds below: a backbone is not trained
        groups = [{"params": list(self.model.parameters())}, *loss.main_groups()]
        self._learned = [p for group in groups[1:] for p in group["params"]]
        for parameter in self._learned:
            parameter.requires_grad_(True)
        self.optimizer = make_optimizer(protocol.optimizer, groups, protocol.lr)
        self.schedule = make_schedule(protocol.schedule, protocol.epochs)
        own = loss.companion_groups()
        self._companion = [p for group in own for p in group["params"]]
        self.companion_optimizer = (
            make_optimizer("adam", own, loss.companion_lr) if self._companion else None
        )

    def run(self, after_epoch: Callable[[Trained], bool] | None = None) -> Trained:
        """Train to the end of the budget, from the checkpoint on where there is one.

        Args:
            after_epoch: told the state after each epoch; True ends the run as pruned.

        Raises:
            Interrupted: a stop was asked for; the state is saved.
        """
        noise_state = self._restore()
        while self.result.epochs < self.job.epochs and self.result.status == "ok":
            started = time.perf_counter()
            self._epoch(noise_state)
            noise_state = None
            self._close_epoch()
            self.result.epoch_seconds.append(time.perf_counter() - started)
            self.result.seconds += self.result.epoch_seconds[-1]
            self._take_snapshot()
            if self.result.status == "ok" and after_epoch and after_epoch(self.result):
                self.result.status = "pruned"
            last = self.result.epochs == self.job.epochs
            if self.checkpoint and self.checkpoint.due() and not last:
                self.checkpoint.save(self._state({}))
        return self.result

    def _epoch(self, noise_state: dict[str, Tensor] | None) -> None:
        number, axes = self.result.epochs, self.job.axes
        # Progress counts epochs of the full budget: warm-ups take the same share of a trial.
        per_epoch = self.job.protocol.epochs / self.job.epochs
        self.loss.start_epoch(number * per_epoch)
        noise = {name: generator(name, *axes, number) for name in ("posterior", "prior")}
        for name, state in (noise_state or {}).items():
            noise[name].set_state(state)
        self.model.train()
        self.loss.train()
        order = generator("order", *axes, number)
        started = time.perf_counter()
        for images in self.batches.shuffled(order, start=self._step):
            if self.stop():
                self.result.seconds += time.perf_counter() - started
                if self.checkpoint:
                    self.checkpoint.save(self._state(noise))
                raise Interrupted
            progress = (number + self._step / len(self.batches)) * per_epoch
            self._set_learning_rate(progress)
            self._iterate(images, noise)
            self._step += 1

    def _set_learning_rate(self, progress: float) -> None:
        factor = self.schedule(progress, self.job.protocol.epochs)
        for group in self.optimizer.param_groups:
            group["lr"] = group["base_lr"] * factor

    def _iterate(self, images: Tensor, noise: dict[str, torch.Generator]) -> None:
        """One main step, then one step of the companion on detached inputs."""
        for parameter in self._companion:
            parameter.requires_grad_(False)
        record, generated = self._main_step(images, noise)
        if self.companion_optimizer is None:
            return
        for parameter in self._companion:
            parameter.requires_grad_(True)
        value = self.loss.companion_loss(
            record.recon.detach().float(),
            images,
            record.latent.detach(),
            None if generated is None else generated.detach(),
        )
        self.companion_optimizer.zero_grad(set_to_none=True)
        value.backward()
        self.companion_optimizer.step()
        self._watch(value.detach())

    def _main_step(self, images: Tensor, noise: dict[str, torch.Generator]) -> tuple[Any, Any]:
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
        self._sums += torch.stack((energy.detach(), kl.detach())).double()
        self._watch(objective.detach())
        return record, generated

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

    def _watch(self, objective: Tensor) -> None:
        """Note the first step that is not finite or has exploded, without reading it."""
        objective = objective.float()
        self._scale = torch.where(self._scale.isnan(), objective.abs(), self._scale)
        bound = EXPLODED * (self._scale + self._values)
        bad = ~torch.isfinite(objective) | (objective.abs() > bound)
        step = self.result.epochs * len(self.batches) + self._step
        self._first_bad = torch.where((self._first_bad < 0) & bad, step, self._first_bad)

    def _close_epoch(self) -> None:
        steps, result = len(self.batches), self.result
        energy, kl = (self._sums / steps).tolist()
        result.epochs += 1
        result.images_seen += steps * self.job.protocol.batch
        result.curve_epoch.append(result.epochs * self.job.protocol.epochs / self.job.epochs)
        result.curve_energy.append(energy)
        result.curve_kl.append(kl)
        self._step = 0
        self._sums.zero_()
        bad = int(self._first_bad)
        if bad < 0 and not self._finite_parameters():
            bad = result.epochs * steps - 1
        if bad >= 0:
            result.status, result.diverged_step = "diverged", bad

    def _take_snapshot(self) -> None:
        if self.snapshots and self.result.status == "ok":
            precision = self.job.protocol.precision
            epoch = self.result.epochs
            self.snapshots.take(self.model, self.loss, epoch, self.job.device, precision)

    def _finite_parameters(self) -> bool:
        # The sum is finite only if every value is; float64 sums of float32 cannot overflow.
        sums = [p.detach().sum(dtype=torch.float64) for p in self.model.parameters()]
        return bool(torch.isfinite(torch.stack(sums)).all())

    def _state(self, noise: dict[str, torch.Generator]) -> dict[str, Any]:
        own = self.companion_optimizer
        return {
            "model": self.model.state_dict(),
            "loss": self.loss.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "companion_optimizer": own.state_dict() if own else None,
            "loss_generator": self.loss_generator.get_state() if self.loss_generator else None,
            "noise": {name: made.get_state() for name, made in noise.items()},
            "step": self._step,
            "sums": self._sums,
            "first_bad": self._first_bad,
            "scale": self._scale,
            "snapshots": self.snapshots.kept if self.snapshots else None,
            "result": vars(self.result),
        }

    def _restore(self) -> dict[str, Tensor] | None:
        state = self.checkpoint.load() if self.checkpoint else None
        if state is None:
            return None
        self.model.load_state_dict(state["model"])
        self.loss.load_state_dict(state["loss"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.companion_optimizer:
            self.companion_optimizer.load_state_dict(state["companion_optimizer"])
        if self.loss_generator:
            self.loss_generator.set_state(state["loss_generator"])
        device = self.job.device
        self._step = state["step"]
        self._sums = state["sums"].to(device)
        self._first_bad = state["first_bad"].to(device)
        self._scale = state["scale"].to(device)
        self.result = Trained(**state["result"])
        if self.snapshots:
            self.snapshots.kept = state["snapshots"]
        noise: dict[str, Tensor] = state["noise"]
        return noise
