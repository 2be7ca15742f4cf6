"""Every check notices a loss that breaks what it asks, and lets a sound one pass."""

import random
from typing import Any

import broken_losses as broken
import pytest
import torch

from losses.base import ReconstructionLoss
from losses.conformance import CHECKS, ImagesOutOfRange, Subject, examine, run
from losses.options import InvalidOption

BY_NAME = {check.name: check for check in CHECKS}


class NotALoss(torch.nn.Module):
    def __init__(self, **context: Any) -> None:
        super().__init__()


FAILURES = [
    ("builds", NotALoss, "a NotALoss was made, which is no ReconstructionLoss"),
    ("builds", broken.NoContext, "the context does not reach the base class"),
    ("builds", broken.NeedsGenerator, "AttributeError: 'NoneType' object has no attribute"),
    ("attributes", broken.Reversed, "not 0 < low < high"),
    ("attributes", broken.WrongScale, "native_scale is 3.0, not 1 or C*H*W = 768"),
    ("attributes", broken.RequiresText, "requires is 'vgg16', not a tuple"),
    ("options", broken.Untyped, "the option power cannot be given in a spec"),
    ("options", broken.Positional, "the option power cannot be given in a spec"),
    ("options", broken.Divides, "steps=0 ends in ZeroDivisionError: division by zero"),
    ("shape", broken.BatchMean, r"a batch of 1 gave (), not (1,)"),
    ("shape", broken.OnePerPixel, r"a batch of 1 gave (1, 3, 16, 16), not (1,)"),
    ("dtype", broken.Single, "float64 images gave float32 energies"),
    ("logits", broken.WrongLogits, "the energy with logits is another"),
    ("inputs", broken.InPlace, "it changes recon in place"),
    ("finite", broken.NoGradientAtZero, "black against black is finite but its gradient is not"),
    ("finite", broken.Logarithm, "the energy of black against black is nan"),
    ("batch", broken.Centred, "changes with the other images of its batch"),
    ("batch", broken.CentredInTraining, "changes with the other images of its batch"),
    ("batch", broken.FirstCountsTwice, "the order of the images changes their energies"),
    ("randomness", broken.DrawsTorch, "a forward pass draws global random numbers"),
    ("randomness", broken.DrawsPython, "a forward pass draws global random numbers"),
    ("randomness", broken.DrawsWhenBuilt, "building it draws global random numbers"),
    ("randomness", broken.OwnGenerator, "the same generator state give different energies"),
    ("evaluation", broken.DrawsInEvaluation, "different energies under eval()"),
    ("evaluation", broken.WastesDraws, "it draws under eval()"),
    ("gradient", broken.Detached, "does not depend on recon for autograd"),
    ("gradient", broken.Rounded, "that differs from its target is zero"),
    ("slope", broken.DetachedWeight, "along one direction the value changes by"),
    ("training", broken.WrongWay, "30 steps of Adam took the mean energy from"),
    ("identity", broken.Similarity, "a perfect reconstruction costs -0, an unrelated image -"),
    ("state", broken.Forgets, "a loss that loaded the state of a trained one gives the energy"),
    ("state", broken.DrawnConstant, "a loss that loaded the state of a trained one"),
    ("copies", broken.SharedCopy, "a deep copy shares parameters"),
    ("devices", broken.StaysBehind, "moved to another device it fails"),
    ("devices", broken.DrawsOnDevice, "moved to another device it fails"),
    ("double", broken.RoundsWhenDouble, "in float64 the energy is"),
    ("main parameters", broken.ForeignParameter, "returns a tensor that is no parameter"),
    ("main parameters", broken.UnusedParameter, "gets no finite gradient from the energy"),
    ("companion", broken.CompanionPerImage, "companion_loss returns the shape (3,)"),
    ("companion", broken.CompanionDetached, "companion_loss does not train the companion"),
    ("companion", broken.CompanionBlocks, "no gradient passes the frozen companion"),
    ("companion", broken.CompanionAlone, "it has a companion but no companion_loss"),
    ("decoder loss", broken.DecoderShape, "decoder_loss returns the shape (3, 768)"),
    ("decoder loss", broken.DecoderDetached, "decoder_loss has no gradient"),
    ("schedule", broken.EndsAtInfinity, "after start_epoch(1000.0) the energy is not finite"),
    ("schedule", broken.WholeEpochs, "TypeError: list indices must be integers"),
    ("snapshot", broken.SnapshotShape, "snapshot's 'kernel' has no entry per image"),
    ("snapshot", broken.SnapshotDraws, "snapshot changes the loss or draws"),
]
NOTES = [
    ("options", broken.DividesLater, "steps=0 is taken and then ends in ZeroDivisionError"),
    ("batch", broken.Uncoupled, "no coupling was seen"),
    ("devices", broken.Waits, "each step waits for a value from the device"),
    ("main parameters", broken.ForgottenParameter, "nobody trains scale"),
    ("schedule", broken.NeverStarts, "start_epoch changes nothing"),
    ("scale", broken.PixelMean, "of four times the pixels is 1.0 times as large; losses here sum"),
    ("noise", broken.ComparesSpread, "does not rise with the share of noise"),
    ("identity", broken.LikesHalf, "a perfect reconstruction costs more"),
]


@pytest.mark.parametrize(
    ("name", "kind", "message"), FAILURES, ids=lambda part: getattr(part, "__name__", None)
)
def test_each_check_notices_what_it_asks_for(name: str, kind: type, message: str) -> None:
    result = examine(BY_NAME[name], Subject(kind))
    assert (result.kind, message in result.message) == ("failed", True), result
    assert result.fix and result.why
    assert "\n" not in result.message + result.fix + result.why


@pytest.mark.parametrize(
    ("name", "kind", "message"), NOTES, ids=lambda part: getattr(part, "__name__", None)
)
def test_what_is_only_informative_is_a_note(name: str, kind: type, message: str) -> None:
    result = examine(BY_NAME[name], Subject(kind))
    assert (result.kind, message in result.message) == ("note", True), result


def test_every_check_can_fail_or_note() -> None:
    untested = {"gpu"}
    assert {name for name, *_ in FAILURES + NOTES} == set(BY_NAME) - untested


@pytest.mark.parametrize("kind", [broken.Sound, broken.Companioned])
def test_a_sound_loss_passes(kind: type[ReconstructionLoss]) -> None:
    results = run(kind)
    assert [result.name for result in results] == list(BY_NAME)
    assert [result for result in results if result.kind in ("failed", "note")] == []


@pytest.mark.parametrize("images", [None, torch.rand(40, 1, 16, 16)])
def test_a_mean_over_pixels_is_noted_and_a_norm_is_not(images: torch.Tensor | None) -> None:
    kinds = (broken.PixelMean, broken.PixelRoot, broken.Sound)
    found = [examine(BY_NAME["scale"], Subject(kind, images=images)).kind for kind in kinds]
    assert found == ["note", "passed", "passed"]


def test_a_loss_of_one_size_has_no_scale() -> None:
    refused = examine(BY_NAME["scale"], Subject(broken.OneSize))
    assert refused.kind == "skipped"
    assert refused.message.endswith("of twice the side: images of 32 pixels; give 16")
    fails = examine(BY_NAME["scale"], Subject(broken.OneSizeUnsaid))
    assert fails.kind == "skipped"
    assert "RuntimeError" in fails.message and "(broken_losses.py, line " in fails.message


def test_what_explains_other_failures_comes_first() -> None:
    failed = [result.name for result in run(broken.Detached) if result.kind == "failed"]
    assert failed[0] == "gradient"
    names = list(BY_NAME)
    assert max(names.index("batch"), names.index("gradient")) < names.index("finite")


def test_a_line_is_blamed_only_where_one_raised() -> None:
    results = {result.name: result for result in run(broken.Detached)}
    assert results["slope"].message.startswith("RuntimeError: element 0 of tensors does not")
    assert results["slope"].fix.startswith("no line of the loss raised it")


@pytest.mark.parametrize(
    ("name", "kind"),
    [("options", broken.Divides), ("options", broken.DividesLater), ("devices", broken.Waits)],
)
def test_errors_that_a_check_foresees_say_where(name: str, kind: type) -> None:
    assert "(broken_losses.py, line " in examine(BY_NAME[name], Subject(kind)).message


def test_an_error_of_the_standard_library_is_that_of_the_line_that_called() -> None:
    class Chooses(broken.Sound):
        def energy(self, recon: Any, target: Any) -> Any:
            return super().energy(recon, target) * random.choice([])

    (result,) = run(Chooses, checks=[BY_NAME["shape"]])
    assert "IndexError" in result.message
    assert "(test_loss_conformance_failures.py, line " in result.message


def test_a_factor_held_constant_may_be_declared() -> None:
    result = examine(BY_NAME["slope"], Subject(broken.Declared))
    assert (result.kind, "held constant by definition" in result.message) == ("skipped", True)


def test_one_mistake_does_not_fail_every_check() -> None:
    results = run(broken.BatchMean)
    assert [result.name for result in results if result.kind == "failed"] == ["shape"]
    after = results[[result.name for result in results].index("shape") + 1 :]
    assert {result.message for result in after} == {"mend 'shape' first"}


def test_an_error_says_where_it_arose() -> None:
    class Misspelt(broken.Sound):
        def energy(self, recon: Any, target: Any) -> Any:
            return (recon - target).sqare()

    result = next(result for result in run(Misspelt) if result.name == "shape")
    assert "AttributeError: 'Tensor' object has no attribute 'sqare'" in result.message
    assert "(test_loss_conformance_failures.py, line " in result.message


def test_images_may_be_given() -> None:
    seen = []

    class Looks(broken.Sound):
        def energy(self, recon: Any, target: Any) -> Any:
            seen.append(target)
            return super().energy(recon, target)

    images = torch.rand(5, 1, 12, 14, generator=torch.Generator().manual_seed(0))
    assert run(Looks, images=images, checks=[BY_NAME["shape"]])[0].kind == "passed"
    assert all((image == images).flatten(1).all(1).any() for batch in seen for image in batch)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.full((2, 1, 8, 8), 255.0), "values from 255 to 255; give values in [0, 1]"),
        (torch.full((2, 1, 8, 8), -0.5), "values from -0.5 to -0.5"),
        (torch.full((2, 1, 8, 8), torch.nan), "values from nan to nan"),
        (torch.zeros(2, 1, 8, 8, dtype=torch.uint8), "the images are uint8; give floats in [0, 1]"),
        (torch.zeros(2, 1, 0, 8), "the shape (2, 1, 0, 8); give some of (N, C, H, W)"),
        (torch.zeros(1, 8, 8), "the shape (1, 8, 8); give some of (N, C, H, W)"),
    ],
)
def test_images_out_of_range_are_refused(images: torch.Tensor, message: str) -> None:
    with pytest.raises(ImagesOutOfRange) as caught:
        run(broken.Sound, images=images)
    assert message in str(caught.value)
    assert not issubclass(ImagesOutOfRange, InvalidOption)
