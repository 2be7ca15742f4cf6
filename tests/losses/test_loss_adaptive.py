"""Barron's adaptive loss: the sheet's values, the density, the transforms, what is learned."""

import math

import numpy as np
import pytest
import torch
from patterns import pattern
from scipy.fft import dctn
from scipy.integrate import quad

import losses
from losses.coefficients import CDF97, analysis_matrix, deepest
from losses.colour import volume_preserving_yuv
from losses.options import InvalidOption
from losses.robust_density import log_partition, partition_table, rho

TABLE = torch.tensor(partition_table())
FIXED = {"alpha_lo": 2.0, "alpha_hi": 2.0, "scale_lo": 0.1, "scale_init": 0.1}
each_representation = pytest.mark.parametrize("representation", ["cdf97", "dct", "pixel"])


def make(shape=(3, 64, 64), **options):
    return losses.build("adaptive", image_shape=shape, **options)


def energy(loss, recon, target):
    return loss(recon, target, torch.zeros(len(recon), 1))


def rho_by_hand(x, a, c=1.0):
    z = (x / c) ** 2
    if a == 0:
        return np.log(z / 2 + 1)
    if a == 2:
        return z / 2
    return abs(a - 2) / a * ((z / abs(a - 2) + 1) ** (a / 2) - 1)


def log_partition_by_hand(a):
    def density(u):
        return math.exp(-min(rho_by_hand(u, a), 700))

    near, far = quad(density, 0, 1, epsabs=1e-13)[0], quad(density, 1, math.inf, limit=500)[0]
    return math.log(2 * (near + far))


# ---- the density ----

GOLDEN_RHO = {  # at x = 0.5, 1, 3
    0.0: [0.117783, 0.405465, 1.704748],
    0.5: [0.117869, 0.408658, 1.879730],
    1.0: [0.118034, 0.414214, 2.162278],
    1.5: [0.118468, 0.426502, 2.700166],
    2.0: [0.125, 0.5, 4.5],
    3.0: [0.132514, 0.609476, 10.20759],
}


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-6), (torch.float64, 5e-7)])
def test_golden_rho(dtype, tolerance):
    x, one = torch.tensor([0.5, 1.0, 3.0], dtype=dtype), torch.ones((), dtype=dtype)
    for alpha, golden in GOLDEN_RHO.items():
        for sign in (1, -1):
            found = rho(sign * x, alpha * one, one)
            assert found.tolist() == pytest.approx(golden, rel=tolerance, abs=1e-6)


def test_golden_log_partition():
    golden = {0.0: 1.491303, 0.5: 1.291707, 1.0: 1.185495, 1.5: 1.087189, 2.0: 0.918939}
    golden |= {2.5: 0.797004, 3.0: 0.766956, 4.0: 0.742871}
    for dtype in (torch.float32, torch.float64):
        found = log_partition(torch.tensor(list(golden), dtype=dtype), TABLE)
        assert found.tolist() == pytest.approx(list(golden.values()), abs=6e-7)
    closed = [math.log(math.pi * math.sqrt(2)), math.log(math.sqrt(2 * math.pi))]
    found = log_partition(torch.tensor([0.0, 2.0], dtype=torch.float64), TABLE)
    assert found.tolist() == pytest.approx(closed, abs=1e-8)


def test_log_partition_against_adaptive_quadrature():
    draw = np.random.default_rng(0)
    alphas = [*draw.uniform(0, 4, 40), 1e-6, 0.004, 0.02, 1.99, 1.9999, 2.0001, 2.01]
    expected = [log_partition_by_hand(a) for a in alphas]
    found = log_partition(torch.tensor(alphas, dtype=torch.float64), TABLE)
    assert found.tolist() == pytest.approx(expected, abs=5e-8)


def test_the_slope_of_log_partition_is_minus_the_mean_slope_of_rho():
    alpha = torch.tensor(
        [0.001, 0.02, 0.3, 1.0, 1.7, 1.99, 1.9999, 2.0001, 2.02, 3.0, 3.9], dtype=torch.float64
    ).requires_grad_()
    (found,) = torch.autograd.grad(log_partition(alpha, TABLE).sum(), alpha)
    v = torch.arange(-25, 25, 0.02, dtype=torch.float64)
    u = v.exp()[:, None]  # mean of d rho / d alpha under the density, in log u
    weights = (-rho(u, alpha.detach(), torch.ones_like(alpha))).exp() * u
    value = (rho(u, alpha, torch.ones_like(alpha)) * weights).sum(0) / weights.detach().sum(0)
    (mean,) = torch.autograd.grad(value.sum(), alpha)
    assert torch.allclose(found, -mean, rtol=2e-5)


def test_derivatives_of_rho():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(4, 3, generator=generator, dtype=torch.float64).mul(3).requires_grad_()
    alpha = torch.tensor([[0.2, 1.3, 1.97], [2.04, 2.6, 3.5]], dtype=torch.float64)
    for row in alpha:
        scale = torch.tensor([0.3, 1.0, 2.0], dtype=torch.float64).requires_grad_()
        assert torch.autograd.gradcheck(rho, (x, row.requires_grad_(), scale))


def derivatives(dtype, x, alpha):
    inputs = [torch.tensor(v, dtype=dtype) for v in (x, alpha, [1.0] * len(alpha))]
    inputs[0] = inputs[0][:, None]
    value = rho(*(v.requires_grad_() for v in inputs)).sum()
    return torch.autograd.grad(value, inputs)


def test_single_precision_derivatives_near_two_and_far_out():
    near = [2 + offset for offset in (-1e-2, -(2.0**-13), -(2.0**-16), 2.0**-16, 2.0**-13, 1e-2)]
    for x, alpha in (([1e-3, 0.1, 1, 30], near), ([1e2, 1e4, 1e6], [0.1, 0.5, 1, 1.5, 1.99])):
        single, double = (derivatives(dtype, x, alpha) for dtype in (torch.float32, torch.float64))
        for s, d in zip(single, double, strict=True):
            assert torch.allclose(s.double(), d, rtol=2e-5)


@pytest.mark.parametrize("alpha", [0.3, 1.0, 2.0, 2.7])
def test_the_density_of_one_pixel_integrates_to_one(alpha):
    loss = make((1, 1, 1), alpha_lo=alpha, alpha_hi=alpha, scale_init=0.02)
    v = torch.arange(-30, 30, 0.02, dtype=torch.float64)
    x = v.exp().view(-1, 1, 1, 1)
    density = (-energy(loss, torch.zeros_like(x), x)).exp()
    assert (2 * 0.02 * density * x.flatten()).sum().item() == pytest.approx(1, abs=1e-6)


# ---- the transforms ----

# Cohen, Daubechies & Feauveau 1992, from the centre on
LOW = [0.852698679009, 0.377402855613, -0.110624404418, -0.023849465020, 0.037828455507]
HIGH = [0.788485616406, -0.418092273222, -0.040689417609, 0.064538882629]


def filtered(values, half, axis, shift):
    """Convolve with the symmetric filter, reflecting, and keep every second value."""
    values = np.moveaxis(values, axis, -1)
    side, reach = values.shape[-1], len(half) - 1
    places = np.arange(-reach, side + reach) % max(1, 2 * (side - 1))
    padded = values[..., np.minimum(places, 2 * (side - 1) - places)]
    taps = [*half[:0:-1], *half]
    found = sum(tap * padded[..., i : i + side] for i, tap in enumerate(taps))
    return np.moveaxis(found[..., shift::2], -1, axis)


def cdf97_by_filters(images, levels):
    bands = []
    for _ in range(levels):
        low, high = filtered(images, LOW, -2, 0), filtered(images, HIGH, -2, 1)
        bands += [filtered(high, LOW, -1, 0), filtered(high, HIGH, -1, 1)]
        bands += [filtered(low, HIGH, -1, 1)]
        images = filtered(low, LOW, -1, 0)
    return bands, images


@pytest.mark.parametrize(("height", "width"), [(64, 64), (32, 48), (9, 14), (5, 2), (28, 28)])
def test_wavelets_against_the_published_filters(height, width):
    images = np.random.default_rng(0).normal(size=(2, 3, height, width))
    transform = CDF97(height, width, 5)
    bands, rest = cdf97_by_filters(images, transform.levels)
    found = transform(torch.tensor(images)).numpy()
    expected = np.concatenate([b.reshape(2, 3, -1) for b in (*bands, rest)], axis=2)
    assert found.shape == (2, 3, height * width)
    assert np.sort(found, axis=2) == pytest.approx(np.sort(expected, axis=2), abs=1e-9)
    coarse = found[:, :, height * width - rest[0, 0].size :]
    assert coarse == pytest.approx(rest.reshape(2, 3, -1), abs=1e-9)


def dense(transform, height, width):
    size = height * width
    units = torch.eye(size, dtype=torch.float64).view(size, 1, height, width)
    return transform(units)[:, 0].T.numpy()


@pytest.mark.parametrize(("height", "width"), [(8, 8), (16, 12), (9, 6), (7, 5), (14, 14)])
def test_wavelets_change_volume_by_what_is_subtracted(height, width):
    transform = CDF97(height, width, 5)
    _, log_determinant = np.linalg.slogdet(dense(transform, height, width))
    assert transform.log_volume == pytest.approx(log_determinant, abs=1e-9)
    if (height, width) == (8, 8) or (height, width) == (16, 12):
        one_level = CDF97(height, width, 1)
        assert abs(np.linalg.det(dense(one_level, height, width))) == pytest.approx(1, abs=1e-9)
        assert one_level.log_volume == 0


def test_wavelets_of_a_line_are_low_and_smooth():
    matrix = analysis_matrix(16)
    ramp = matrix @ (3 + 0.5 * np.arange(16.0))  # the edges are reflected
    assert ramp[:8] == pytest.approx(math.sqrt(2) * (3 + np.arange(8.0)), abs=0.3)
    assert ramp[9:14] == pytest.approx(np.zeros(5), abs=1e-12)  # four vanishing moments
    assert [deepest(*size) for size in ((64, 64), (28, 28), (1, 9), (2, 9), (33, 40))] == [
        *(6, 5, 0, 1, 6)
    ]


def test_yuv_preserves_volume_with_the_sources_factor():
    matrix = volume_preserving_yuv()
    assert np.linalg.det(matrix) == pytest.approx(1, abs=1e-12)
    assert matrix[0] / [0.299, 0.587, 0.114] == pytest.approx([1.580227820074] * 3, abs=1e-11)
    by_source = [0.299, -0.14714119, 0.61497538]  # what one unit of red becomes
    assert matrix[:, 0] / 1.580227820074 == pytest.approx(by_source, abs=1e-8)


# ---- the loss ----


@pytest.mark.parametrize(
    ("representation", "colour", "golden"),
    [
        ("pixel", "rgb", [-1665.019, -1499.086]),
        ("dct", "yuv", [-36010.08, -36387.23]),
        ("cdf97", "yuv", [-18036.27, -18109.20]),
    ],
)
def test_golden_likelihoods(representation, colour, golden):
    x, y = pattern(2, 3, 64, 64)
    loss = make(representation=representation, colour=colour)
    assert energy(loss, y, x).tolist() == pytest.approx(golden, rel=1e-5)
    assert energy(loss, y.double(), x.double()).tolist() == pytest.approx(golden, rel=6e-7)


def randomised(loss, seed=0):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in loss.main_parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return loss


def coefficients_by_hand(representation, residual):
    if representation == "dct":
        residual = dctn(residual, axes=(1, 2), norm="ortho")
    if representation != "cdf97":
        return residual.reshape(3, -1)
    bands, rest = cdf97_by_filters(residual, 3)
    order = []
    for level in range(3):  # as the transform lists them: rows' high passes, then columns'
        low, high, columns = bands[3 * level : 3 * level + 3]
        order += [np.concatenate((low, high), 2).reshape(3, -1), columns.reshape(3, -1)]
    return np.concatenate((*order, rest.reshape(3, -1)), 1)


@each_representation
@pytest.mark.parametrize("colour", ["yuv", "rgb"])
def test_any_parameters_against_a_slow_transcription(representation, colour):
    x, y = (v.double() for v in pattern(2, 3, 8, 8))
    loss = randomised(make((3, 8, 8), representation=representation, colour=colour))
    residual = (x - y).numpy()
    if colour == "yuv":
        residual = np.einsum("dc,bchw->bdhw", volume_preserving_yuv(), residual)
    latents = [p.detach().double().numpy() for p in (loss.latent_alpha, loss.latent_scale)]
    alpha = 1e-6 + (3 - 1e-6) / (1 + np.exp(-latents[0]))
    scale = 1e-8 + (1e-2 - 1e-8) * np.log1p(np.exp(latents[1] + math.log(math.e - 1)))
    constant = np.log(scale) + np.vectorize(log_partition_by_hand)(alpha)
    nll = [
        sum(map(rho_by_hand, coefficients.flat, alpha.flat, scale.flat)) + constant.sum()
        for coefficients in (coefficients_by_hand(representation, r) for r in residual)
    ]
    assert energy(loss, y, x).tolist() == pytest.approx(nll, rel=1e-7)


@pytest.mark.parametrize("representation", ["dct", "pixel"])
def test_fixed_at_two_it_is_l2(representation):
    x, y = (v.double() for v in pattern(2, 3, 16, 24))
    loss = make((3, 16, 24), representation=representation, colour="rgb", **FIXED)
    assert list(loss.main_parameters()) == []
    constant = x[0].numel() * (math.log(0.1) + math.log(2 * math.pi) / 2)
    l2 = energy(losses.build("l2"), y, x) / 0.1**2
    assert energy(loss, y, x).tolist() == pytest.approx((l2 + constant).tolist(), rel=1e-9)


@each_representation
def test_it_stays_a_density_of_the_pixels(representation):
    # A Gaussian of the coefficients W e has the covariance c^2 (W'W)^-1: compare the densities.
    loss = make((1, 7, 6), representation=representation, **FIXED)
    transform = dense(loss.transform, 7, 6)
    precision = transform.T @ transform / 0.1**2
    _, log_determinant = np.linalg.slogdet(precision)
    e = np.random.default_rng(0).normal(size=(2, 42)) * 0.1
    expected = (e @ precision * e).sum(1) / 2 + 42 * math.log(2 * math.pi) / 2 - log_determinant / 2
    target = torch.tensor(e).view(2, 1, 7, 6)
    found = energy(loss, torch.zeros_like(target), target)
    assert found.tolist() == pytest.approx(expected.tolist(), rel=1e-9)


@each_representation
def test_gradients_are_those_of_the_value(representation):
    loss = randomised(make((3, 5, 6), representation=representation)).double()
    generator = torch.Generator().manual_seed(1)
    y, x = torch.rand(2, 2, 3, 5, 6, generator=generator, dtype=torch.float64)
    learned = tuple(loss.main_parameters())

    def value(recon, *_):
        return energy(loss, recon, x)

    inputs = (y.requires_grad_(), *learned)
    assert torch.autograd.gradcheck(value, inputs, fast_mode=True)


@each_representation
def test_training_fits_shapes_and_scales(representation):
    loss = make((3, 8, 8), representation=representation, colour="rgb", scale_init=0.1)
    assert [p.shape for p in loss.main_parameters()] == [(3, 64)] * 2
    assert loss.shapes().tolist() == [pytest.approx([1.0] * 64)] * 3
    assert loss.scales().tolist() == [pytest.approx([0.1] * 64)] * 3
    generator = torch.Generator().manual_seed(0)
    noise = 0.2 * torch.randn(512, 3, 8, 8, generator=generator)  # normal: alpha = 2, c = 0.2
    optimizer = torch.optim.Adam(list(loss.main_groups()[0]["params"]), lr=0.1)
    for _ in range(100):
        optimizer.zero_grad()
        value = energy(loss, torch.zeros_like(noise), noise).mean()
        value.backward()
        optimizer.step()
    normal = 192 * (math.log(0.2) + math.log(2 * math.pi * math.e) / 2)
    # coefficients of wavelets are not independent, so that their own densities fit less well
    assert value.item() == pytest.approx(normal, abs=12 if representation == "cdf97" else 1)
    assert loss.shapes().median().item() == pytest.approx(2, abs=0.2)
    restored = make((3, 8, 8), representation=representation, colour="rgb", scale_init=0.1)
    restored.load_state_dict(loss.state_dict())
    assert set(loss.state_dict()) == {"latent_alpha", "latent_scale"}
    assert torch.equal(energy(restored, noise, noise * 0), energy(loss, noise, noise * 0))


def test_scales_stay_above_their_floor():
    loss = make((1, 4, 4), scale_lo=1e-3)
    with torch.no_grad():
        loss.latent_scale.fill_(-1e4)
    assert loss.scales().min().item() == pytest.approx(1e-3)
    flat = torch.zeros(1, 1, 4, 4)
    bound = 16 * (math.log(1e-3) + log_partition_by_hand(1.0))
    assert energy(loss, flat, flat).item() == pytest.approx(bound, rel=1e-5)


def test_shape_and_scale_can_be_fixed_one_by_one():
    assert len(list(make(alpha_lo=0.0, alpha_hi=0.0).main_parameters())) == 1
    assert len(list(make(scale_lo=0.01).main_parameters())) == 1
    x, y = pattern(2, 3, 64, 64)
    cauchy = make(representation="pixel", colour="rgb", alpha_lo=0.0, alpha_hi=0.0)
    e = (x - y).double().flatten(1)
    expected = (torch.log((e / 0.01) ** 2 / 2 + 1) + math.log(0.01 * math.pi * 2**0.5)).sum(1)
    assert energy(cauchy, y, x).tolist() == pytest.approx(expected.tolist(), rel=1e-5)


def test_channels_are_channels():
    # One channel alone differs: only its own parameters get a gradient.
    loss = make((3, 8, 8), colour="rgb")
    x = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    y = x.clone()
    y[:, 1] += 0.1
    still, moved = (energy(loss, v, x).sum() for v in (x, y))
    gradients = torch.autograd.grad(moved - still, loss.latent_scale)[0]
    assert gradients[1].any()
    assert not gradients[0].any()
    assert not gradients[2].any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"levels": 0}, "levels is 0"),
        ({"alpha_lo": -0.1}, "alpha_lo is -0.1"),
        ({"alpha_lo": 3.0, "alpha_hi": 2.0}, "alpha_lo is 3.0 and alpha_hi 2.0"),
        ({"alpha_hi": 5.0}, "alpha_hi 5.0"),
        ({"alpha_init": 3.0}, "alpha_init is 3.0"),
        ({"scale_lo": 0.0}, "scale_lo is 0.0"),
        ({"scale_lo": 0.1}, "scale_init 0.01"),
        ({"alpha_lo": math.nan}, "alpha_lo is nan"),
        ({"representation": "haar"}, "cdf97"),
        ({"colour": "lab"}, "yuv"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(InvalidOption, match=message):
        make(**options)


def test_images_of_another_size():
    x, y = pattern(1, 3, 8, 8)
    with pytest.raises(InvalidOption, match=r"built for images \(3, 64, 64\)"):
        energy(make(), y, x)


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_yuv_of_other_than_three_channels_is_refused(channels):
    with pytest.raises(InvalidOption, match=f"'yuv' but the images have {channels} channel"):
        make((channels, 8, 8), colour="yuv")


def test_colour_follows_the_channels_by_default():
    for shape, same in (((3, 8, 8), "yuv"), ((1, 8, 8), "rgb")):
        x, y = pattern(2, *shape)
        found, expected = (energy(make(shape, **o), y, x) for o in ({}, {"colour": same}))
        assert torch.equal(found, expected)
