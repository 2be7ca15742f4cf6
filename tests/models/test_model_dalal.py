"""The VAE of Dalal's code: its parameters, and TensorFlow's paddings."""

import numpy as np
import pytest
import torch
from torch import nn

import models
from models.options import InvalidOption


def build(shape, latent_size=2, **options):
    return models.build("dalal", image_shape=shape, latent_size=latent_size, **options)


def test_it_has_the_sheets_parameters():
    with torch.device("meta"):
        model = build((1, 28, 28))
    assert sum(p.numel() for p in model.parameters()) == 69_989
    assert sum(p.numel() for p in model.encoder.parameters()) == 320 + 18_496 + 9_220


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 8, 12), (2, 32, 64)], ids=str)
def test_shapes(shape):
    record = build(shape, latent_size=3, width=4)(torch.rand(1, *shape))
    assert record.mu.shape == (1, 3)
    assert record.recon.shape == (1, *shape)
    assert record.recon.min() > 0 and record.recon.max() < 1


def by_loops(values, weight, bias):
    """Transposed convolution with TensorFlow's "same" padding, stride 2: `(after, 2h, 2w)`.

    TensorFlow pads a forward convolution of an even side, stride 2 and kernel 3 by nothing before
    and one pixel after; the transposed one drops what falls on that pixel.
    """
    before, height, width = values.shape
    result = np.zeros((weight.shape[1], 2 * height + 1, 2 * width + 1))
    for c, y, x in np.ndindex(before, height, width):
        result[:, 2 * y : 2 * y + 3, 2 * x : 2 * x + 3] += values[c, y, x] * weight[c]
    return result[:, :-1, :-1] + bias[:, None, None]


def test_upsampling_pads_as_tensorflow_does():
    decoder = build((1, 8, 12), width=3).double().decoder
    first = next(i for i, m in enumerate(decoder) if isinstance(m, nn.ConvTranspose2d))
    values = torch.rand(1, 3, 2, 3, dtype=torch.float64)
    found = decoder[first : first + 2](values)
    weight, bias = decoder[first].weight.detach().numpy(), decoder[first].bias.detach().numpy()
    expected = by_loops(values[0].numpy(), weight, bias)
    np.testing.assert_allclose(found[0].detach().numpy(), expected, rtol=1e-12)


def test_no_image_depends_on_another():
    model = build((1, 28, 28))
    images = torch.rand(3, 1, 28, 28)
    together, alone = model.encode(images)[0], model.encode(images[:1])[0]
    torch.testing.assert_close(together[:1], alone)


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((1, 30, 28), {}, "divisible by 4; resize 30 to 28 or 32"),
        ((1, 4, 8), {}, "images are 4x8; give sides of at least 8 pixels"),
        ((1, 28, 28), {"width": 0}, "width is 0; give a positive integer"),
    ],
)
def test_what_cannot_work_is_refused_in_a_sentence(shape, options, message):
    with pytest.raises(InvalidOption, match=message):
        build(shape, **options)
