"""The VAEs of the Watson loss: parameters of both, layers of both."""

import pytest
import torch
from torch import nn

import models
from models.options import InvalidOption

MNIST = {"width": 32, "mlp": 1024, "blocks": 1, "norm": False}


def build(shape, latent_size, **options):
    return models.build("czolbe", image_shape=shape, latent_size=latent_size, **options)


def on_meta(shape, latent_size, **options):
    with torch.device("meta"):
        return build(shape, latent_size, **options)


def counted(model):
    return sum(p.numel() for p in model.parameters())


def names(module):
    kinds = {nn.Conv2d: "conv", nn.MaxPool2d: "pool", nn.BatchNorm2d: "norm", nn.Upsample: "up"}
    return [
        f"{kinds[type(m)]}{m.out_channels if isinstance(m, nn.Conv2d) else ''}"
        for m in module.modules()
        if type(m) in kinds
    ]


def test_it_has_the_sheets_parameters():
    model = on_meta((3, 64, 64), 256)
    assert round(counted(model) / 1e6, 2) == 136.35
    linear = 2 * 32768 * 2048 + 2048 + 32768 + 2048 * 512 + 512 + 256 * 2048 + 2048
    down = 9 * (3 * 64 + 64 * 128 + 128 * 128) + 320 + 2 * (64 + 128)
    up = 9 * (128 * 128 + 128 * 64 + 2 * 64 * 64 + 64 * 3) + 128 + 3 * 64 + 3
    assert counted(model) == linear + down + up


def test_the_mnist_network_has_the_parameters_counted_by_hand():
    linear = 2 * 16384 * 1024 + 1024 + 16384 + 1024 * 4 + 4 + 2 * 1024 + 1024
    down = 9 * (32 + 32 * 64) + 96
    up = 9 * (64 * 64 + 64 * 32 + 32 * 32 + 32) + 64 + 2 * 32 + 1
    assert counted(on_meta((1, 32, 32), 2, **MNIST)) == linear + down + up


def test_layers_of_both_networks():
    celeba, mnist = on_meta((3, 64, 64), 256), on_meta((1, 32, 32), 2, **MNIST)
    down = ["conv64", "pool", "norm", "conv128", "pool", "norm", "conv128"]
    assert names(celeba.encoder) == down
    # no batch norm in the decoder: A2.5
    assert names(celeba.decoder) == ["conv128", "up", "conv64", "up", "conv64", "conv64", "conv3"]
    assert names(mnist.encoder) == ["conv32", "pool", "conv64"]
    assert names(mnist.decoder) == ["conv64", "up", "conv32", "conv32", "conv1"]
    ups = [m for m in celeba.decoder.modules() if isinstance(m, nn.Upsample)]
    assert all((m.mode, m.align_corners) == ("bilinear", True) for m in ups)


def test_upsampling_keeps_the_corners():
    up = next(m for m in build((1, 8, 8), 2, width=2, mlp=4).decoder if isinstance(m, nn.Upsample))
    images = torch.rand(1, 1, 4, 4)
    assert torch.equal(up(images)[..., ::7, ::7], images[..., ::3, ::3])


@pytest.mark.parametrize("options", [{}, {"blocks": 1, "norm": False}, {"blocks": 3}], ids=str)
def test_shapes(options):
    model = build((2, 16, 24), 3, width=3, mlp=8, **options)
    record = model(torch.rand(2, 2, 16, 24))
    assert record.mu.shape == record.logvar.shape == (2, 3)
    assert record.recon.shape == (2, 2, 16, 24)


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((1, 30, 28), {}, "divisible by 4; resize 30 to 28 or 32"),
        ((1, 28, 28), {"mlp": 0}, "mlp is 0; give a positive integer"),
        ((1, 28, 28), {"width": 0}, "width is 0; give a positive integer"),
        ((1, 28, 28), {"blocks": 0}, "blocks is 0; give a positive integer"),
    ],
)
def test_what_cannot_work_is_refused_in_a_sentence(shape, options, message):
    with pytest.raises(InvalidOption, match=message):
        build(shape, 2, **options)
