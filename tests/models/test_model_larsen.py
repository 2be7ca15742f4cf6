"""The networks of VAE-GAN: layers, sizes, parameters counted by hand."""

import pytest
import torch
from torch import nn

import models
from models.options import InvalidOption


def build(shape, latent_size=128, **options):
    return models.build("larsen", image_shape=shape, latent_size=latent_size, **options)


def on_meta(shape, **options):
    with torch.device("meta"):
        return build(shape, **options)


def counted(model):
    return sum(p.numel() for p in model.parameters())


def filters(module, kind):
    return [m.out_channels for m in module.modules() if isinstance(m, kind)]


@pytest.mark.parametrize(
    ("side", "features", "up"), [(32, 16, (192, 128, 32)), (64, 64, (256, 128, 32))]
)
def test_parameters_counted_by_hand(side, features, up):
    inner = 256 * features
    down = 25 * (3 * 64 + 64 * 128 + 128 * 256) + 2 * (64 + 128 + 256)
    code = inner * 1024 + 2 * 1024 + 1024 * 256 + 256
    back = 128 * inner + 2 * inner
    transposed = 25 * (256 * up[0] + up[0] * up[1] + up[1] * up[2]) + 2 * sum(up)
    last = 25 * 32 * 3 + 3
    model = on_meta((3, side, side))
    assert counted(model.encoder) == down + code
    assert counted(model.decoder) == back + transposed + last


@pytest.mark.parametrize(
    ("side", "down", "up"),
    [
        (32, [64, 128, 256], [192, 128, 32]),
        (64, [64, 128, 256], [256, 128, 32]),
        (128, [64, 128, 256, 256], [256, 256, 128, 32]),
        (256, [64, 128, 256, 256, 256], [256, 256, 256, 128, 32]),
    ],
)
def test_filters_of_each_size(side, down, up):
    model = on_meta((1, side, side))
    assert filters(model.encoder, nn.Conv2d) == down
    assert filters(model.decoder, nn.ConvTranspose2d) == up
    [bottleneck] = [m.unflattened_size for m in model.modules() if isinstance(m, nn.Unflatten)]
    assert bottleneck == (256, min(side // 8, 8), min(side // 8, 8))


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 16, 40), (2, 64, 128)], ids=str)
def test_shapes(shape):
    model = build(shape, latent_size=5, width=3)
    record = model(torch.rand(2, *shape))
    assert record.mu.shape == record.logvar.shape == record.latent.shape == (2, 5)
    assert record.recon.shape == (2, *shape)
    assert model.eval().sample(1).shape == (1, *shape)


def test_only_layers_without_batch_norm_have_a_bias():
    model = on_meta((3, 32, 32))
    layers = [
        m for m in model.modules() if isinstance(m, nn.Linear | nn.Conv2d | nn.ConvTranspose2d)
    ]
    assert [m.bias is not None for m in layers] == [False] * 4 + [True] + [False] * 4 + [True]
    assert {m.eps for m in model.modules() if isinstance(m, nn.BatchNorm2d)} == {1e-6}
    assert sum(isinstance(m, nn.ReLU) for m in model.modules()) == 8


def test_a_transposed_convolution_is_the_gradient_of_the_encoders():
    """The source's "backward convolution": 5x5, stride 2, two pixels of padding, twice the side."""
    decoder = build((1, 32, 32), width=2).decoder
    up = next(m for m in decoder.modules() if isinstance(m, nn.ConvTranspose2d))
    small = torch.rand(1, up.in_channels, 4, 4)
    images = torch.rand(1, up.out_channels, 8, 8, requires_grad=True)
    down = nn.functional.conv2d(images, up.weight, stride=2, padding=2)
    (gradient,) = torch.autograd.grad((down * small).sum(), images)
    torch.testing.assert_close(up(small), gradient)


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((1, 28, 28), {}, "28x28 .* divisible by 8; resize 28 to 24 or 32"),
        ((3, 136, 136), {}, "divisible by 32; resize 136 to 128 or 160"),
        ((3, 32, 32), {"width": 0}, "width is 0; give a positive integer"),
    ],
)
def test_what_cannot_work_is_refused_in_a_sentence(shape, options, message):
    with pytest.raises(InvalidOption, match=message):
        build(shape, **options)
