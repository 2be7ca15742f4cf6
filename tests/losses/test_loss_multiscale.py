"""Haar and Laplacian pyramid losses against PyWavelets and transcriptions in NumPy."""

import math

import numpy as np
import pytest
import torch
from patterns import pattern

import losses
from losses.multiscale import haar, pyramid_matrices
from losses.options import InvalidOption

LATENT = torch.zeros(2, 4)
SHAPES = [(3, 64, 64), (2, 28, 20), (1, 13, 9), (1, 7, 8)]


def energies(name, target, recon, **options):
    loss = losses.build(name, image_shape=tuple(target.shape[1:]), **options)
    return loss(recon, target, LATENT)


def noise(shape, n=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(2, n, *shape, generator=generator, dtype=torch.float64)


def test_haar_goldens():
    x, y = (v.double() for v in pattern(2, 3, 64, 64))
    means = [band.abs().mean().item() for band in haar(y - x)]
    # the sheet's order: approximation, column difference, row difference, diagonal
    assert means == pytest.approx([0.0698290, 0.0033180, 0.0499667, 0.0017535], abs=6e-8)
    total = energies("haar", x, y, levels=1).mean().item()
    assert total == pytest.approx(sum(means) * 3 * 32 * 32, rel=1e-12)


@pytest.mark.parametrize("levels", [1, 2, 3, 4])
def test_haar_equals_pywavelets(levels):
    pywt = pytest.importorskip("pywt")
    x, y = noise((3, 32, 48))
    bands = pywt.wavedec2((y - x).numpy(), "haar", mode="periodization", level=levels)
    arrays = [bands[0], *(band for level in bands[1:] for band in level)]
    expected = sum(np.abs(band).sum(axis=(1, 2, 3)) for band in arrays)
    np.testing.assert_allclose(energies("haar", x, y, levels=levels), expected, rtol=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("levels", [1, 3])
def test_haar_keeps_the_squared_error(shape, levels):
    x, y = noise(shape)
    approximation, squares = y - x, torch.zeros(2, dtype=torch.float64)
    for _ in range(levels):
        approximation, *details = haar(approximation)
        squares += sum(band.square().flatten(1).sum(1) for band in details)
    squares += approximation.square().flatten(1).sum(1)
    assert torch.allclose(squares / 2, energies("l2", x, y), rtol=1e-12)


def test_haar_without_a_size_takes_any():
    x, y = noise((1, 13, 9))
    assert torch.equal(losses.build("haar")(y, x, LATENT), energies("haar", x, y))


def by_numpy(error, levels, ratio, low_pass):
    """The pyramid's energy of one channel with mirrored padding and zeros put in."""
    kernel = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]) / 256

    def smooth(image):
        padded = np.pad(image, 2, mode="reflect")
        windows = np.lib.stride_tricks.sliding_window_view(padded, (5, 5))
        return (windows * kernel).sum(axis=(2, 3))

    total, current = 0.0, error
    for level in range(levels):
        coarser = smooth(current)[::2, ::2]
        spread = np.zeros_like(current)
        spread[::2, ::2] = coarser
        total += ratio**level * np.abs(current - 4 * smooth(spread)).sum()
        current = coarser
    return total + ratio**levels * np.abs(current).sum() * low_pass


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((3, 64, 64), {}),
        ((2, 28, 20), {"levels": 3, "ratio": 0.25}),
        ((1, 13, 9), {"levels": 2}),
        ((2, 24, 17), {"levels": 3, "low_pass": False}),
    ],
)
def test_the_pyramid_equals_a_transcription(shape, options):
    x, y = noise(shape)
    settings = {"levels": 4, "ratio": 4.0, "low_pass": True} | options
    expected = [
        sum(by_numpy(channel, **settings) for channel in image) for image in (y - x).numpy()
    ]
    ours = energies("laplacian-pyramid", x, y, **options)
    assert ours.tolist() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("side", [1, 2, 3, 4, 7, 16])
def test_a_constant_is_kept_by_reducing_and_expanding(side):
    reduce, expand = pyramid_matrices(side)
    half = math.ceil(side / 2)
    assert reduce.shape == (half, side) and expand.shape == (side, half)
    assert torch.allclose(reduce.sum(1), torch.ones(half, dtype=torch.float64))
    assert torch.allclose(expand.sum(1), torch.ones(side, dtype=torch.float64))


def test_a_change_of_brightness_is_seen_by_the_low_pass_alone():
    x, _ = noise((3, 32, 32))
    ours = energies("laplacian-pyramid", x, x + 0.1)
    assert ours.tolist() == pytest.approx([4**4 * 3 * 2 * 2 * 0.1] * 2)
    assert energies("laplacian-pyramid", x, x + 0.1, low_pass=False).max() < 1e-9


@pytest.mark.parametrize("name", ["haar", "laplacian-pyramid"])
def test_energies_are_norms_of_the_error(name):
    x, y = noise((3, 20, 28))
    once = energies(name, x, y)
    assert torch.allclose(energies(name, x, x + 3 * (y - x)), 3 * once)
    assert torch.allclose(energies(name, y, x), once)
    assert energies(name, x, x).tolist() == [0, 0]


@pytest.mark.parametrize(
    ("name", "shape", "options", "message"),
    [
        ("haar", (3, 32, 32), {"levels": 0}, "levels is 0; give 1 to 5"),
        ("haar", (3, 20, 32), {"levels": 6}, "levels is 6; give 1 to 5 for images of this size"),
        ("haar", None, {"levels": -1}, "levels is -1; give 1 or more"),
        ("laplacian-pyramid", (3, 32, 32), {"levels": 7}, "levels is 7; give 1 to 6"),
        ("laplacian-pyramid", (3, 4, 4), {}, "levels is 4; give 1 to 3"),
        (
            "laplacian-pyramid",
            (3, 32, 32),
            {"ratio": 0.0},
            "ratio is 0.0; give a number",
        ),
    ],
)
def test_bad_options(name, shape, options, message):
    with pytest.raises(InvalidOption, match=message):
        losses.build(name, image_shape=shape, **options)


def test_the_pyramid_refuses_images_of_another_shape():
    x, y = noise((3, 24, 24))
    loss = losses.build("laplacian-pyramid", image_shape=(3, 32, 32))
    with pytest.raises(InvalidOption, match="built for images"):
        loss(y, x, LATENT)
