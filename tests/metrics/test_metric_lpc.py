"""LPC-SI against a slow transcription of its description, and its properties on photographs."""

import os
from pathlib import Path

import numpy as np
import pytest
import skimage
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter
from torch import Tensor

from harness.metrics.lpc import lpc_si

PHOTOGRAPHS = Path(skimage.__file__).parent / "data"


def photograph(path: Path) -> Tensor:
    pixels = np.asarray(Image.open(path).convert("RGB"), dtype=np.float32)[:256, :256] / 255
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))[None]


def blurred(images: Tensor, sigma: float) -> Tensor:
    return torch.from_numpy(gaussian_filter(images.numpy(), (0, 0, sigma, sigma)))


def transcribed(grey: np.ndarray) -> float:
    """Return the index of one image in 0..255, term by term, with M2^-3 as it is written."""
    height, width = grey.shape
    fy, fx = np.meshgrid(np.fft.fftfreq(height), np.fft.fftfreq(width), indexing="ij")
    radius = np.sqrt(fx**2 + fy**2)
    radius[0, 0] = 1
    theta = np.arctan2(-fy, fx)
    border = round(min(height, width) / 16)
    weighted = energies = 0
    for k in range(8):
        angle = np.abs(np.angle(np.exp(1j * (theta - k * np.pi / 8))))
        angular = np.exp(-(angle**2) / 2 / (np.pi / 8 / 1.5) ** 2)
        responses = []
        for scale in (1, 1.5, 2):
            radial = np.exp(-(np.log(radius * 4 * scale) ** 2) / 2 / np.log(0.75) ** 2)
            radial = radial / (1 + (radius / 0.45) ** 30)
            radial[0, 0] = 0
            response = np.fft.ifft2(np.fft.fft2(grey) * radial * angular)
            responses.append(response[border:-border, border:-border])
        product = responses[0] * responses[1] ** -3 * responses[2] ** 2
        amplitude = np.abs(responses[0])
        energy = np.maximum(0, amplitude - amplitude.mean() - 2 * amplitude.std(ddof=1))
        weighted = weighted + energy * np.maximum(0, np.cos(np.angle(product)))
        energies = energies + energy
    ranked = np.sort((weighted / (energies + 2)).ravel())[::-1]
    weights = np.exp(-np.arange(ranked.size) / (ranked.size - 1) / 1e-4)
    return float((ranked * weights).sum() / weights.sum())


@pytest.mark.parametrize("size", [(64, 64), (32, 32), (48, 31), (16, 16)])
def test_equals_the_transcription(size: tuple[int, int]) -> None:
    images = photograph(PHOTOGRAPHS / "astronaut.png")[..., : size[0], 100 : 100 + size[1]]
    images = torch.cat([images, images.flip(3)])
    grey = 255 * np.tensordot(images.double().numpy(), [0.299, 0.587, 0.114], axes=([1], [0]))
    values = lpc_si(images)
    assert values.dtype == torch.float64
    assert values.tolist() == pytest.approx([transcribed(image) for image in grey], abs=1e-9)


def test_falls_with_blur_on_photographs() -> None:
    for name in ("astronaut.png", "camera.png", "coffee.png"):
        image = photograph(PHOTOGRAPHS / name)
        values = [float(lpc_si(image))]
        values += [float(lpc_si(blurred(image, sigma))) for sigma in (0.5, 1, 1.5, 2, 3, 4)]
        assert values == sorted(values, reverse=True)
        assert 0.85 < values[0] < 1
        assert 0 <= values[-1] < 0.05


def test_falls_with_blur_on_the_kodak_set() -> None:
    root = os.environ.get("HARNESS_DATA")
    paths = sorted(Path(root, "kodak").glob("*.png"))[:6] if root else []
    if not paths:
        pytest.skip("HARNESS_DATA names no folder with kodak/*.png")
    for path in paths:
        image = photograph(path)
        values = [float(lpc_si(blurred(image, sigma))) for sigma in (0.3, 1, 2, 4)]
        assert values == sorted(values, reverse=True), path.name


def test_brightness_does_not_matter_and_contrast_little() -> None:
    image = photograph(PHOTOGRAPHS / "astronaut.png")
    assert float(lpc_si(image + 0.3)) == pytest.approx(float(lpc_si(image)), abs=1e-6)
    assert float(lpc_si(0.8 * image)) == pytest.approx(float(lpc_si(image)), abs=0.02)


def test_flat_images_have_no_sharpness() -> None:
    assert lpc_si(torch.full((2, 1, 32, 32), 0.7)).tolist() == pytest.approx([0, 0], abs=1e-9)


def test_an_image_does_not_depend_on_its_batch(crops) -> None:
    together = lpc_si(crops[:50])
    apart = torch.cat([lpc_si(crops[i : i + 1]) for i in range(50)])
    torch.testing.assert_close(together, apart, rtol=0, atol=1e-12)


def test_small_images_are_refused() -> None:
    with pytest.raises(ValueError, match="15x64; its filters need at least 16"):
        lpc_si(torch.zeros(1, 1, 15, 64))
