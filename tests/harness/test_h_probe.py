"""`harness probe`: equal errors that losses see unequally."""

import io
import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from PIL import Image
from scipy import fft, ndimage
from torch import Tensor

from harness import __main__, seeds
from harness.errors import HarnessError
from harness.probe import ladder, probing, words
from harness.probe.bench import Bench, read_dataset, set_up
from harness.probe.ladder import LEVELS, SHOWN
from harness.probe.perturbations import HIGH, LOW, PERTURBATIONS
from harness.report.figures_probe import HEADS, probe_figure

PHOTOS = "photos[size=64,train=8,validation=8,test=8]"
LOSSES = [
    "l2",
    "ssim",
    "sharpness",
    "sharpness[variant=d]",
    "ffl[alpha=0]",
    "l2 + 2*ffl[alpha=0]",
    "blur[kernel=gaussian]",
    "blur[kernel=gaussian,variance=4]",
    "sigma",
    "continuous-bernoulli",
]
VALUES = 3 * 64 * 64


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return set_up(read_dataset(PHOTOS, None), 8, tmp_path_factory.mktemp("probe") / "_data")


@pytest.fixture(scope="module")
def frame(bench: Bench) -> pd.DataFrame:
    return probing.probe(probing.read_losses(LOSSES), bench).frame


def begin(name: str, images: Tensor) -> Any:
    found = next(each for each in PERTURBATIONS if each.name == name)
    return found.begin(images, seeds.generator("test"))


def ratio(frame: pd.DataFrame, loss: str, perturbation: str, level: float = SHOWN) -> float:
    chosen = frame["loss"].eq(loss) & frame["perturbation"].eq(perturbation)
    return float(frame[chosen & frame["level"].eq(level)]["ratio"].item())


def test_rungs_have_the_mse_they_are_named_for(bench: Bench) -> None:
    for name, rungs in bench.rungs.items():
        assert rungs.images.min() >= 0 and rungs.images.max() <= 1, name
        errors = (rungs.images.double() - bench.targets.double()).square().mean((2, 3, 4)).numpy()
        wanted = np.array(LEVELS)[:, None].repeat(8, 1)
        reached = rungs.reached.numpy()
        np.testing.assert_allclose(errors[reached], wanted[reached], rtol=2e-3, err_msg=name)
        assert (reached.sum(1) >= 2).sum() >= 4, name  # at least four levels can be compared
        assert (errors[~reached] < wanted[~reached]).all(), name


def test_same_axes_give_the_same_images_and_other_axes_others(bench: Bench) -> None:
    first, again = (ladder.build(bench.targets[:3], ("here",)) for _ in range(2))
    other = ladder.build(bench.targets[:3], ("there",))
    for name in first:
        assert torch.equal(first[name].images, again[name].images)
    for name in ("noise", "phase"):
        assert not torch.allclose(again[name].images, other[name].images)


def test_no_strength_changes_nothing(bench: Bench) -> None:
    for each in PERTURBATIONS:
        still = begin(each.name, bench.targets)(torch.zeros(8))
        torch.testing.assert_close(still, bench.targets, atol=3e-6, rtol=0)


def test_blur_is_that_of_scipy(bench: Bench) -> None:
    ours = begin("blur", bench.targets)(torch.full((8,), 1.5))
    theirs = ndimage.gaussian_filter(
        bench.targets.double().numpy(), 1.5, axes=(2, 3), mode="reflect", truncate=8
    )
    np.testing.assert_allclose(ours.numpy(), theirs, atol=2e-5)


def test_whole_pixels_of_shift_move_pixels(bench: Bench) -> None:
    ours = begin("shift", bench.targets)(torch.full((8,), 2.0))
    theirs = np.pad(bench.targets.numpy(), ((0, 0), (0, 0), (2, 0), (2, 0)), "symmetric")
    np.testing.assert_allclose(ours.numpy(), theirs[:, :, :64, :64], atol=3e-6)


@pytest.mark.parametrize(
    ("name", "low", "high"), [("low", 0, LOW), ("middle", LOW, HIGH), ("high", HIGH, 1)]
)
def test_a_lost_band_is_gone_and_the_others_stay(name: str, low: float, high: float) -> None:
    images = 0.5 + 0.02 * torch.randn(2, 1, 24, 32, generator=seeds.generator("grey"))
    ours = fft.dctn(begin(name, images)(torch.ones(2)).numpy(), axes=(2, 3), norm="ortho")
    before = fft.dctn(images.numpy(), axes=(2, 3), norm="ortho")
    radius = np.hypot(np.arange(24)[:, None] / 48, np.arange(32)[None, :] / 64)
    inside = (radius > low) & (radius <= high)
    np.testing.assert_allclose(ours, np.where(inside, 0, before), atol=1e-5)


@pytest.mark.parametrize("shape", [(2, 3, 24, 32), (2, 1, 21, 15)])
def test_scrambled_phases_keep_the_amplitudes(shape: tuple[int, ...]) -> None:
    images = 0.5 + 0.02 * torch.randn(shape, generator=seeds.generator("grey"))
    ours = begin("phase", images)(torch.full((2,), 0.7))
    amplitudes = [np.abs(np.fft.fft2(each.double().numpy())) for each in (ours, images)]
    np.testing.assert_allclose(*amplitudes, atol=1e-4)
    assert (ours - images).abs().max() > 0.02


def test_a_quality_is_pillows(bench: Bench) -> None:
    ours = begin("jpeg", bench.targets)(torch.full((8,), 60.0))[3]
    stream = io.BytesIO()
    pixels = (bench.targets[3] * 255).round().byte().permute(1, 2, 0).numpy()
    Image.fromarray(pixels).save(stream, "JPEG", quality=40)
    theirs = np.asarray(Image.open(stream)).transpose(2, 0, 1) / 255
    np.testing.assert_allclose(ours.numpy(), theirs, atol=1e-6)


def test_l2_is_blind_to_the_kind_of_error(frame: pd.DataFrame) -> None:
    rows = frame[frame["loss"].eq("l2") & frame["status"].eq("ok")]
    assert set(rows["perturbation"]) == {each.name for each in PERTURBATIONS}
    np.testing.assert_allclose(rows["ratio"], 1, rtol=2e-3)
    np.testing.assert_allclose(rows["energy"], VALUES / 2 * rows["level"], rtol=2e-3)
    np.testing.assert_allclose(rows["gradient_norm"], np.sqrt(VALUES * rows["level"]), rtol=2e-3)
    np.testing.assert_allclose(rows["gradient_ratio"], 1, rtol=2e-3)


def test_blur_sees_what_l2_does_not(frame: pd.DataFrame) -> None:
    assert ratio(frame, "blur[kernel=gaussian]", "blur") > 1.3
    assert ratio(frame, "blur[kernel=gaussian]", "middle") > 2
    assert ratio(frame, "blur[kernel=gaussian,variance=4]", "blur") > 2
    assert ratio(frame, "blur[kernel=gaussian,variance=4]", "high") < 0.1


def test_each_loss_is_blind_where_its_definition_says(frame: pd.DataFrame) -> None:
    for level in LEVELS:
        assert ratio(frame, "sharpness", "brightness", level) < 0.02
        assert ratio(frame, "ssim", "contrast", level) < 0.75
    assert ratio(frame, "ssim", "brightness") < 0.4
    assert ratio(frame, "sharpness", "high") > 1


def test_sums_options_and_schedules_count(frame: pd.DataFrame) -> None:
    energies = {loss: rows["energy"].to_numpy() for loss, rows in frame.groupby("loss")}
    l2 = energies["l2"]
    known = np.isfinite(l2)
    assert known.sum() > 40
    np.testing.assert_allclose(energies["ffl[alpha=0]"][known], 2 * l2[known], rtol=1e-4)
    np.testing.assert_allclose(energies["l2 + 2*ffl[alpha=0]"][known], 5 * l2[known], rtol=1e-4)
    # d is b from epoch 15 on: the probe looks at the end of the budget
    np.testing.assert_array_equal(energies["sharpness[variant=d]"], energies["sharpness"])


def test_a_likelihood_is_measured_from_its_perfect_reconstruction(frame: pd.DataFrame) -> None:
    row = frame[frame["loss"].eq("sigma") & frame["perturbation"].eq("noise")].iloc[2]
    perfect = VALUES * (math.log(math.exp(-6)) + math.log(2 * math.pi) / 2)
    sigma = math.sqrt(1e-3) + math.exp(-6)
    energy = VALUES * (1e-3 / (2 * sigma**2) + math.log(sigma) + math.log(2 * math.pi) / 2)
    assert row["energy"] == pytest.approx(energy, rel=1e-3)
    assert row["excess"] == pytest.approx(energy - perfect, rel=1e-3)


def test_spectra_of_gradients(bench: Bench, frame: pd.DataFrame) -> None:
    rows = frame[frame["loss"].eq("l2") & frame["level"].eq(LEVELS[2])].set_index("perturbation")
    noise = np.array(rows.loc["noise", "gradient_power"])[3:]
    np.testing.assert_allclose(noise, 1, atol=0.3)  # l2 pulls along white noise
    low = np.array(rows.loc["low", "gradient_power"])
    frequency = np.array(rows.loc["low", "frequency"])
    assert frequency[-1] == 0.5 and low[(frequency > 0) & (frequency < LOW)].min() > 5
    assert low[frequency > 2 * LOW].max() < 1


def test_a_network_as_drawn_is_noted(bench: Bench) -> None:
    names = ["blur[hidden=8]", "student-t", "fixed-spectrum", "l2"]
    found = probing.probe(probing.read_losses(names), bench).frame.drop_duplicates("loss")
    notes = ["companion network", "learned parameters", "running statistics"]
    for note, part in zip(found["note"], notes, strict=False):
        assert part in note
    assert pd.isna(found["note"].iloc[3])


def test_sentences_say_what_the_numbers_say(frame: pd.DataFrame) -> None:
    said = dict(words.sentences(frame))
    for loss in ("l2", "sigma", "ffl[alpha=0]"):
        assert "sees the mean squared error alone" in said[loss]
    assert "nearly blind to brightness (0.00 × noise)" in said["sharpness"]
    assert "most sensitive to white noise, least to" in said["ssim"]
    assert "most sensitive to lost middle frequencies" in said["blur[kernel=gaussian]"]
    assert "no ratios" in said["continuous-bernoulli"]
    assert words.gaps(frame).startswith("left out, too few images reach the MSE: lost high freq")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1.0"),
        (0.996, "1.0"),
        (0.994, "0.99"),
        (0.004, "0.00"),
        (-0.001, "0.00"),
        (-0.3, "−0.30"),
        (9.94, "9.9"),
        (9.96, "10"),
        (123.4, "123"),
        (math.nan, "–"),
    ],
)
def test_ratios_have_two_digits(value: float, text: str) -> None:
    assert words.number(value) == text


@pytest.fixture
def no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TORCH_HOME", "HARNESS_WEIGHTS", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "none"))


def test_missing_weights_are_a_row(bench: Bench, no_weights: None) -> None:
    found = probing.probe(probing.read_losses(["l2", "squeeze"]), bench).frame
    row = found[found["loss"].eq("squeeze")].iloc[0]
    assert row["status"] == "unavailable" and pd.isna(row["perturbation"])
    assert "harness prepare --weights squeezenet" in row["cause"]
    assert dict(words.sentences(found))["squeeze"].startswith("unavailable: ")
    with pytest.raises(HarnessError, match="nothing to show: squeeze: the pretrained weights"):
        probing.probe(probing.read_losses(["squeeze"]), bench)


def test_a_loss_that_refuses_the_images_is_a_row(harness: Any) -> None:
    """Grey ones, or such small ones; the others are asked."""
    given = ["--dataset", "digits8", "--images", "2"]
    code, out, err = harness("l2", "ssim", "l1", *given, "--json")
    found = {each["loss"]: each for each in json.loads(out)["losses"]}
    assert (code, err) == (0, "")
    assert [each["status"] for each in found.values()] == ["ok", "refused", "ok"]
    assert found["ssim"]["sentence"].startswith("refused: ") and not found["ssim"]["ratios"]
    assert "ssim" not in found["ssim"]["sentence"].split(": ")[1]
    code, _, err = harness("ssim", *given)
    assert code == 2 and err.startswith("error: nothing to show: ssim: ")


def test_a_loss_that_breaks_is_a_row(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    from losses.pointwise import L1

    def broken(*rest: Any, **named: Any) -> Tensor:
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(L1, "forward", broken)
    found = probing.probe(probing.read_losses(["l1", "l2"]), bench).frame
    assert list(found["status"])[:2] == ["failed", "ok"]
    assert found["cause"].iloc[0] == "RuntimeError: shapes do not match"


def many(frame: pd.DataFrame, count: int) -> pd.DataFrame:
    """A probe of so many losses, made of one loss's rows, and one that is unavailable."""
    rows = frame[frame["loss"].eq("ssim")]
    names = [f"blur[kernel=gaussian,variance={number}]" for number in range(count)]
    absent = rows.iloc[:1].assign(loss="lpips", status="unavailable", perturbation=None)
    return pd.concat([*(rows.assign(loss=name) for name in names), absent], ignore_index=True)


@pytest.mark.parametrize("count", [1, 3, 8, 25])
def test_nothing_sticks_out_of_the_figure(frame: pd.DataFrame, count: int) -> None:
    drawn = probe_figure(many(frame, count), "x")
    figure = drawn.figure
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    assert figure.get_figwidth() == 6.75 and figure.get_figheight() < 9
    texts = [t for axes in figure.axes for t in axes.findobj(Text)]
    shown = [t for t in texts if t.get_text() and t.get_visible()]
    boxes = [t.get_window_extent(renderer) for t in shown]
    width, height = figure.get_size_inches() * figure.dpi
    for text, box in zip(shown, boxes, strict=True):
        assert box.x0 >= 0 and box.y0 >= 0, text
        assert box.x1 <= width and box.y1 <= height, text
    written = [t.get_text() for t in shown]
    assert "unavailable" in written and set(HEADS.values()) <= set(written)
    assert sum(text.endswith("variance=0]") for text in written) == (3 if count <= 8 else 1)


@pytest.fixture
def harness(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Any:
    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["harness", "probe", *arguments])
        code: Any = 0
        try:
            __main__.main()
        except SystemExit as ended:
            code = ended.code
        return (code or 0, *capsys.readouterr())

    monkeypatch.chdir(tmp_path)
    return call


@pytest.mark.slow
def test_the_command_writes_rows_and_a_figure(harness: Any, tmp_path: Path) -> None:
    arguments = ["l2", "l2", "l1", "--dataset", "digits", "--size", "16", "--images", "6"]
    code, out, err = harness(*arguments)
    assert (code, err) == (0, "")
    assert "digits16, images 1×16×16" in out and "l2: sees the mean squared error alone" in out
    (rows,) = (tmp_path / "results/_probe").iterdir()
    stored = pd.read_parquet(rows)
    assert list(stored["loss"].unique()) == ["l2", "l1"]
    assert len(stored) == 2 * len(PERTURBATIONS) * len(LEVELS)
    assert stored["images"].max() == 6 and stored["data_hash"].notna().all()
    figures = sorted(path.suffix for path in (tmp_path / "reports/_probe").iterdir())
    assert figures == [".csv", ".pdf", ".png", ".svg"]
    code, out, _ = harness(*arguments, "--json", "--out", "elsewhere")
    found = json.loads(out)
    assert found["losses"][1]["loss"] == "l1" and found["losses"][0]["ratios"]["blur"] == (
        pytest.approx(1, rel=2e-3)
    )
    assert Path(found["files"][0]) == rows.relative_to(tmp_path)  # the same question: replaced
    assert len(list((tmp_path / "results/_probe").iterdir())) == 1
    assert Path("elsewhere").is_dir()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["fll"], "unknown loss 'fll' (did you mean 'ffl'?)"),
        (["l2", "--images", "0"], "--images is 0; give a positive number such as 16"),
        (["l2", "--dataset", "foto"], "unknown dataset 'foto'"),
        (["ssim", "--dataset", "digits8"], "nothing to show: ssim: "),
        (["l2[x=1]"], "unknown option 'x' of loss 'l2'"),
        (["l2", "--dataset", "digits16", "--images", "2", "--out", "file"], "cannot write to file"),
    ],
)
def test_mistakes_are_one_sentence(harness: Any, arguments: list[str], sentence: str) -> None:
    Path("file").write_text("")
    code, out, err = harness(*arguments)
    assert code == 2 and err.startswith(f"error: {sentence}") and err.count("\n") == 1, err
    assert out == ""
