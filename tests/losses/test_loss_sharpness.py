"""The sharpness loss against the sheet's values, a transcription with loops, and hand numbers."""

import math

import numpy as np
import pytest
import torch
from patterns import pattern

import losses
from losses.base import MissingContext
from losses.options import InvalidOption
from losses.sharpness import highest_neighbour
from losses.sum import WeightedSum

VARIANTS = ("a", "b", "c", "d")
SETTINGS = [
    {"variant": variant, "absolute": absolute, "padding": padding}
    for variant in "abc"
    for absolute in (False, True)
    for padding in ("none", "replicate")
]


def make(shape, **options):
    return losses.build("sharpness", image_shape=shape, **options)


def native(target, recon, **options):
    loss = make(tuple(target.shape[1:]), **options)
    return (loss(recon, target, torch.zeros(len(recon), 1)).double() / loss.native_scale).tolist()


def images(shape=(2, 2, 5, 6), seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(2, *shape, generator=generator, dtype=torch.float64)


def variations(image, padding, absolute):
    """Return the eight variations of each centre of one image, by loops."""
    if padding == "replicate":
        image = np.pad(image, ((0, 0), (1, 1), (1, 1)), mode="edge")
    found = []
    for plane in image:
        for y in range(1, plane.shape[0] - 1):
            for x in range(1, plane.shape[1] - 1):
                around = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx]
                differences = [plane[y + dy, x + dx] - plane[y, x] for dy, dx in around]
                found.append([abs(d) if absolute else d for d in differences])
    return np.array(found)


def by_loops(recon, target, variant, padding, absolute):
    first, second = (variations(v.numpy(), padding, absolute) for v in (recon, target))
    if variant == "a":
        return (first.max(1).mean() - second.max(1).mean()) ** 2
    if variant == "c":
        return ((first**2).mean() - (second**2).mean()) ** 2
    return ((first.max(1) - second.max(1)) ** 2).sum()


def by_stacking(image):
    """Return m as `amax` over eight slices gives it, with its gradient."""
    height, width = image.shape[-2:]
    parts = [
        image[..., y : y + height - 2, x : x + width - 2]
        for y in range(3)
        for x in range(3)
        if (y, x) != (1, 1)
    ]
    return torch.stack(parts).amax(0)


@pytest.mark.parametrize(
    ("options", "golden"),
    [
        ({}, [3.273308, 3.239456]),
        ({"variant": "a"}, [7.99293e-4, 8.30804e-4]),
        ({"padding": "replicate"}, [3.658508, 3.503224]),
        ({"absolute": True}, [6.345944, 6.124864]),
    ],
    ids=str,
)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-6)])
def test_goldens(options, golden, dtype, tolerance):
    x, y = (v.to(dtype) for v in pattern(2, 1, 32, 32))
    assert native(x, y, **options) == pytest.approx(golden, rel=tolerance)


def test_b_over_its_900_centres_is_the_sheets_mean():
    found = native(*pattern(2, 1, 32, 32))
    assert [v / 900 for v in found] == pytest.approx([0.00363701, 0.00359940], rel=1e-5)


@pytest.mark.parametrize("options", SETTINGS, ids=str)
def test_equals_a_transcription_with_loops(options):
    recon, target = images()
    expected = [by_loops(y, x, **options) for y, x in zip(recon, target, strict=True)]
    assert native(target, recon, **options) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("variant", VARIANTS)
def test_energies_are_sums_over_the_image(variant):
    assert make((3, 8, 5), variant=variant).native_scale == (120 if variant in "ac" else 1)


@pytest.mark.parametrize("options", SETTINGS, ids=str)
def test_blind_to_constant_shifts_and_nothing_else(options):
    recon, target = images()
    assert native(target, target, **options) == [0, 0]
    assert native(target, target + 0.25, **options) == pytest.approx([0, 0], abs=1e-20)
    shifted = native(target + 0.1, recon - 0.2, **options)
    assert shifted == pytest.approx(native(target, recon, **options), rel=1e-9)
    assert min(native(target, 0.9 * target, **options)) > 0


@pytest.mark.parametrize(("absolute", "bright", "dark"), [(False, 9, 1), (True, 9, 9)])
def test_with_a_sign_a_bright_pixel_counts_for_more_than_a_dark_one(absolute, bright, dark):
    # bright: eight rims of +1 and the pixel's own -1; dark: its own +1
    ground = torch.full((1, 1, 7, 7), 0.5)
    for change, expected in ((0.5, bright), (-0.5, dark)):
        recon = ground.clone()
        recon[..., 3, 3] += change
        assert native(ground, recon, absolute=absolute) == [expected / 4]


def test_only_b_sees_where_an_edge_is():
    # a column of ones, moved by one pixel
    target, recon = torch.zeros(2, 1, 1, 9, 9)
    target[..., 3] = recon[..., 4] = 1
    assert native(target, recon, variant="b")[0] > 1
    for variant in "ac":
        assert native(target, recon, variant=variant) == pytest.approx([0], abs=1e-12)


@pytest.mark.parametrize("options", SETTINGS, ids=str)
def test_gradients_are_those_of_the_value(options):
    recon, target = images((1, 1, 5, 4))
    loss = make((1, 5, 4), **options)
    recon.requires_grad_()
    assert torch.autograd.gradcheck(lambda y: loss(y, target, torch.zeros(1, 1)), (recon,))


@pytest.mark.parametrize("levels", [1, 2, 4, 1000])
def test_ties_share_the_gradient_as_amax_does(levels):
    image = (images((2, 3, 8, 7))[0] * levels).floor()
    ours, theirs = (image.clone().requires_grad_() for _ in range(2))
    weight = torch.rand(2, 3, 6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    found, expected = highest_neighbour(ours), by_stacking(theirs)
    assert torch.equal(found, expected)
    (found * weight).sum().backward()
    (expected * weight).sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad)


def test_with_absolute_variations_flat_ground_pulls_nowhere():
    recon = torch.zeros(1, 1, 6, 6, requires_grad=True)
    loss = make((1, 6, 6), absolute=True)
    loss(recon, images((1, 1, 6, 6))[1].float(), torch.zeros(1, 1)).sum().backward()
    assert torch.equal(recon.grad, torch.zeros_like(recon))


def test_d_is_b_from_its_start_on():
    recon, target = images((3, 3, 6, 6))
    latent = torch.zeros(3, 1)
    loss, b = make((3, 6, 6), variant="d"), make((3, 6, 6))
    for progress in (0, 14.9, 15, 15.5):
        loss.start_epoch(progress)
        recon.grad, here = None, recon.requires_grad_()
        energy = loss(here, target, latent)
        energy.sum().backward()
        started = progress >= 15
        assert torch.equal(energy, b(here, target, latent) * started)
        assert recon.grad.any() == started


def test_a_start_that_the_budget_never_reaches_is_announced():
    late = make((1, 8, 8), variant="d", start=40.0)
    assert (late.starts_at, make((1, 8, 8), variant="d").starts_at) == (40, 15)
    assert make((1, 8, 8)).starts_at == 0
    assert WeightedSum([(1.0, losses.build("l2")), (2.0, late)]).starts_at == 40
    assert make((1, 8, 8), variant="d", start=0).starts_at == 0


def test_a_sum_tells_it_the_time():
    recon, target = images((1, 1, 6, 6))
    late = make((1, 6, 6), variant="d", start=3)
    whole = WeightedSum([(1.0, losses.build("l2")), (1.0, late)])
    before = whole(recon, target, None)
    whole.start_epoch(3)
    assert whole(recon, target, None) > before == losses.build("l2")(recon, target, None)


@pytest.mark.parametrize("variant", VARIANTS)
def test_beta_grows_with_the_image_and_follows_the_variant(variant):
    low, high = make((3, 32, 32), variant=variant).beta_range
    assert 0 < low < high < math.inf
    assert make((3, 64, 64), variant=variant).beta_range == pytest.approx((4 * low, 4 * high))


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((1, 2, 9), {}, "2x9 have no pixel with eight neighbours; set padding=replicate"),
        ((1, 8, 8), {"variant": "e"}, "variant is 'e'; give 'a' or 'b' or 'c' or 'd'"),
        ((1, 8, 8), {"padding": "zero"}, "padding is 'zero'; give 'none' or 'replicate'"),
        ((1, 8, 8), {"start": 3.0}, "start is 3.0 but variant 'b' is there from the beginning"),
        ((1, 8, 8), {"variant": "d", "start": -1.0}, "start is -1.0; give an epoch such as 15"),
        ((1, 8, 8), {"variant": "d", "start": math.nan}, "start is nan; give an epoch"),
        ((1, 8, 8), {"variant": "d", "start": math.inf}, "start is inf; give an epoch"),
    ],
)
def test_what_cannot_work_is_refused_in_a_sentence(shape, options, message):
    with pytest.raises(InvalidOption, match=message):
        make(shape, **options)


def test_shapes():
    assert native(*torch.zeros(2, 1, 1, 1, 1), padding="replicate") == [0]
    with pytest.raises(MissingContext, match="Sharpness needs image_shape"):
        losses.build("sharpness")
    recon, target = images((1, 1, 6, 6))
    with pytest.raises(InvalidOption, match=r"built for images \(1, 6, 7\) but got \(1, 6, 6\)"):
        make((1, 6, 7))(recon, target, None)
