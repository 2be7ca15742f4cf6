"""Listing, finding and building losses, and what the user is told when it fails."""

import subprocess
import sys
from typing import Literal

import pytest

import losses
from losses.base import MissingContext, MissingWeights, ReconstructionLoss
from losses.options import InvalidOption, UnknownOption, check, defaults

FAMILIES = {"pointwise", "structural", "frequency", "learned", "adversarial", "likelihood"}


class Needy(ReconstructionLoss):
    requires = ("vgg19", "squeezenet")


class Choosy(ReconstructionLoss):
    def __init__(self, *, mode: Literal["soft", "hard"] = "soft", scales: tuple[int, ...] = (1,)):
        super().__init__()


def test_listing_imports_no_torch():
    code = "import losses, sys; print(*losses.REGISTRY, 'torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"l2", "l1", "ce", "ssim", "sigma", "False"} <= set(run.stdout.split())


@pytest.mark.parametrize("name", losses.REGISTRY)
def test_entries_describe_their_class(name):
    entry, found = losses.REGISTRY[name], losses.find(name)
    assert entry.name == name
    assert entry.family in FAMILIES
    assert entry.source
    assert entry.density == found.density
    assert entry.needs.startswith("nothing") == (not found.required(3))
    assert found.__doc__ and found.__module__ == entry.module


def test_unknown_loss_names_the_nearest():
    with pytest.raises(ValueError) as caught:
        losses.build("sigm")
    expected = "unknown loss 'sigm' (did you mean 'sigma'?). See: harness list losses"
    assert str(caught.value) == expected
    with pytest.raises(
        losses.UnknownLoss, match=r"^unknown loss 'qqqq'. See: harness list losses$"
    ):
        losses.find("qqqq")


def test_defaults_are_the_options_alone():
    assert losses.defaults("l2") == {}
    assert losses.defaults("ssim") == {"window": 11, "sigma": 1.5}
    assert losses.defaults("sigma") == {"shared": False, "floor": -6.0}


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("l2", {"sigma": 1}, r"loss 'l2' has no option 'sigma' \(its options: none\)"),
        ("ssim", {"win": 7}, r"no option 'win' \(its options: window, sigma\)"),
        ("ssim", {"window": "big"}, r"loss 'ssim': window is 'big'; give int, such as .* 11"),
        ("ssim", {"window": True}, "window is True; give int"),
        ("ssim", {"window": 8}, "window is 8; give an odd positive integer"),
        ("ssim", {"sigma": 0.0}, "sigma is 0.0; give a positive number"),
        ("sigma", {"shared": 1}, "shared is 1; give bool"),
        ("sigma", {"floor": "low"}, "floor is 'low'; give float or None"),
        ("sigma", {"floor": float("nan")}, "floor is nan; give a log scale from -50"),
        ("sigma", {"floor": 1000.0}, "floor is 1000.0; give a log scale from -50 to 10, or none"),
        ("student-t", {"floor": 800.0}, "floor is 800.0"),
        ("student-t", {"nu": 1e300}, r"nu is 1e\+300; give degrees of freedom"),
        ("student-t", {"init": 1e-300}, "init is 1e-300; give a positive number such as 0.1"),
        ("fixed-spectrum", {"floor": 500.0}, "floor is 500.0"),
        ("fixed-spectrum", {"init": 1e300}, r"init is 1e\+300"),
        ("laplacian-pyramid", {"ratio": 1e200}, r"ratio is 1e\+200; give a number from 0.001"),
        ("adaptive", {"scale_lo": 1e-300, "scale_init": 1e-300}, "give 1e-15 <= scale_lo"),
        ("stft", {"eps": 1e30}, r"eps is 1e\+30; give a small positive number"),
        ("stft", {"phase": 0.0, "amplitude": 0.0}, "which leaves no frequency term"),
        ("stft", {"base": "l1", "ssim_window": 4}, "ssim_window is 4, but base=l1; set base=ssim"),
        ("blur", {"variance": -1.0}, "variance is -1.0; give a positive number"),
        ("blur", {"variance": 4.0}, "variance is 4.0, but kernel=generator; set kernel=gaussian"),
        (
            "blur",
            {"kernel": "gaussian", "hidden": 10},
            "hidden is 10, but kernel=gaussian is fixed",
        ),
        ("blur", {"kernel": "delta", "padding": "zeros"}, "padding is 'zeros', but kernel=delta"),
    ],
)
def test_bad_options_are_refused_in_a_sentence(name, options, message):
    with pytest.raises((UnknownOption, InvalidOption), match=message) as caught:
        losses.build(name, image_shape=(3, 16, 16), latent_size=4, **options)
    assert isinstance(caught.value, ValueError)
    assert "\n" not in str(caught.value)


def test_an_integer_counts_as_a_float():
    assert losses.build("ssim", image_shape=(3, 16, 16), sigma=2).native_scale == 768
    assert losses.build("sigma", floor=None) is not None


def test_choices_and_tuples_are_checked():
    check("loss 'x'", Choosy, {"mode": "hard", "scales": (1, 2)})
    with pytest.raises(InvalidOption, match=r"mode is 'mid'; give 'soft' or 'hard'"):
        check("loss 'x'", Choosy, {"mode": "mid"})
    with pytest.raises(InvalidOption, match="scales is 3"):
        check("loss 'x'", Choosy, {"scales": 3})
    assert defaults(Choosy) == {"mode": "soft", "scales": (1,)}


def test_ssim_needs_images_at_least_as_large_as_its_window():
    with pytest.raises(InvalidOption, match=r"8x28 are smaller than the window of 11.*window=7"):
        losses.build("ssim", image_shape=(1, 8, 28))
    with pytest.raises(InvalidOption, match="window=5"):
        losses.build("ssim", image_shape=(1, 6, 6))
    assert losses.build("ssim", image_shape=(1, 8, 28), window=7)
    assert losses.build("ssim", image_shape=(1, 11, 11))


def test_missing_context_and_weights_are_named():
    with pytest.raises(MissingContext, match=r"SSIM needs image_shape=\(C, H, W\)"):
        losses.build("ssim")
    with pytest.raises(MissingContext, match="latent_size"):
        losses.build("l2").needed_latent_size()
    with pytest.raises(MissingWeights, match="Needy needs the pretrained weights vgg19, squeeze"):
        Needy()
    with pytest.raises(MissingWeights, match="weights squeezenet;"):
        Needy(weights={"vgg19": "somewhere"})
    with pytest.raises(InvalidOption, match=r"image_shape is \(3, 0, 4\)"):
        losses.build("l2", image_shape=(3, 0, 4))
