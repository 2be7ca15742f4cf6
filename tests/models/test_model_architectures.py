"""Shapes, parameter counts and layers of the architectures."""

import pytest
import torch
from torch import nn

import models


def count(name, shape, **options):
    with torch.device("meta"):
        model = models.build(name, image_shape=shape, latent_size=256, **options)
    return sum(p.numel() for p in model.parameters())


SMALL = [
    ("conv4", (1, 16, 16), {"width": 2, "mlp": 8}),
    ("conv4", (3, 32, 64), {"width": 2, "mlp": 8}),
    ("conv4", (3, 20, 28), {"width": 2, "mlp": 8, "blocks": 2}),
    ("conv4", (3, 128, 128), {"width": 1, "mlp": 8}),
    ("conv4", (3, 256, 256), {"width": 1, "mlp": 8}),
    ("conv5-bilinear", (1, 32, 32), {"width": 2}),
    ("conv5-bilinear", (3, 64, 32), {"width": 2}),
    ("conv5-bilinear", (2, 256, 256), {"width": 1}),
]


@pytest.mark.parametrize(("name", "shape", "options"), SMALL, ids=str)
def test_shapes(name, shape, options):
    model = models.build(name, image_shape=shape, latent_size=5, **options)
    record = model(torch.rand(2, *shape))
    assert record.mu.shape == record.logvar.shape == record.latent.shape == (2, 5)
    assert record.logits.shape == record.recon.shape == (2, *shape)
    assert model.sample(3).shape == (3, *shape)


@pytest.mark.parametrize(("mlp", "millions"), [(2048, 43.64), (1024, 26.08), (1000, 25.67)])
def test_conv4_has_the_sheets_parameters(mlp, millions):
    assert round(count("conv4", (3, 64, 64), mlp=mlp) / 1e6, 2) == millions


def test_conv4_has_the_parameters_counted_by_hand():
    convolutions = 9 * (3 * 64 + 64 * 128 + 128 * 256 + 256 * 512) + 960
    perceptron = (8192 * 2048 + 2048) + (2048 * 512 + 512)
    unpacking = (256 * 2048 + 2048) + (2048 * 8192 + 8192)
    transposed = 16 * (512 * 512 + 512 * 256 + 256 * 128 + 128 * 64) + 960
    norms = 2 * 2 * 960
    last = 9 * 64 * 3 + 3
    expected = convolutions + perceptron + unpacking + transposed + norms + last
    assert count("conv4", (3, 64, 64)) == expected == 43_644_419


def test_conv5_bilinear_has_the_parameters_counted_by_hand():
    pairs = 3 * 32 + 32 * 64 + 64 * 128 + 128 * 256 + 256 * 512
    back = 512 * 512 + 512 * 256 + 256 * 128 + 128 * 64 + 64 * 32
    linear = (2048 * 512 + 512) + (256 * 2048 + 2048)
    norms = 2 * 2 * 992
    expected = 9 * (pairs + back) + 2 * 992 + norms + linear + (9 * 32 * 3 + 3)
    assert count("conv5-bilinear", (3, 64, 64)) == expected


@pytest.mark.parametrize(("side", "blocks"), [(16, 4), (128, 4), (240, 4), (256, 6), (320, 6)])
def test_conv4_takes_six_blocks_from_256_pixels(side, blocks):
    with torch.device("meta"):
        model = models.build("conv4", image_shape=(3, side, side), latent_size=8, mlp=8, width=4)
    down = [m.out_channels for m in model.encoder.modules() if isinstance(m, nn.Conv2d)]
    up = [m.out_channels for m in model.decoder.modules() if isinstance(m, nn.ConvTranspose2d)]
    assert down == [4, 8, 16, 32, 32, 32][:blocks]
    assert up == down[::-1]


def test_conv5_bilinear_upsamples_by_interpolation():
    with torch.device("meta"):
        model = models.build("conv5-bilinear", image_shape=(3, 64, 64), latent_size=8)
    ups = [m for m in model.decoder.modules() if isinstance(m, nn.Upsample)]
    assert [(u.mode, u.scale_factor) for u in ups] == [("bilinear", 2.0)] * 5
    channels = [m.out_channels for m in model.modules() if isinstance(m, nn.Conv2d)]
    assert channels == [32, 64, 128, 256, 512, 512, 256, 128, 64, 32, 3]


@pytest.mark.parametrize("name", models.REGISTRY)
def test_meta_models_run_without_memory(name):
    with torch.device("meta"):
        model = models.build(
            name, image_shape=(3, 64, 64), latent_size=8, generator=torch.Generator("cpu")
        )
    record = model(torch.empty(2, 3, 64, 64, device="meta"), torch.Generator())
    assert record.recon.device.type == "meta"
    assert record.recon.shape == (2, 3, 64, 64)


@pytest.mark.parametrize("name", ["conv4", "conv5-bilinear"])
def test_activations_leak_by_a_hundredth(name):
    with torch.device("meta"):
        model = models.build(name, image_shape=(3, 32, 32), latent_size=8)
    assert {m.negative_slope for m in model.modules() if isinstance(m, nn.LeakyReLU)} == {0.01}
