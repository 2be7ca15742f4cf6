"""Listing, finding and building models, and what the user is told when it fails."""

import subprocess
import sys

import pytest
import torch

import models
from models.options import InvalidOption, UnknownOption


def test_listing_imports_no_torch():
    code = "import models, sys; print(*models.REGISTRY, 'torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"conv4", "conv5-bilinear", "False"} <= set(run.stdout.split())


@pytest.mark.parametrize("name", models.REGISTRY)
def test_entries_describe_their_class(name):
    entry, found = models.REGISTRY[name], models.find(name)
    assert entry.name == name
    assert entry.source and entry.summary
    assert found.__doc__ and found.__module__ == entry.module


def test_unknown_model_names_the_nearest():
    with pytest.raises(ValueError) as caught:
        models.build("conv5", image_shape=(3, 32, 32), latent_size=8)
    expected = "unknown model 'conv5' (did you mean 'conv4'?). See: harness list models"
    assert str(caught.value) == expected
    with pytest.raises(models.UnknownModel, match=r"^unknown model 'zz'. See"):
        models.find("zz")


def test_defaults_are_the_options_alone():
    assert models.defaults("conv4") == {"width": 64, "mlp": 2048, "blocks": None}
    assert models.defaults("conv5-bilinear") == {"width": 32}


@pytest.mark.parametrize(
    ("name", "shape", "options", "message"),
    [
        ("conv4", (1, 28, 28), {}, r"28x28 .* divisible by 16; resize 28 to 16 or 32$"),
        ("conv4", (3, 8, 16), {}, r"8x16 .* divisible by 16; resize 8 to 16$"),
        ("conv4", (3, 32, 40), {"blocks": 5}, "divisible by 32; resize 40 to 32 or 64"),
        ("conv4", (3, 256, 272), {}, "divisible by 64; resize 272 to 256 or 320"),
        ("conv5-bilinear", (3, 48, 64), {}, "divisible by 32; resize 48 to 32 or 64"),
        ("conv4", (3, 32, 32), {"width": 0}, "width is 0; give a positive integer"),
        ("conv4", (3, 32, 32), {"mlp": -1}, "mlp is -1; give a positive integer"),
        ("conv4", (3, 32, 32), {"blocks": 0}, "blocks is 0; give a positive integer"),
        ("conv4", (3, 32, 32), {"blocks": "six"}, "blocks is 'six'; give int or None"),
        ("conv5-bilinear", (3, 32, 32), {"width": 0}, "width is 0"),
        ("conv5-bilinear", (3, 32, 32), {"mlp": 9}, r"no option 'mlp' \(its options: width\)"),
        ("conv4", (32, 32), {}, r"image_shape is \(32, 32\); give three positive"),
    ],
)
def test_what_cannot_work_is_refused_in_a_sentence(name, shape, options, message):
    with pytest.raises((UnknownOption, InvalidOption), match=message) as caught:
        models.build(name, image_shape=shape, latent_size=8, **options)
    assert isinstance(caught.value, ValueError)


def test_latent_size_must_be_positive():
    with pytest.raises(InvalidOption, match="latent_size is 0; give a positive integer"):
        models.build("conv4", image_shape=(3, 32, 32), latent_size=0)


@pytest.mark.parametrize("name", models.REGISTRY)
def test_initial_parameters_depend_on_the_generator_alone(name):
    def build(seed):
        generator = torch.Generator().manual_seed(seed)
        return models.build(
            name, image_shape=(1, 32, 32), latent_size=4, width=2, generator=generator
        ).state_dict()

    torch.manual_seed(0)
    first = build(5)
    before = torch.get_rng_state()
    again, other = build(5), build(6)
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(first[key], again[key]) for key in first)
    drawn = [key for key in first if first[key].ndim > 1]
    assert drawn and not any(torch.equal(first[key], other[key]) for key in drawn)


def test_one_generator_gives_two_models():
    generator = torch.Generator().manual_seed(0)
    first, second = (
        next(
            models.build(
                "conv4",
                image_shape=(1, 16, 16),
                latent_size=2,
                width=2,
                mlp=4,
                generator=generator,
            ).parameters()
        )
        for _ in range(2)
    )
    assert not torch.equal(first, second)
