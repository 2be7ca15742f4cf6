"""The training loop, one for all losses: epochs, divergence, checkpoints, snapshots."""

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from harness.batches import Batches
from harness.checkpoint import Checkpoint
from harness.errors import Interrupted
from harness.protocol import Protocol
from harness.seeds import generator
from harness.snapshots import Snapshots
from harness.steps import Done, Steps

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
        stochastic: bool = False,
        snapshots: Snapshots | None = None,
    ) -> None:
        # Channels last is two to three times faster on CPUs and what tensor cores want on GPUs.
        self.model = model.to(job.device, memory_format=torch.channels_last)
        self.job, self.loss = job, loss.to(job.device)
        self.loss_generator, self.checkpoint, self.stop = loss_generator, checkpoint, stop
        self.snapshots = snapshots
        self.batches = Batches(images, job.protocol.batch, job.device, resident, stochastic)
        self.result = Trained()
        self._values = math.prod(images.shape[1:])
        self.steps = Steps(job, self.model, self.loss)
        self._step = 0  # within the epoch
        self._sums = torch.zeros(2, dtype=torch.float64, device=job.device)
        # Both stay on the device and are read at the epoch's end, so that no step waits for it.
        self._first_bad = torch.full((), -1, dtype=torch.int64, device=job.device)
        self._scale = torch.full((), math.nan, dtype=torch.float32, device=job.device)

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
            self._note(self.steps.step(images, noise, progress))
            self._step += 1

    def _note(self, done: Done) -> None:
        self._sums += torch.stack((done.energy, done.kl)).double()
        for objective in done.objectives:
            self._watch(objective)

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
        return {
            "model": self.model.state_dict(),
            "loss": self.loss.state_dict(),
            **self.steps.state(),
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
        self.steps.restore(state)
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
