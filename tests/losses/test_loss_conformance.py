"""Every registered loss keeps the contract."""

import functools
from pathlib import Path

import pytest

import losses
from benchmarks import random_weights as pretrained_files
from losses.conformance import CHECKS, Check, Subject, examine

VARIANTS = [(name, {}) for name in losses.REGISTRY] + [
    ("sigma", {"shared": True}),
    ("ssim", {"window": 7}),
    ("ffl", {"alpha": 0.0}),
    ("ffl", {"patch_factor": 2, "log_matrix": True}),
    ("ffl", {"ave_spectrum": True}),
    ("ffl", {"batch_matrix": True}),
    ("blur", {"kernel": "gaussian"}),
    ("blur", {"epsilon": 0.5}),
    ("blur", {"likelihood": "wiener-exact"}),
    ("sharpness", {"variant": "a"}),
    ("sharpness", {"variant": "c"}),
    ("sharpness", {"variant": "d"}),
    ("stft", {"variant": "released"}),
    ("adaptive", {"representation": "pixel", "colour": "rgb"}),
    ("adaptive", {"representation": "dct"}),
    ("lpips", {"net": "squeeze", "min_side": 32}),
    ("watson-dft", {"per_image_mean": True}),
]
# VGG-16 takes a minute for the suite: these checks are enough to see it built and used.
LARGE = {"dists": {}, "vgg": {}, "lpips": {}}
FEW = {"builds", "attributes", "options", "shape", "evaluation"}
# By their nature: the sharpness of noise is that of other noise, and ms-ssim counts negative
# correlations as none.
NOTED = {"sharpness": {"noise"}, "ms-ssim": {"gradient"}}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files of the real networks with random weights."""
    return dict(pretrained_files.write_all(tmp_path_factory.mktemp("weights")))


@pytest.fixture
def subject(request: pytest.FixtureRequest) -> Subject:
    name, options = request.param
    needed = losses.find(name).required(3, **losses.defaults(name) | options)
    files = request.getfixturevalue("weights") if needed else {}
    return Subject(functools.partial(losses.build, name, weights=files, **options))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
@pytest.mark.parametrize(
    "subject",
    VARIANTS,
    ids=lambda variant: "-".join(map(str, (variant[0], *variant[1].values()))),
    indirect=True,
)
def test_registered_losses_conform(
    subject: Subject, check: Check, request: pytest.FixtureRequest
) -> None:
    name, options = request.node.callspec.params["subject"]
    if LARGE.get(name) == options and check.name not in FEW:
        pytest.skip(f"VGG-16 takes too long here: harness check {name}")
    result = examine(check, subject)
    assert result.kind != "failed", f"{result.message}: {result.fix}"
    if result.kind == "note":
        assert check.name in NOTED.get(name, set()), result.message
