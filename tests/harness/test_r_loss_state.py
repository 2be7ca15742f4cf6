"""What training made of a loss is kept with its model, and comes back."""

from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from safetensors.torch import load_file, save_file

from harness import artefacts, components, seeds
from harness.cell import run_cell
from harness.errors import HarnessError
from harness.grid import Cell
from harness.metrics import likelihood
from harness.store import Store
from losses.base import ReconstructionLoss

BLUR = "l2 + 2*blur[hidden=8,warmup=0]"
CELL = tiny.tiny_cell(BLUR, beta=0.1, epochs=1, seeds=2)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    run_cell(tiny.assignment(CELL, folder))
    return folder


def model_path(folder: Path, cell: Cell = CELL, seed: int = 0) -> Path:
    return Store(folder / "tiny").artefact("models", cell.id, seed, "safetensors")


def untrained(cell: Cell = CELL, seed: int = 0) -> Any:
    generator = seeds.generator("loss", cell.dataset.spec, cell.model.spec, seed)
    return components.build_loss(cell.loss, (1, 16, 16), 4, generator=generator)


def test_the_trained_generator_of_kernels_comes_back(finished: Path) -> None:
    """It lies beside the model of its seed, and is what the training left."""
    path, loss, before = model_path(finished), untrained(), untrained()
    assert artefacts.loss_path(path).name == f"{CELL.id}.s0.loss.safetensors"
    assert artefacts.load_loss_state(path, loss)
    assert not loss.training
    stored = load_file(artefacts.loss_path(path))
    assert {name.rpartition(".")[0] for name in stored} == {
        "terms.1.companion.hidden",
        "terms.1.companion.output",
    }
    for name, value in loss.state_dict().items():
        assert torch.equal(value, stored[name]) and not torch.equal(
            value, before.state_dict()[name]
        )
    other = untrained(seed=1)
    assert artefacts.load_loss_state(model_path(finished, seed=1), other)
    assert not tiny.same(tiny.state_of(loss), tiny.state_of(other))


def test_the_papers_likelihood_takes_the_trained_kernels(finished: Path) -> None:
    """The numbers of Table 6 differ from those of the kernels as drawn."""
    trained, drawn = untrained(), untrained()
    artefacts.load_loss_state(model_path(finished), trained)
    generator = torch.Generator().manual_seed(0)
    recon, target = torch.rand(2, 3, 1, 16, 16, generator=generator)
    rest = (recon, target, torch.randn(3, 4, generator=generator), torch.zeros(3))
    found, other = (likelihood.nll_paper(each, *rest) for each in (trained, drawn))
    assert found.isfinite().all() and not torch.allclose(found, other)


def test_a_loss_without_a_state_leaves_no_file(tmp_path: Path) -> None:
    cell = tiny.tiny_cell("ssim + l1", beta=0.1, epochs=1)
    stale = artefacts.loss_path(model_path(tmp_path, cell))
    stale.parent.mkdir(parents=True)
    stale.write_bytes(b"of an earlier source of the loss")
    run_cell(tiny.assignment(cell, tmp_path))
    assert [path.name for path in stale.parent.iterdir()] == [f"{cell.id}.s0.safetensors"]
    assert artefacts.load_loss_state(model_path(tmp_path, cell), untrained(cell))


def test_running_statistics_are_kept(tmp_path: Path) -> None:
    """Buffers that training moves, without any parameter."""
    cell = tiny.tiny_cell("fixed-spectrum", beta=0.1, epochs=1)
    run_cell(tiny.assignment(cell, tmp_path))
    loss = untrained(cell)
    assert artefacts.load_loss_state(model_path(tmp_path, cell), loss)
    assert loss.batches == 4 and not torch.equal(loss.spectrum, untrained(cell).spectrum)


def test_only_what_training_changed_is_written(tmp_path: Path) -> None:
    """A large constant in the state, such as a network of a plugin, is built again."""

    class Mixed(ReconstructionLoss):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("network", torch.ones(1000))
            self.learned = torch.nn.Parameter(torch.zeros(2))

    loss, path = Mixed(), tmp_path / "m.safetensors"
    untrained = artefacts.loss_state(loss)
    artefacts.save_loss_state(path, loss, untrained, {"beta": 1.0})
    assert not list(tmp_path.iterdir())
    loss.learned.data += 1  # in place, as an optimiser does
    artefacts.save_loss_state(path, loss, untrained, {"beta": 1.0})
    assert load_file(artefacts.loss_path(path)).keys() == {"learned"}


@pytest.mark.parametrize(("keep", "kept"), [("all", 2), ("first-seed", 1), ("none", 0)])
def test_a_loss_is_built_once_for_each_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keep: str, kept: int
) -> None:
    """Deep losses read their weights then; what is kept follows the models."""
    built: list[object] = []
    build = components.build_loss

    def counted(*given: Any, **rest: Any) -> Any:
        built.append(build(*given, **rest))
        return built[-1]

    monkeypatch.setattr(components, "build_loss", counted)
    run_cell(tiny.assignment(CELL, tmp_path, keep_models=keep))
    assert len(built) == 2
    files = sorted(path.name for path in (tmp_path / "tiny" / "_models").iterdir())
    names = ("loss.safetensors", "safetensors")
    assert files == [f"{CELL.id}.s{seed}.{name}" for seed in range(kept) for name in names]


def test_a_state_of_another_training_or_none_at_all_is_said(finished: Path, tmp_path: Path) -> None:
    """The numbers of an untrained loss are never given for those of a trained one."""
    path = tmp_path / "m.safetensors"
    path.write_bytes(model_path(finished).read_bytes())
    assert not artefacts.load_loss_state(path, untrained())
    own = artefacts.loss_path(path)
    own.write_bytes(artefacts.loss_path(model_path(finished, seed=1)).read_bytes())
    assert not artefacts.load_loss_state(path, untrained())


def test_a_damaged_or_foreign_state_is_named(finished: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(model_path(finished).read_bytes())
    own = artefacts.loss_path(path)
    own.write_bytes(b"cut")
    with pytest.raises(HarnessError, match=r"m\.loss\.safetensors does not fit its loss"):
        artefacts.load_loss_state(path, untrained())
    for state in ({"x": torch.zeros(1)}, {"terms.1.companion.output.bias": torch.zeros(1)}):
        save_file(state, own, {"harness": "{}"})
        with pytest.raises(HarnessError, match=r"m\.loss\.safetensors does not fit its loss"):
            artefacts.load_loss_state(path, untrained())
