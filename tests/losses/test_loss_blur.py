"""`blur`: its weights, its kernels, what its companion learns and where gradients go."""

import copy
import math

import numpy as np
import pytest
import torch
from patterns import pattern
from torch.nn.functional import conv2d, pad

import losses
from losses import kernels, wiener
from losses.base import MissingContext
from losses.options import InvalidOption
from losses.sum import WeightedSum

LATENT = 8


def blur(shape=(3, 16, 12), seed=0, **options):
    generator = torch.Generator().manual_seed(seed)
    return losses.build(
        "blur", image_shape=shape, latent_size=LATENT, generator=generator, **options
    )


def batch(shape=(3, 16, 12), n=3, dtype=torch.float64, seed=1):
    """Return reconstructions, targets and latents."""
    generator = torch.Generator().manual_seed(seed)
    recon, target = torch.rand(2, n, *shape, generator=generator, dtype=dtype)
    return recon, target, torch.randn(n, LATENT, generator=generator, dtype=dtype)


def gaussian_by_hand(size, variance):
    r = np.arange(size) - size // 2
    kernel = np.exp(-(r[:, None] ** 2 + r**2) / (2 * variance))
    return kernel / kernel.sum()


def placed_by_hand(kernel, height, width):
    """Return the image (H, W) of a kernel whose centre is at the origin, wrapped around."""
    image, half = np.zeros((height, width)), len(kernel) // 2
    for i, row in enumerate(kernel):
        for j, value in enumerate(row):
            image[(i - half) % height, (j - half) % width] = value
    return image


def quadratic_by_hand(target, recon, kernels, c):
    """Return Q with full complex transforms, one image and channel after the other."""
    found = []
    for x, y, kernel in zip(target.numpy(), recon.numpy(), kernels, strict=True):
        K = np.fft.fft2(placed_by_hand(kernel, *x.shape[1:]))
        W = K.conj() / (abs(K) ** 2 + c)
        spectra = [np.fft.fft2(error, norm="ortho") for error in x - y]
        found.append(sum((abs(W * E) ** 2).sum() for E in spectra) / 2)
    return found


# Golden values of the reference sheet, on images in [-1, 1] and in float64.
GOLDEN = [
    ({"variance": 2.0, "c": 0.005}, [1081.475, 1084.530]),
    ({"variance": 2.0, "c": 0.025}, [105.3096, 106.0184]),
    ({"variance": 2.0, "c": 0.1}, [32.4502, 32.8070]),
    ({"variance": 4.0, "c": 0.025}, [35.5507, 35.9251]),
]


@pytest.mark.parametrize(("options", "golden"), GOLDEN, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_goldens(options, golden, dtype):
    target, recon = (v.to(dtype) for v in pattern(2, 3, 64, 64))
    loss = blur((3, 64, 64), kernel="gaussian", range="signed", **options)
    found = loss(recon, target, torch.zeros(2, LATENT)).tolist()
    digit = 1e-3 if golden[0] > 1000 else 1e-4
    exact = dtype == torch.float64
    assert found == pytest.approx(golden, abs=digit if exact else 0, rel=0 if exact else 1e-5)


def test_golden_without_weights_is_the_warm_up():
    target, recon = (v.double() for v in pattern(2, 3, 64, 64))
    for options in ({}, {"kernel": "gaussian"}, {"epsilon": 0.5}):
        loss = blur((3, 64, 64), range="signed", **options)
        loss.start_epoch(0.0)
        found = loss(recon, target, torch.zeros(2, LATENT)).tolist()
        assert found == pytest.approx([61.1079, 61.4920], abs=1e-4)


@pytest.mark.parametrize("c", [0.005, 0.025, 0.1])
def test_a_delta_kernel_is_l2(c):
    recon, target, latent = batch()
    expected = losses.build("l2")(recon, target, latent) / (1 + c) ** 2
    assert torch.allclose(blur(kernel="delta", c=c)(recon, target, latent), expected)
    signed = blur(kernel="delta", c=c, range="signed")(recon, target, latent)
    assert torch.allclose(signed, 4 * expected)


@pytest.mark.parametrize(
    ("c", "largest", "low", "high"),
    [
        (0.025, 3.162, 0.0257, 0.9743),
        (0.005, 7.07, 0.0050, 0.9950),
        (0.1, 1.581, 0.1127, 0.8873),
    ],
)
def test_weights_are_band_pass(c, largest, low, high):
    K = torch.tensor([0.0, low, math.sqrt(c), high, 1.0], dtype=torch.complex128)
    weights = wiener.weight(K, c).sqrt().tolist()
    assert weights[0] == 0
    assert weights[1] == pytest.approx(1, abs=0.02)  # as exact as the sheet's four decimals
    assert weights[2] == pytest.approx(largest, abs=5e-3)
    assert weights[2] == pytest.approx(1 / (2 * math.sqrt(c)))
    assert weights[3] == pytest.approx(1, abs=1e-3)
    assert weights[4] == pytest.approx(1 / (1 + c))
    turned = K * torch.exp(torch.tensor(1j))
    assert torch.allclose(wiener.weight(turned, c), wiener.weight(K, c))


@pytest.mark.parametrize("shape", [(3, 16, 12), (1, 13, 15), (2, 12, 17), (1, 1, 1)])
@pytest.mark.parametrize("normalisation", ["softmax", "abs"])
def test_the_generator_weighs_each_image_by_its_own_kernel(shape, normalisation):
    recon, target, latent = batch(shape)
    loss = blur(shape, normalisation=normalisation)
    found = loss.snapshot(latent)["kernels"].detach().numpy()
    assert loss(recon, target, latent).tolist() == pytest.approx(
        quadratic_by_hand(target, recon, found, 0.025), rel=1e-9
    )


def test_the_gaussian_is_the_one_by_hand():
    for size, variance in ((11, 2.0), (5, 0.3), (1, 4.0)):
        expected = gaussian_by_hand(size, variance)
        assert np.allclose(kernels.gaussian(size, variance).numpy(), expected, atol=1e-15)
    recon, target, latent = batch()
    found = blur(kernel="gaussian", variance=3.0, size=7, c=0.01)(recon, target, latent)
    by_hand = quadratic_by_hand(target, recon, 3 * [gaussian_by_hand(7, 3.0)], 0.01)
    assert found.tolist() == pytest.approx(by_hand, rel=1e-9)


def test_shifting_or_flipping_a_kernel_changes_no_weight():
    kernel = torch.rand(5, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    shifted = pad(kernel, (4, 0, 0, 4))
    expected = wiener.weight(wiener.transfer(kernel, 9, 10), 0.025)
    for other in (kernel.flip(0, 1), shifted):
        K = wiener.transfer(other, 9, 10)
        assert not torch.allclose(K, wiener.transfer(kernel, 9, 10))
        assert torch.allclose(wiener.weight(K, 0.025), expected)


@pytest.mark.parametrize("normalisation", ["softmax", "abs"])
def test_kernels_are_non_negative_with_unit_sum(normalisation):
    loss = blur(normalisation=normalisation)
    found = loss.snapshot(50 * torch.randn(20, LATENT, generator=torch.Generator().manual_seed(3)))
    assert found["kernels"].shape == (20, 11, 11)
    assert found["kernels"].ge(0).all()
    assert torch.allclose(found["kernels"].sum((1, 2)), torch.ones(20))
    assert found["kernels"].std(0).max() > 0


def test_parameters_are_those_of_the_sheet():
    for side, count in ((64, 378_121), (256, 1_939_681)):
        with torch.device("meta"):
            loss = losses.build("blur", image_shape=(3, side, side), latent_size=256)
        assert sum(p.numel() for p in loss.companion.parameters()) == count
    assert loss.companion_groups()[0]["lr"] == 1e-4
    with torch.device("meta"):
        narrow = losses.build("blur", image_shape=(3, 64, 64), latent_size=256, hidden=10)
    assert sum(p.numel() for p in narrow.companion.parameters()) == 257 * 10 + 11 * 121


def test_initial_weights_are_uniform_and_come_from_the_generator():
    first, again, other = (blur(seed=seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert all(not torch.equal(first[name], other[name]) for name in first)
    weights = first["companion.hidden.weight"]
    assert weights.abs().max() <= 1 / math.sqrt(LATENT)
    assert weights.std() == pytest.approx(1 / math.sqrt(3 * LATENT), rel=0.05)


@pytest.mark.parametrize(
    ("height", "width", "size"),
    [
        (64, 64, 11),
        (128, 300, 11),
        (132, 132, 11),
        (134, 134, 13),
        (200, 192, 27),
        (252, 252, 41),
        (256, 256, 41),
        (600, 512, 41),
        (8, 20, 7),
        (7, 7, 7),
        (1, 9, 1),
    ],
)
def test_default_sizes(height, width, size):
    assert kernels.default_size(height, width) == size


def convolved_in_space(images, found, padding):
    """Convolve each image with its kernel; conv2d correlates, hence the flip."""
    half = found.shape[-1] // 2
    mode = {"zeros": "constant"}.get(padding, padding)
    around = pad(images, (half, half, half, half), mode)
    return torch.stack(
        [
            conv2d(image.unsqueeze(1), kernel.flip(0, 1)[None, None]).squeeze(1)
            for image, kernel in zip(around, found, strict=True)
        ]
    )


@pytest.mark.parametrize("padding", ["circular", "reflect", "zeros"])
@pytest.mark.parametrize("shape", [(3, 16, 12), (1, 13, 15)])
@pytest.mark.parametrize("picture_range", ["unit", "signed"])
def test_the_companion_learns_the_convolution(padding, shape, picture_range):
    recon, target, latent = batch(shape)
    loss = blur(shape, padding=padding, range=picture_range)
    found = loss.snapshot(latent)["kernels"]
    x, y = (2 * v - 1 if picture_range == "signed" else v for v in (target, recon))
    expected = (convolved_in_space(x, found, padding) - y).square().sum() / len(y)
    value = loss.companion_loss(recon, target, latent, None)
    assert value.item() == pytest.approx(expected.item(), rel=1e-9)
    parameters = list(loss.companion.parameters())
    ours = torch.autograd.grad(value, parameters)
    in_space = torch.autograd.grad(expected, parameters)
    assert all(torch.allclose(a, b, rtol=1e-4) for a, b in zip(ours, in_space, strict=True))


def test_the_transform_of_a_convolution_is_the_product_and_the_mirror_image_its_conjugate():
    kernel = torch.rand(1, 5, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    _, image, _ = batch((1, 9, 10), n=1)
    K = wiener.transfer(kernel, 9, 10)
    product = torch.fft.irfft2(torch.fft.rfft2(image) * K, s=(9, 10))
    assert torch.allclose(product, convolved_in_space(image, kernel, "circular"))
    mirrored = torch.fft.irfft2(torch.fft.rfft2(image) * K.conj(), s=(9, 10))
    assert torch.allclose(mirrored, convolved_in_space(image, kernel.flip(1, 2), "circular"))


def test_the_companion_finds_the_blur():
    _, target, _ = batch((1, 12, 12), n=4, dtype=torch.float32)
    kernel = kernels.gaussian(5, 1.0).float().expand(4, 5, 5)
    recon = convolved_in_space(target, kernel, "circular")
    loss = blur((1, 12, 12), size=5, hidden=32)
    optimiser = torch.optim.Adam(loss.companion_groups()[0]["params"], lr=0.05)
    latent = torch.zeros(4, LATENT)
    for _ in range(100):
        optimiser.zero_grad()
        value = loss.companion_loss(recon, target, latent, None)
        value.backward()
        optimiser.step()
    assert (loss.snapshot(latent)["kernels"] - kernel).abs().max() < 0.01


def test_the_companion_reaches_nothing_but_itself():
    recon, target, latent = (v.float().requires_grad_() for v in batch())
    loss = blur()
    loss.companion_loss(recon, target, latent, None).backward()
    assert recon.grad is target.grad is latent.grad is None
    assert all(p.grad.abs().sum() > 0 for p in loss.companion.parameters())


def test_gradients_reach_the_latent_only_with_a_determinant():
    for options, reached in (
        ({}, False),
        ({"epsilon": 0.5}, True),
        ({"likelihood": "inverse-eps", "epsilon": 0.5}, True),
        ({"likelihood": "wiener-exact"}, True),
    ):
        recon, target, latent = (v.float() for v in batch())
        latent.requires_grad_()
        loss = blur(**options).requires_grad_(False)
        loss(recon.requires_grad_(), target, latent).sum().backward()
        assert recon.grad.abs().sum() > 0
        assert (latent.grad is not None) == reached
        assert not reached or latent.grad.abs().sum() > 0
        assert all(p.grad is None for p in loss.companion.parameters())


def test_in_the_warm_up_no_gradient_reaches_the_latent_but_the_companion_trains():
    recon, target, latent = (v.float() for v in batch())
    loss = blur(epsilon=0.5)
    loss.start_epoch(3.0)
    energy = loss(recon.requires_grad_(), target, latent.requires_grad_())
    energy.sum().backward()
    assert latent.grad is None
    assert loss.companion_loss(recon, target, latent, None).requires_grad


def test_the_warm_up_takes_its_share_of_the_budget():
    recon, target, latent = batch()
    loss = blur(warmup=10.0)
    assert loss.starts_at == 10.0
    full = loss(recon, target, latent)  # never told the time
    half_squares = losses.build("l2")(recon, target, latent)
    for progress in (0.0, 5.0, 9.99):
        loss.start_epoch(progress)
        assert torch.allclose(loss(recon, target, latent), half_squares)
    for progress in (10.0, 99.0):
        loss.start_epoch(progress)
        assert torch.equal(loss(recon, target, latent), full)
        assert torch.equal(loss.eval()(recon, target, latent), full)
    at_once = blur(warmup=0.0)
    at_once.start_epoch(0.0)
    assert at_once.starts_at == 0
    assert torch.equal(at_once(recon, target, latent), full)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"kernel": "gaussian"},
        {"epsilon": 0.001, "normalisation": "abs"},
        {"likelihood": "inverse-eps", "epsilon": 0.5},
        {"likelihood": "wiener-exact"},
    ],
    ids=str,
)
def test_gradients_are_those_of_the_value(options):
    shape = (2, 6, 7)
    recon, target, latent = batch(shape, n=2)
    hidden = {} if "kernel" in options else {"hidden": 6}
    loss = blur(shape, size=3, **hidden, **options).double().requires_grad_(False)
    with_determinant = loss.epsilon is not None or loss.likelihood == "wiener-exact"
    latent.requires_grad_(with_determinant)
    inputs = (recon.requires_grad_(), latent)
    assert torch.autograd.gradcheck(lambda y, z: loss(y, target, z), inputs)


@pytest.mark.parametrize("padding", ["circular", "reflect"])
def test_gradients_of_the_companion_are_those_of_its_value(padding):
    shape = (2, 6, 7)
    recon, target, latent = batch(shape, n=2)
    loss = blur(shape, size=3, hidden=3, padding=padding).double()
    parameters = tuple(loss.companion.parameters())
    assert torch.autograd.gradcheck(
        lambda *_: loss.companion_loss(recon, target, latent, None), parameters
    )


@pytest.mark.parametrize("padding", ["circular", "reflect", "zeros"])
@pytest.mark.parametrize("normalisation", ["softmax", "abs"])
def test_the_companion_stays_finite_on_extreme_images(padding, normalisation):
    loss = blur((1, 12, 12), padding=padding, normalisation=normalisation)
    flat = [torch.full((1, 1, 12, 12), value) for value in (0.0, 0.5, 1.0)]
    for target in flat:
        for recon in flat:
            loss.zero_grad()
            value = loss.companion_loss(recon, target, torch.zeros(1, LATENT), None)
            value.backward()
            assert value.isfinite()
            assert all(p.grad.isfinite().all() for p in loss.companion.parameters())


def test_float32_follows_float64():
    recon, target, latent = batch((3, 32, 32))
    for options in ({}, {"epsilon": 0.5}, {"likelihood": "inverse-eps", "epsilon": 0.5}):
        loss = blur((3, 32, 32), **options)
        exact = loss(recon, target, latent)
        single = loss(recon.float(), target.float(), latent.float())
        assert single.dtype == torch.float32
        assert torch.allclose(single.double(), exact, rtol=1e-5)
        assert exact.dtype == torch.float64
        # weights are float32 but nothing is computed in it
        assert torch.allclose(
            copy.deepcopy(loss).double()(recon, target, latent), exact, rtol=1e-12
        )


def test_latents_in_half_precision_are_taken_as_they_come():
    recon, target, latent = (v.float() for v in batch())
    loss = blur()
    value = loss.companion_loss(recon, target, latent.bfloat16(), None)
    assert value.dtype == torch.float32
    assert torch.equal(value, loss.companion_loss(recon, target, latent.bfloat16().float(), None))


def test_options_of_the_companion_share_one_state():
    trained, scored = blur(), blur(epsilon=0.5, seed=5)
    assert sorted(trained.state_dict()) == [
        "companion.hidden.bias",
        "companion.hidden.weight",
        "companion.output.bias",
        "companion.output.weight",
    ]
    scored.load_state_dict(trained.state_dict())
    latent = batch()[2]
    assert torch.equal(scored.snapshot(latent)["kernels"], trained.snapshot(latent)["kernels"])
    assert not blur(kernel="gaussian").state_dict()


def test_a_copy_trains_its_own_companion():
    recon, target, latent = batch()
    loss = blur()
    twin = copy.deepcopy(loss)
    with torch.no_grad():
        twin.companion.output.bias[0] += 1
    assert twin.companion_loss(recon, target, latent, None) != loss.companion_loss(
        recon, target, latent, None
    )


def test_fixed_kernels_have_no_companion():
    recon, target, latent = batch()
    for kernel in ("gaussian", "delta"):
        loss = losses.build("blur", image_shape=(3, 16, 12), kernel=kernel)
        assert loss.companion is None
        assert loss.companion_loss is None
        assert loss.companion_groups() == []
        assert loss.snapshot(latent) == {}
    both = WeightedSum([(1.0, loss), (0.5, blur())])
    alone = both.terms[1].companion_loss(recon, target, latent, None)
    assert both.companion_loss(recon, target, latent, None) == alone
    assert list(both.snapshot(latent)) == ["kernels_2"]


def test_signed_images_scale_energy_and_weights_of_the_kl_divergence():
    recon, target, latent = batch()
    unit, signed = blur(range="unit"), blur(range="signed")
    assert torch.allclose(signed(recon, target, latent), 4 * unit(recon, target, latent))
    assert signed.beta_range == pytest.approx([4 * beta for beta in unit.beta_range])
    assert blur().scale == 1
    assert blur(epsilon=0.5).scale == 2
    assert blur(epsilon=0.5, range="unit").scale == 1


def test_the_generator_needs_a_latent_size():
    with pytest.raises(MissingContext, match="Blur needs latent_size"):
        losses.build("blur", image_shape=(3, 16, 16))
    with pytest.raises(MissingContext, match="Blur needs image_shape"):
        losses.build("blur", latent_size=4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"c": 0.0}, "c is 0.0; give a positive"),
        ({"c": math.inf}, "c is inf; give a positive"),
        ({"epsilon": -0.5}, "epsilon is -0.5; give a number from 0"),
        ({"epsilon": math.nan}, "epsilon is nan"),
        ({"warmup": -1.0}, "warmup is -1.0; give a number of epochs"),
        ({"hidden": 0}, "hidden is 0; give a positive width"),
        ({"size": 4}, "size is 4; give an odd positive integer such as 11"),
        ({"size": -1}, "size is -1; give an odd"),
        ({"size": 13}, "size=13 is larger than images of 16x12; set size=11"),
        ({"kernel": "gaussian", "variance": 0.0}, "variance is 0.0; give a positive"),
        ({"kernel": "box"}, "kernel is 'box'; give 'generator' or 'gaussian' or 'delta'"),
        ({"likelihood": "inverse-eps"}, "epsilon None; give one, such as 0.5"),
        ({"likelihood": "wiener-exact", "epsilon": 0.5}, "epsilon is 0.5, but.*leave it out"),
    ],
    ids=str,
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(InvalidOption, match=message):
        blur(**options)


def test_images_of_another_shape_are_refused():
    recon, target, latent = batch((3, 12, 16))
    loss = blur()
    with pytest.raises(InvalidOption, match=r"built for images \(3, 16, 12\) but got \(3, 12, 16"):
        loss(recon, target, latent)
    with pytest.raises(InvalidOption, match="built for images"):
        loss.companion_loss(recon, target, latent, None)
