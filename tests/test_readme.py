"""What the README shows works as it stands there."""

import re
import shlex
from pathlib import Path

import pytest
import torch
from typer.main import get_command

import losses
from harness import checking, grid, plugins
from harness.cli import app

README = (Path(__file__).parent.parent / "README.md").read_text()


def block(language: str, containing: str) -> str:
    """Return the fenced block of the README that contains a text."""
    found = re.findall(r"^```(\w*)\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    return next(text for word, text in found if word == language and containing in text)


@pytest.fixture
def own_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The README's plugin as a file in the working folder, forgotten at the end."""
    monkeypatch.setattr(losses, "REGISTRY", dict(losses.REGISTRY))
    monkeypatch.setattr(plugins, "_registered", {})
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "my_loss.py"
    path.write_text(block("python", "# my_loss.py"))
    return path


def test_the_loss_of_your_own_is_short_and_conforms(own_loss: Path) -> None:
    section = README.partition("## Your own loss")[2].partition("\n## ")[0]
    assert len([line for line in section.splitlines() if line.strip()]) < 25
    (verdict,) = checking.check("my_loss.py", size=16)
    assert (verdict.loss, verdict.of("failed"), verdict.of("note")) == ("huber", [], [])
    assert verdict.next == "harness run --plugin my_loss.py --dataset photos --loss l2 --loss huber"


def test_the_loss_of_your_own_has_the_value_it_says(own_loss: Path) -> None:
    plugins.load(own_loss)
    loss = losses.build("huber", image_shape=(3, 32, 32))
    target = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    energy = loss(target + 0.05, target, torch.zeros(2, 4))
    # Below delta the loss is half the square.
    assert energy.tolist() == pytest.approx([3 * 32 * 32 * 0.05**2 / 2] * 2, rel=1e-4)


def test_the_commands_for_a_loss_of_your_own_run(
    own_loss: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = block("", "harness check my_loss.py").replace("\\\n", " ")
    check, run = text.strip().splitlines()
    small = ["--dataset", "digits16", "--model", "conv4[width=4,mlp=16]", "-n"]
    for line, more in ((check, ["--size", "16"]), (run, small)):
        with pytest.raises(SystemExit) as ended:
            app([*shlex.split(line, comments=True)[1:], *more])
        assert ended.value.code == 0
    assert "huber-delta0.05-0.1-ssim" in capsys.readouterr().out


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
