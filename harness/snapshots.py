"""What a loss shows of itself over the epochs, always for the same few training images."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from harness import device as devices
from harness.batches import Batches
from losses.base import ReconstructionLoss
from losses.sum import WeightedSum

IMAGES = 8  # the first of the training split
MOMENTS = 20  # at most, evenly spaced over the epochs, the last one included

_SILENT = (ReconstructionLoss.snapshot, WeightedSum.snapshot)


class Snapshots:
    """Calls the loss's `snapshot` at the end of some epochs and keeps what it returns.

    It draws no random numbers. `kept` is plain data for a checkpoint: of each name that the loss
    gave, the epochs and the float32 tensors `(B, ...)`.
    """

    def __init__(self, images: np.ndarray, epochs: int) -> None:
        self.images = np.array(images[:IMAGES])  # a copy: the maps of a dataset are read-only
        count = min(epochs, MOMENTS)
        self.due = {round(epochs * (k + 1) / count) for k in range(count)}
        self.kept: dict[str, dict[str, list[Any]]] = {}

    def take(self, model: Any, loss: Any, epoch: int, device: torch.device, precision: str) -> None:
        """Keep a snapshot after `epoch` epochs, where one is due and the loss has any."""
        if epoch not in self.due or not _offers(loss):
            return
        model.eval()
        loss.eval()
        with torch.no_grad():
            [batch] = Batches(self.images, IMAGES, device).ordered()
            with devices.autocast(device, precision):
                latent = model.encode(batch)[0]
            found: dict[str, Tensor] = loss.snapshot(latent.float())
        for name, value in found.items():
            series = self.kept.setdefault(name, {"epochs": [], "values": []})
            series["epochs"].append(epoch)
            series["values"].append(value.detach().float().cpu().clone())

    def arrays(self) -> dict[str, np.ndarray]:
        """Return what was kept as arrays, with the images it is of; empty where there is none.

        `inputs` is uint8 (B, C, H, W); of each name `epochs_<name>` is (E,) and `snapshot_<name>`
        float32 (E, B, ...).
        """
        found = {"inputs": self.images} if self.kept else {}
        for name, series in self.kept.items():
            found[f"epochs_{name}"] = np.asarray(series["epochs"], np.int64)
            found[f"snapshot_{name}"] = torch.stack(series["values"]).numpy()
        return found


def _offers(loss: torch.nn.Module) -> bool:
    """Tell whether the loss, or a term of a sum, defines a snapshot of its own."""
    return any(
        getattr(type(part), "snapshot", _SILENT[0]) not in _SILENT for part in loss.modules()
    )
