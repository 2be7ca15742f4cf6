"""Final models on disk: they come back bit by bit, and nothing else is taken for one."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file
from shell import make_cell

import harness
from harness import artefacts, components, seeds
from harness.errors import HarnessError
from harness.store import Store

CELL = make_cell("ssim + 2*l1")


@pytest.fixture
def model() -> torch.nn.Module:
    made = components.build_model(CELL.model, (1, 16, 16), 4, generator=seeds.generator("t"))
    found: torch.nn.Module = made.to(memory_format=torch.channels_last)
    return found


def test_a_model_comes_back_bit_by_bit(model: torch.nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "folder" / "m.safetensors"
    artefacts.save_model(path, model, CELL, {"beta": 0.5, "seed": 1})
    loaded = harness.load_model(path)
    assert not loaded.training
    state = model.state_dict()
    assert state.keys() == loaded.state_dict().keys()
    assert all(torch.equal(value, state[name]) for name, value in loaded.state_dict().items())
    images = torch.rand(2, 1, 16, 16, generator=seeds.generator("images"))
    assert torch.equal(model.eval().encode(images)[0], loaded.encode(images)[0])  # type: ignore[operator]
    assert [p.name for p in path.parent.iterdir()] == ["m.safetensors"]


def test_a_model_says_what_it_is(model: torch.nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    artefacts.save_model(path, model, CELL, {"beta": 0.5, "seed": 1})
    found = artefacts.describe_model(path)
    assert (found["image_shape"], found["latent_size"]) == ([1, 16, 16], 4)
    assert (found["beta"], found["seed"]) == (0.5, 1)
    assert type(CELL).model_validate(found["cell"]) == CELL


def test_what_is_no_model_is_named(tmp_path: Path) -> None:
    other = tmp_path / "other.safetensors"
    save_file({"x": torch.zeros(1)}, other)
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(other.read_bytes()[:20])
    for path in (tmp_path / "none.safetensors", other, damaged):
        with pytest.raises(HarnessError, match=f"{path.name} is no model stored by the harness"):
            artefacts.load_model(path)


def test_pictures_and_scores_open_without_pickles(tmp_path: Path) -> None:
    store = Store(tmp_path / "g")
    measured = SimpleNamespace(
        pictures={"recon": np.arange(12, dtype=np.uint8).reshape(3, 4), "spectrum": np.ones(2)},
        scores=pd.DataFrame({"psnr": [20.0, 21.0], "ssim": [0.5, 0.25]}),
    )
    artefacts.save_measured(store, CELL.id, 2, measured)  # type: ignore[arg-type]
    with np.load(store.root / "_images" / f"{CELL.id}.s2.npz", allow_pickle=False) as pictures:
        assert np.array_equal(pictures["recon"], measured.pictures["recon"])
        assert pictures["recon"].dtype == np.uint8
    scores = pd.read_parquet(store.root / "_scores" / f"{CELL.id}.s2.parquet")
    pd.testing.assert_frame_equal(scores, measured.scores)
