"""What the README shows works as it stands there."""

import re
import shlex
from pathlib import Path

import pytest
import torch
from typer.main import get_command

from harness import grid
from harness.cli import app

README = (Path(__file__).parent.parent / "README.md").read_text()


def block(language: str, containing: str) -> str:
    """Return the fenced block of the README that contains a text."""
    found = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    return next(text for text in found if containing in text)


def test_the_example_loss_is_a_loss(tmp_path: Path) -> None:
    space: dict[str, object] = {}
    exec(compile(block("python", "class Huber"), "losses/huber.py", "exec"), space)
    loss = space["Huber"](delta=0.1, image_shape=(3, 32, 32))  # type: ignore[operator]
    target = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    recon = (target + 0.05).requires_grad_()
    energy = loss(recon, target, torch.zeros(2, 4))
    # Below delta the loss is half the square.
    assert energy.tolist() == pytest.approx([3 * 32 * 32 * 0.05**2 / 2] * 2, rel=1e-4)
    energy.sum().backward()
    assert torch.isfinite(recon.grad).all()
    assert loss.beta_range == (0.01, 0.5)


def test_the_example_grid_is_valid() -> None:
    cells = grid.parse(block("toml", "[[block]]"), "mine.toml", {}).cells()
    assert len(cells) == 4 * 2 * 2
    assert {cell.protocol.lr for cell in cells if cell.loss_spec == "sigma"} == {5e-4}


def test_the_commands_of_the_tour_exist() -> None:
    verbs = set(get_command(app).commands)  # type: ignore[attr-defined]
    text = block("", "harness doctor").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip()]
    assert len(lines) >= 8
    for line in lines:
        words = shlex.split(line, comments=True)
        assert words[0] == "harness" and words[1] in verbs
