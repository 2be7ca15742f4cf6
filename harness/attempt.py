"""One training run with its evaluation: a trial, a final model or a point of a curve."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from harness import artefacts, components, evaluate, prepared, reference, seeds
from harness import device as devices
from harness.appearance import Reference
from harness.checkpoint import Checkpoint
from harness.grid import Cell
from harness.measured import Measured
from harness.snapshots import Snapshots
from harness.store import Store
from harness.train import Job, Trained, Trainer

# A tuning run asks four times whether it should be pruned.
PRUNING_STEPS = 4

Tell = Callable[[dict[str, Any]], None]


@dataclass
class Context:
    """What all attempts of a cell share."""

    cell: Cell
    store: Store
    splits: prepared.Splits
    device: torch.device
    weights: dict[str, Path]
    keep_models: str
    fingerprint: str
    tell: Tell
    stop: Callable[[], bool]
    _references: dict[tuple[str, bool], Reference] = field(default_factory=dict)

    def axes(self, number: int | str) -> tuple[str | int, ...]:
        """Return what random numbers depend on: dataset, model and seed, never the loss."""
        return (self.cell.dataset.spec, self.cell.model.spec, number)

    def build_loss(self, number: int | str) -> tuple[Any, torch.Generator]:
        """Build the loss with randomness of its own, so that it shifts no other draw."""
        generator = seeds.generator("loss", *self.axes(number))
        loss = components.build_loss(
            self.cell.loss,
            self.splits.image_shape,
            self.cell.protocol.latent,
            generator=generator,
            weights=self.weights,
        )
        return loss, generator

    def build_model(self, number: int | str) -> Any:
        """Build the model: the same initial values whatever the loss."""
        return components.build_model(
            self.cell.model,
            self.splits.image_shape,
            self.cell.protocol.latent,
            generator=seeds.generator("init", *self.axes(number)),
        )

    def reference(self, split: str, *, final: bool) -> Reference:
        """Measure the real images of a split, once for the trials and once for the finals."""
        if (split, final) not in self._references:
            self._references[split, final] = reference.reference(
                getattr(self.splits, split),
                self.splits.train,
                self.cell.protocol,
                self.device,
                self.weights,
                final=final,
                kept=reference.place(self.cell, self.splits.data_hash, split),
            )
        return self._references[split, final]


class Attempt:
    """Trains and evaluates once; `run` returns the columns of its row."""

    def __init__(
        self,
        context: Context,
        stage: str,
        number: int,
        beta: float,
        report: Callable[[float, int], bool] | None = None,
    ) -> None:
        self.context, self.stage, self.number, self.beta = context, stage, number, beta
        self.report = report
        self.protocol = context.cell.protocol
        tuning = stage == "tune"
        self.split = self.protocol.select_on if tuning else "test"
        self.epochs = self.protocol.trial_epochs if tuning else self.protocol.epochs
        # All trials share one seed, an axis of its own beside those of the final models; the
        # points of a curve share that of the first final model.
        self.axes = context.axes("tune" if tuning else number if stage == "final" else 0)
        name = f"{context.cell.id}.{stage}{number:03d}.pt"
        self.checkpoint = Checkpoint(
            context.store.root / "_checkpoints" / name,
            f"{context.fingerprint} {stage} {number} {beta!r} {self.epochs}",
        )
        self.loss: Any = None  # built by `run`
        self.untrained: dict[str, torch.Tensor] = {}  # its state then, where the model is kept
        final = stage == "final"
        self.snapshots = Snapshots(context.splits.train, self.epochs) if final else None

    @cached_property
    def model(self) -> Any:
        """The network, on its device once the trainer holds it."""
        return self.context.build_model(self.axes[-1])

    def run(self) -> dict[str, Any]:
        """Train, evaluate, keep what a final model leaves.

        Raises:
            Interrupted: a stop was asked for; the training state is saved.
        """
        context = self.context
        self.loss, loss_generator = context.build_loss(self.axes[-1])
        if self._keeps_model:
            self.untrained = artefacts.loss_state(self.loss)
        sizes = {"parameters": _count(self.model), "parameters_loss": _count(self.loss)}
        nature = _nature(self.loss)  # as in training: some losses couple a batch only there
        devices.reset_peak_memory(context.device)
        trainer = Trainer(
            Job(self.protocol, self.beta, self.epochs, self.axes, context.device),
            self.model,
            self.loss,
            context.splits.train,
            loss_generator=loss_generator,
            checkpoint=self.checkpoint,
            stop=context.stop,
            stochastic=context.splits.stochastic,
            snapshots=self.snapshots,
        )
        trained = trainer.run(self._after_epoch)
        row = self._effort(trained) | sizes | nature
        if trained.status != "ok":
            return row | {"status": trained.status, **self._why(trained)}
        return row | self._evaluate()

    @property
    def _keeps_model(self) -> bool:
        keep = self.context.keep_models
        return self.stage == "final" and (keep == "all" or (keep, self.number) == ("first-seed", 0))

    def _evaluate(self) -> dict[str, Any]:
        started = time.perf_counter()
        measured = self._measure()
        seconds = {"seconds_evaluate": time.perf_counter() - started}
        if not measured.finite:
            cause = "a measurement of the trained model is not finite"
            return {"status": "diverged", "cause": cause, **seconds}
        if self.stage == "final":
            self._keep(measured)
        return {"status": "ok", **measured.metrics, **seconds}

    def _measure(self) -> Measured:
        context, protocol = self.context, self.protocol
        sigma = None
        if self.split != "validation":
            validation = context.splits.validation
            sigma = evaluate.fit_sigma(self.model, validation, protocol, self.axes, context.device)
        return evaluate.evaluate(
            self.model,
            getattr(context.splits, self.split),
            context.reference(self.split, final=self.stage != "tune"),
            protocol,
            axes=self.axes,
            device=context.device,
            sigma=sigma,
            loss=self.loss,
        )

    def _keep(self, measured: Measured) -> None:
        context, seed = self.context, self.number
        artefacts.save_measured(context.store, context.cell.id, seed, measured)
        if self.snapshots:
            artefacts.save_snapshots(context.store, context.cell.id, seed, self.snapshots.arrays())
        if not self._keeps_model:
            return
        path = context.store.artefact("models", context.cell.id, seed, "safetensors")
        facts = {"beta": self.beta, "seed": seed, "fingerprint": context.fingerprint}
        artefacts.save_loss_state(path, self.loss, self.untrained, facts)
        artefacts.save_model(path, self.model, context.cell, facts)

    def _after_epoch(self, trained: Trained) -> bool:
        """Tell the progress; in a pruned study also measure now and then."""
        self.context.tell(
            {
                "event": "epoch",
                "stage": self.stage,
                "number": self.number,
                "epoch": trained.epochs,
                "epochs": self.epochs,
                "images_per_second": trained.images_per_second,
            }
        )
        every = max(1, self.epochs // PRUNING_STEPS)
        if self.report is None or self.protocol.pruner == "none" or trained.epochs % every:
            return False
        if trained.epochs == self.epochs:
            return False
        value = self._measure().metrics[str(self.protocol.objective)]
        return isinstance(value, (int, float)) and self.report(float(value), trained.epochs)

    def _effort(self, trained: Trained) -> dict[str, Any]:
        return {
            "epochs": trained.epochs,
            "images_seen": trained.images_seen,
            "seconds": trained.seconds,
            "images_per_second": trained.images_per_second,
            "peak_memory_mib": devices.peak_memory_mib(self.context.device),
            "curve_epoch": trained.curve_epoch,
            "curve_energy": trained.curve_energy,
            "curve_kl": trained.curve_kl,
            "diverged_step": trained.diverged_step,
        }

    def _why(self, trained: Trained) -> dict[str, Any]:
        if trained.status == "pruned":
            return {"cause": f"pruned after {trained.epochs} of {self.epochs} epochs"}
        step = trained.diverged_step
        return {"cause": f"the objective was not finite or exploded at step {step}"}


def _count(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _nature(loss: Any) -> dict[str, Any]:
    return {
        "density": loss.density,
        "batch_coupled": loss.batch_coupled,
        "native_scale": float(loss.native_scale),
    }
