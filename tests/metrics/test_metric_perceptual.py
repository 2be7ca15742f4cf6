"""LPIPS against its package, with random weights in place of the networks' real ones."""

import hashlib
import warnings
from pathlib import Path

import lpips
import pytest
import torch
import torch.nn.functional as F
import torchvision
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from benchmarks.random_weights import heads, random_features
from harness import weight_files, weights
from harness.metrics import perceptual
from harness.metrics.features import MissingFeatureWeights
from harness.metrics.perceptual import Lpips
from losses.networks import ALEXNET, VGG16

TRUNKS = {"alex": "alexnet", "vgg": "vgg16"}
WHEEL = Path(lpips.__file__).parent / "weights" / "v0.1"


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("weights")
    paths = {name: folder / f"{name}.safetensors" for name in TRUNKS.values()}
    save_file(random_features(ALEXNET), paths["alexnet"])
    save_file(random_features(VGG16), paths["vgg16"])
    for net in ("alex", "vgg"):
        paths[f"lpips-{net}"] = folder / f"{net}.pth"
        torch.save(heads(net), paths[f"lpips-{net}"])
    return paths


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path) -> None:
    """Keep the digests that are remembered out of the user's cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


@pytest.fixture
def package(files, monkeypatch):
    """Return `package(net)`, the lpips package with the weights of `files`."""

    def make(net: str) -> nn.Module:
        name = TRUNKS[net]
        with torch.device("meta"):
            trunk = getattr(torchvision.models, name)(weights=None)
        state = load_file(files[name])
        trunk.load_state_dict(state, strict=False, assign=True)
        monkeypatch.setattr(lpips.pretrained_networks.tv, name, lambda pretrained: trunk)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            network = lpips.LPIPS(net=net, pretrained=False, pnet_rand=True, verbose=False)
        network.load_state_dict(heads(net), strict=False)
        return network.eval().requires_grad_(False)

    return make


def pair(*shape: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    target = torch.rand(shape, generator=generator)
    return (target + 0.1 * torch.randn(shape, generator=generator)).clamp(0, 1), target


@pytest.mark.parametrize("net", ["alex", "vgg"])
@pytest.mark.parametrize("size", [(64, 64), (70, 96)])
def test_equals_the_package(net: str, size: tuple[int, int], files, package) -> None:
    recon, target = pair(3, 3, *size)
    expected = package(net)(recon, target, normalize=True).flatten().double()
    found = Lpips(net, files)(recon, target)
    assert found.dtype == torch.float64
    assert float(expected.min()) > 0.01
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


def test_small_and_grey_images_are_enlarged_and_repeated(files, package) -> None:
    recon, target = pair(2, 1, 28, 32)
    seen = [
        F.interpolate(images, (64, 73), mode="bilinear").expand(-1, 3, -1, -1)
        for images in (recon, target)
    ]
    expected = package("alex")(*seen, normalize=True).flatten().double()
    found = Lpips("alex", files)(recon, target)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("net", ["alex", "vgg"])
def test_an_image_does_not_depend_on_its_batch(net: str, files, monkeypatch) -> None:
    monkeypatch.setattr(perceptual, "_chunk", lambda *_: 2)
    metric = Lpips(net, files)
    recon, target = pair(5, 3, 64, 64)
    together = metric(recon, target)
    apart = torch.cat([metric(recon[i : i + 1], target[i : i + 1]) for i in range(5)])
    torch.testing.assert_close(together, apart, rtol=1e-5, atol=1e-7)
    assert metric(target, target).tolist() == [0] * 5
    assert (metric(recon, target) == metric(recon, target)).all()


def test_images_are_neither_rounded_nor_changed(files) -> None:
    metric = Lpips("alex", files)
    _, target = pair(1, 3, 64, 64)
    recon = target + 0.3 / 255
    before = recon.clone()
    assert float(metric(recon, target)) > 0
    assert torch.equal(recon, before)


def test_only_the_releases_own_files_are_official(files, monkeypatch) -> None:
    assert not Lpips("alex", files).official
    linear = files | {"lpips-alex": WHEEL / "alex.pth"}
    half = Lpips("alex", linear)
    assert not half.official
    assert half.signature.endswith("+df73285e|per-image|v1")
    digest = weights.sha256(files["alexnet"])
    assert f"weights={digest[:8]}+" in half.signature
    row = weight_files.Pretrained(
        "alexnet", (weight_files.WeightFile("alexnet.pth", digest),), "none"
    )
    monkeypatch.setitem(perceptual.TABLE, "alexnet", row)
    assert Lpips("alex", linear).official


def test_the_wheels_linear_weights_are_those_of_the_table() -> None:
    for net in TRUNKS:
        digest = hashlib.sha256((WHEEL / f"{net}.pth").read_bytes()).hexdigest()
        assert digest == weight_files.TABLE[f"lpips-{net}"].files[0].sha256


def test_absent_and_other_weights_are_refused(files, tmp_path) -> None:
    with pytest.raises(MissingFeatureWeights, match="'alexnet', but no path was given"):
        Lpips("alex", {})
    with pytest.raises(MissingFeatureWeights, match="is not a file"):
        Lpips("alex", files | {"lpips-alex": tmp_path / "none.pth"})
    with pytest.raises(ValueError, match="is not the alexnet weights"):
        Lpips("alex", files | {"alexnet": files["vgg16"]})
    with pytest.raises(ValueError, match="no network 'squeeze'"):
        Lpips("squeeze", files)


def test_other_shapes_are_refused(files) -> None:
    metric = Lpips("alex", files)
    with pytest.raises(ValueError, match="same shape"):
        metric(torch.zeros(1, 3, 64, 64), torch.zeros(2, 3, 64, 64))
    with pytest.raises(ValueError, match="2 channels"):
        metric(torch.zeros(1, 2, 64, 64), torch.zeros(1, 2, 64, 64))
