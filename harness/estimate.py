"""How long a run will take and how much memory, before it starts."""

import math
import time
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch

from harness import components, seeds
from harness.plan import Checked

# A process that has imported torch, before it holds a model.
BASE_MIB = 450
# Starting a process and opening the data.
START_SECONDS = 1.0
TIMED_STEPS = 4
TIMED_SECONDS = 3.0  # after which no further step is timed


@dataclass(frozen=True)
class Estimate:
    """What a run is expected to take."""

    seconds: float  # wall time of the whole run
    memory_mib: float  # all processes of the run together, or of one GPU
    speeds: dict[str, float]  # cell id -> images per second in training


def estimate(cells: list[Checked], rows: pd.DataFrame, slots: list[str], threads: int) -> Estimate:
    """Estimate time and memory from stored rows of like cells, or else from a few timed steps."""
    speeds: dict[str, float] = {}
    measured: dict[tuple[Any, ...], float] = {}
    for item in cells:
        known = _stored_speed(item, rows, slots[0])
        key = (item.cell.model.spec, item.image_shape, item.cell.protocol.batch)
        if known is None and key not in measured:
            measured[key] = _timed_speed(item, slots[0], threads)
        speeds[item.cell.id] = known or measured[key]
    seconds = sum(_cell_seconds(item, speeds[item.cell.id]) for item in cells)
    longest = max((_cell_seconds(item, speeds[item.cell.id]) for item in cells), default=0.0)
    memory = max((memory_mib(item) for item in cells), default=0.0)
    at_once = min(len(slots), len(cells)) if slots[0] == "cpu" else 1
    return Estimate(max(seconds / len(slots), longest), memory * at_once, speeds)


def memory_mib(item: Checked) -> float:
    """Return the memory of training: weights, gradients, Adam's moments, activations."""
    with torch.device("meta"):
        model = components.build_model(item.cell.model, item.image_shape, item.cell.protocol.latent)
        images = torch.empty(2, *item.image_shape)
    held = 0

    def count(module: torch.nn.Module, inputs: Any, output: Any) -> None:
        nonlocal held
        if isinstance(output, torch.Tensor) and not list(module.children()):
            held += output.numel() * 4

    for module in model.modules():
        module.register_forward_hook(count)
    model.decode(model.encode(images)[0])
    # Forward activations are kept for backward, whose gradients take as much again.
    activations = 2 * held / 2 * item.cell.protocol.batch
    data = math.prod(item.image_shape) * sum(item.images)
    return BASE_MIB + (16 * item.parameters + activations + data) / 2**20


def _cell_seconds(item: Checked, speed: float) -> float:
    protocol = item.cell.protocol
    train, validation, test = item.images
    full = protocol.seeds + item.points
    epochs = item.trials * protocol.trial_epochs + full * protocol.epochs
    # Scoring decodes each image twice and as many samples: about one training pass.
    scored = item.trials * validation + full * (validation + test)
    return START_SECONDS + (epochs * train + scored) / speed


def _stored_speed(item: Checked, rows: pd.DataFrame, device: str) -> float | None:
    like = rows[
        (rows["dataset"] == item.cell.dataset.spec)
        & (rows["model"] == item.cell.model.spec)
        & (rows["loss"] == item.cell.loss_spec)
        & (rows["device"] == device)
        & (rows["status"] == "ok")
    ]
    return None if like.empty else float(like["images_per_second"].median())


def _timed_speed(item: Checked, device: str, threads: int) -> float:
    """Time a few training steps with half the squared error."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        protocol = item.cell.protocol
        noise = seeds.generator("estimate")
        model = components.build_model(
            item.cell.model, item.image_shape, protocol.latent, generator=noise
        ).to(device, memory_format=torch.channels_last)
        images = torch.rand(protocol.batch, *item.image_shape, generator=noise).to(device)
        # The first step warms up; of the others the fastest is the least disturbed.
        times = [_step_seconds(model, images, noise)]
        while len(times) <= TIMED_STEPS and sum(times) < TIMED_SECONDS:
            times.append(_step_seconds(model, images, noise))
        return protocol.batch / min(times[1:] or times)
    finally:
        torch.set_num_threads(before)


def _step_seconds(model: Any, images: torch.Tensor, noise: torch.Generator) -> float:
    started = time.perf_counter()
    record = model(images, noise)
    (record.recon - images).square().sum().backward()
    if images.is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - started
