"""Pretrained extractors against their reference code, with random weights in place of the real."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from pytorch_fid import inception as pytorch_fid
from safetensors.torch import save_file
from torch import Tensor
from torchvision.models import squeezenet1_1

from harness.metrics import frechet
from harness.metrics.features import make
from harness.metrics.pretrained import _inception_skeleton

MEAN, STD = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]]).view(2, 3, 1, 1)


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


def test_safetensors_hold_the_same_network(squeezenet, squeezenet_path, tmp_path, crops) -> None:
    path = tmp_path / "squeezenet1_1.safetensors"
    save_file(squeezenet.state_dict(), path)
    pickled = make("squeezenet", 1, {"squeezenet": squeezenet_path})
    safe = make("squeezenet", 1, {"squeezenet": str(path)})
    assert torch.equal(pickled(crops[:2, :1]), safe(crops[:2, :1]))
    # Another file is another signature, which the distance carries.
    assert pickled.signature != safe.signature
    assert pickled.signature in frechet.signature(pickled.signature, 600, 600)


def test_inception_equals_pytorch_fid(monkeypatch, tmp_path, crops: Tensor) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        state = _inception_skeleton().state_dict()
        monkeypatch.setattr(pytorch_fid, "load_state_dict_from_url", lambda *_, **__: state)
        reference = pytorch_fid.InceptionV3().eval()
    torch.save(state, tmp_path / "inception.pth")
    before = torch.get_rng_state()
    extractor = make("inception", 3, {"inception": tmp_path / "inception.pth"})
    assert torch.equal(before, torch.get_rng_state())
    images = crops[:2].mul(255).round().div(255)
    expected = reference(images)[0].flatten(1)
    found = extractor(images)
    assert found.shape == (2, extractor.dims) == (2, 2048)
    assert float(expected.std()) > 0
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6 * float(expected.abs().max()))


@pytest.mark.parametrize("name", ["squeezenet", "inception"])
@pytest.mark.parametrize("content", [{"a": torch.zeros(1)}, [1, 2], b"<html>404</html>"])
def test_files_of_other_contents_are_refused(name: str, content: object, tmp_path) -> None:
    path = tmp_path / "weights.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(ValueError, match=r"is not .* weights file"):
        make(name, 3, {name: path})
