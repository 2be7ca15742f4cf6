"""What is kept of a final model beside its row: weights, pictures, scores per image."""

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from harness import components
from harness.errors import HarnessError
from harness.files import write_atomically
from harness.grid import Cell
from harness.store import Store

if TYPE_CHECKING:
    from torch import Tensor

    from harness.measured import Measured


def save_model(path: Path, model: Any, cell: Cell, facts: dict[str, Any]) -> None:
    """Write the model as safetensors; its metadata says how to build it and what it is."""
    from safetensors.torch import save

    description = {
        "cell": cell.model_dump(mode="json"),
        "image_shape": list(model.image_shape),
        "latent_size": model.latent_size,
        **facts,
    }
    state = {name: value.contiguous() for name, value in model.state_dict().items()}
    content = save(state, {"harness": json.dumps(description)})
    write_atomically(path, lambda stream: stream.write(content))


def describe_model(path: str | Path) -> dict[str, Any]:
    """Return what a stored model is: its cell, image shape, latent size, β and seed.

    Raises:
        HarnessError: no such file, or not a model of the harness.
    """
    from safetensors import SafetensorError

    try:
        return _metadata(path)
    except (OSError, SafetensorError, KeyError) as error:
        raise HarnessError(f"{path} is no model stored by the harness ({error})") from error


def _metadata(path: str | Path) -> dict[str, Any]:
    from safetensors import safe_open

    with safe_open(str(path), framework="pt") as stored:
        return dict(json.loads((stored.metadata() or {})["harness"]))


def load_model(path: str | Path, device: str = "cpu") -> Any:
    """Return a stored final model, ready to encode, decode and sample, in evaluation mode.

    Raises:
        HarnessError: no such file, or not a model of the harness.
    """
    import torch
    from safetensors.torch import load_file

    found = describe_model(path)
    cell = Cell.described({"id": str(path), "resolved": found["cell"]})
    model = components.build_model(cell.model, tuple(found["image_shape"]), found["latent_size"])
    model.load_state_dict(load_file(str(path), device="cpu"))
    # The layout it was trained and scored in: the same bits again.
    return model.to(device, memory_format=torch.channels_last).eval()


def loss_state(loss: Any) -> dict[str, "Tensor"]:
    """Return a copy, on the CPU, of a loss's state: its parameters and persistent buffers."""
    return {name: value.detach().cpu().clone() for name, value in loss.state_dict().items()}


def save_loss_state(
    path: Path, loss: Any, untrained: Mapping[str, "Tensor"], facts: dict[str, Any]
) -> None:
    """Write what training changed in a loss, beside its model; nothing where nothing changed.

    Args:
        path: of the model; the loss's state goes to `loss_path(path)`.
        loss: as trained.
        untrained: its `loss_state` as it was built.
        facts: those given to `save_model`.
    """
    from safetensors.torch import save

    target = loss_path(path)
    state = {
        name: value.detach().cpu().contiguous()
        for name, value in loss.state_dict().items()
        if not value.cpu().equal(untrained[name])
    }
    if state:
        content = save(state, {"harness": json.dumps(facts)})
        write_atomically(target, lambda stream: stream.write(content))
    else:
        target.unlink(missing_ok=True)  # of an earlier source of the loss


def load_loss_state(path: Path, loss: Any) -> bool:
    """Give a loss, built as for the training of the model at `path`, what training made of it.

    Returns whether it is now as trained: False where it has a state but none was kept with this
    model. The loss keeps its device and ends in evaluation mode.

    Raises:
        HarnessError: the file is damaged or belongs to another loss.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    loss.eval()
    stored = loss_path(path)
    if not stored.exists():
        return not loss.state_dict()
    model = describe_model(path)
    try:
        if any(model[key] != value for key, value in _metadata(stored).items()):
            return False
        unexpected = loss.load_state_dict(load_file(stored), strict=False).unexpected_keys
    except (OSError, SafetensorError, KeyError, RuntimeError) as error:
        raise HarnessError(f"{stored} does not fit its loss ({error}): train it again") from error
    if unexpected:
        raise HarnessError(f"{stored} does not fit its loss (it has {unexpected[0]}): train again")
    return True


def loss_path(path: Path) -> Path:
    """Return where the state of the loss lies that the model at `path` was trained with."""
    return path.with_suffix(".loss.safetensors")


def save_measured(store: Store, cell: str, seed: int, measured: "Measured") -> None:
    """Write the pictures and the scores per image of a final model."""
    _save_arrays(store.artefact("images", cell, seed, "npz"), measured.pictures)
    scores = pa.Table.from_pandas(measured.scores, preserve_index=False)
    target = store.artefact("scores", cell, seed, "parquet")
    write_atomically(target, lambda stream: pq.write_table(scores, stream))


def save_snapshots(store: Store, cell: str, seed: int, arrays: dict[str, np.ndarray]) -> None:
    """Write what the loss showed of itself over the epochs; see `Snapshots.arrays`."""
    path = store.artefact("images", cell, seed, "snapshots.npz")
    if arrays:
        _save_arrays(path, arrays)
    else:
        path.unlink(missing_ok=True)  # of an earlier source of the loss


def _save_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **arrays)
    write_atomically(path, lambda stream: stream.write(content.getvalue()))
