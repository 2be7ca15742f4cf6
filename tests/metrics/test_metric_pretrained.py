"""Pretrained extractors against their reference code, with random weights in place of the real."""

import os
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import scipy
import torch
import torch.nn.functional as F
from PIL import Image
from pytorch_fid import fid_score
from pytorch_fid import inception as pytorch_fid
from safetensors.torch import save_file
from torch import Tensor
from torchvision.models import squeezenet1_1
from torchvision.transforms.functional import gaussian_blur

from benchmarks.metrics_sets import random_inception, write_images
from benchmarks.random_weights import SQUEEZENET, random_features
from harness.metrics import frechet
from harness.metrics.features import make
from harness.metrics.frechet import Moments, frechet_distance

MEAN, STD = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]]).view(2, 3, 1, 1)
FIRES = {3: "", 4: "pool", 6: "", 7: "pool", 9: "", 10: "", 11: "", 12: ""}
OLD_SCIPY = tuple(map(int, scipy.__version__.split(".")[:2])) < (1, 18)


@pytest.fixture(scope="module")
def squeezenet() -> torch.nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return squeezenet1_1(weights=None).eval()


@pytest.fixture(scope="module")
def squeezenet_path(squeezenet, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "squeezenet1_1.pth"
    torch.save(squeezenet.state_dict(), path)
    return path


@pytest.fixture(scope="module")
def inception_state(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "inception.pth"
    torch.save(random_inception(), path)
    return path


@pytest.fixture
def inception_package(inception_state, monkeypatch):
    """Let pytorch-fid take the random weights where it would download its own."""
    state = torch.load(inception_state, weights_only=True)
    monkeypatch.setattr(pytorch_fid, "load_state_dict_from_url", lambda *_, **__: state)
    monkeypatch.setattr(fid_score, "tqdm", lambda batches: batches)
    return pytorch_fid


@pytest.mark.parametrize("size", [(64, 64), (32, 32), (32, 48), (80, 72)])
def test_squeezenet_equals_torchvision(squeezenet, squeezenet_path, size, crops) -> None:
    images = F.interpolate(crops[:3], size=size).mul(255).round().div(255)
    factor = 64 / min(size)
    seen = images
    if factor > 1:
        seen = F.interpolate(images, scale_factor=factor, mode="bilinear", align_corners=False)
    with torch.no_grad():
        expected = squeezenet.features((seen - MEAN) / STD).flatten(2).mean(2)
    found = make("squeezenet", 3, {"squeezenet": squeezenet_path})(images)
    assert found.shape == (3, 512)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def caffe(images: Tensor, state: dict[str, Tensor]) -> Tensor:
    """Run SqueezeNet 1.1 of the Caffe release, layer by layer, on `(B, 3, H, W)` in [0, 1]."""

    def conv(maps: Tensor, name: str, **options: int) -> Tensor:
        weight, bias = state[f"features.{name}.weight"], state[f"features.{name}.bias"]
        return F.conv2d(maps, weight, bias, **options).relu()

    def pool(maps: Tensor) -> Tensor:
        return F.max_pool2d(maps, 3, 2, ceil_mode=True)

    red, green, blue = (255 * images).unbind(1)
    maps = torch.stack([blue - 104, green - 117, red - 123], 1)
    maps = pool(conv(maps, "0", stride=2))
    for fire, after in FIRES.items():
        few = conv(maps, f"{fire}.squeeze")
        wide = conv(few, f"{fire}.expand3x3", padding=1)
        maps = torch.cat([conv(few, f"{fire}.expand1x1"), wide], 1)
        maps = pool(maps) if after else maps
    return maps.flatten(2).mean(2)


def test_caffe_squeezenet_equals_the_release_written_out(tmp_path, crops) -> None:
    state = random_features(SQUEEZENET)
    path = tmp_path / "caffe.safetensors"
    save_file(state, path)
    images = F.interpolate(crops[:3], size=(64, 72)).mul(255).round().div(255)
    extractor = make("squeezenet-caffe", 3, {"squeezenet-caffe": path})
    found = extractor(images)
    assert found.shape == (3, 512) and float(found.std()) > 0
    torch.testing.assert_close(found, caffe(images, state), rtol=1e-4, atol=1e-3)
    assert "squeezenet-caffe|dims=512|caffe-1.1|bgr-255" in extractor.signature


def kodak_crops() -> Tensor:
    folder = Path(os.environ.get("HARNESS_DATA", "")) / "kodak"
    if not (folder / "kodim01.png").is_file():
        pytest.skip("HARNESS_DATA has no kodak/kodim01.png")
    photographs = [np.asarray(Image.open(file)) for file in sorted(folder.glob("*.png"))[:8]]
    crops = np.stack([photograph[128:256, 128:256] for photograph in photographs])
    return torch.from_numpy(crops.transpose(0, 3, 1, 2).copy()).float() / 255


def test_real_caffe_features_move_away_with_blur() -> None:
    name = "squeezenet1_1_caffe_features.safetensors"
    weights = Path(os.environ.get("HARNESS_WEIGHTS", "")) / name
    if not weights.is_file():
        pytest.skip(f"HARNESS_WEIGHTS has no {name}")
    images = kodak_crops()
    extractor = make("squeezenet-caffe", 3, {"squeezenet-caffe": weights})
    clean = extractor(images)

    def distance(others: Tensor) -> float:
        return float((extractor(others) - clean).norm(dim=1).mean())

    blurred = [distance(gaussian_blur(images, 21, sigma)) for sigma in (0.5, 0.7, 1.0, 1.5, 3.0)]
    assert blurred == sorted(blurred) and 0 < 2 * blurred[0] < blurred[-1]
    # Another picture is farther than the same one under a light blur.
    assert distance(images.roll(1, 0)) > 2 * blurred[0]


def test_safetensors_hold_the_same_network(squeezenet, squeezenet_path, tmp_path, crops) -> None:
    path = tmp_path / "squeezenet1_1.safetensors"
    save_file(squeezenet.state_dict(), path)
    pickled = make("squeezenet", 1, {"squeezenet": squeezenet_path})
    safe = make("squeezenet", 1, {"squeezenet": str(path)})
    assert torch.equal(pickled(crops[:2, :1]), safe(crops[:2, :1]))
    # Another file is another signature, which the distance carries.
    assert pickled.signature != safe.signature
    assert pickled.signature in frechet.signature(pickled.signature, 600, 600)


def test_every_tap_of_inception_equals_pytorch_fid(
    inception_package, inception_state, crops: Tensor
) -> None:
    reference = inception_package.InceptionV3([0, 1, 2, 3]).eval()
    before = torch.get_rng_state()
    extractor = make("inception", 3, {"inception": inception_state})
    assert torch.equal(before, torch.get_rng_state())
    images = crops[:2].mul(255).round().div(255)
    with torch.no_grad():
        expected = [maps.mean((2, 3)) for maps in reference(images)]
    found = extractor.taps(images)
    assert list(found) == [64, 192, 768, 2048]
    for ours, theirs in zip(found.values(), expected, strict=True):
        assert float(theirs.std()) > 0
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5 * float(theirs.abs().max()))
    shallow = extractor.taps(images, 64)
    assert list(shallow) == [64] and torch.equal(shallow[64], found[64])
    torch.testing.assert_close(extractor(images[:1]), found[2048][:1], rtol=1e-5, atol=1e-5)
    assert "inception|dims=192|pytorch-fid" in extractor.tap_signature(192)
    with pytest.raises(ValueError, match="no tap of 100 features"):
        extractor.tap_signature(100)


def torch_fidelity_inception(state: Path) -> torch.nn.Module:
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    return FeatureExtractorInceptionV3("inception", ["64", "2048"], str(state))


def test_torch_fidelity_has_the_same_network_behind_another_resize(inception_state, crops) -> None:
    theirs = torch_fidelity_inception(inception_state)
    ours = make("inception", 3, {"inception": inception_state})
    draws = torch.Generator().manual_seed(0)
    large = torch.randint(0, 256, (1, 3, 299, 299), generator=draws, dtype=torch.uint8)
    # At 299 pixels nothing is resized; it scales by (x - 128) / 128, where we take 2 x / 255 - 1.
    with torch.no_grad():
        same = ours.extract(large / 256)
    expected = theirs(large)[1]
    torch.testing.assert_close(same, expected, rtol=1e-4, atol=1e-5 * float(expected.max()))
    # Below, it follows TensorFlow 1: pixel corners at the origin, not centres of pixels.
    small = crops[:1].mul(255).round()
    apart = (ours(small / 255) - theirs(small.byte())[1]).norm() / ours(small / 255).norm()
    assert 1e-3 < float(apart) < 0.5


def moments_of_files(extractor, files: list[Path], dims: int) -> Moments:
    moments = Moments()
    for start in range(0, len(files), 64):
        images = [np.asarray(Image.open(file)) for file in files[start : start + 64]]
        batch = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255
        moments.update(extractor.taps(batch, dims)[dims])
    return moments


def both_fids(
    state: Path, folder: Path, other: Path, dims: int, known: Moments | None = None
) -> tuple[float, float]:
    """Return FID from PNG files by this harness and by pytorch-fid.

    `other` is a second folder, or a file of the statistics `known`.
    """
    extractor = make("inception", 3, {"inception": state})
    first = moments_of_files(extractor, sorted(folder.iterdir()), dims)
    second = known or moments_of_files(extractor, sorted(other.iterdir()), dims)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SciPy's notice about the argument that 1.18 removes
        expected = fid_score.calculate_fid_given_paths(
            [str(folder), str(other)], 50, "cpu", dims, num_workers=0
        )
    return frechet_distance(first, second), float(expected)


@pytest.mark.skipif(not OLD_SCIPY, reason="pytorch-fid 0.3 needs SciPy < 1.18")
@pytest.mark.slow
def test_fid_of_png_files_equals_pytorch_fid(inception_package, inception_state, tmp_path) -> None:
    write_images(tmp_path / "a", 70)
    known = Moments()
    known.update(np.random.default_rng(0).standard_normal((100, 64)).clip(0))
    np.savez(tmp_path / "b.npz", mu=known.mean(), sigma=known.covariance())
    ours, theirs = both_fids(inception_state, tmp_path / "a", tmp_path / "b.npz", 64, known)
    assert theirs > 0
    assert ours == pytest.approx(theirs, rel=1e-4)


@pytest.mark.long
@pytest.mark.skipif(not OLD_SCIPY, reason="pytorch-fid 0.3 needs SciPy < 1.18")
def test_fid_of_4096_png_files_equals_pytorch_fid(
    inception_package, inception_state, tmp_path
) -> None:
    source = Path(os.environ.get("HARNESS_DATA", "")) / "fairface64" / "train"
    folders = [tmp_path / "a", tmp_path / "b"]
    if source.is_dir():
        files = sorted(source.iterdir())[:4096]
        for index, file in enumerate(files):
            folders[index % 2].mkdir(exist_ok=True)
            shutil.copy(file, folders[index % 2])
    else:
        write_images(folders[0], 2048, seed=0)
        write_images(folders[1], 2048, seed=1, blur=4)
    ours, theirs = both_fids(inception_state, *folders, 64)
    assert ours == pytest.approx(theirs, rel=1e-4)


@pytest.mark.parametrize("name", ["squeezenet", "squeezenet-caffe", "inception"])
@pytest.mark.parametrize("content", [{"a": torch.zeros(1)}, [1, 2], b"<html>404</html>"])
def test_files_of_other_contents_are_refused(name: str, content: object, tmp_path) -> None:
    path = tmp_path / "weights.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(ValueError, match=r"is not .* weights file"):
        make(name, 3, {name: path})
