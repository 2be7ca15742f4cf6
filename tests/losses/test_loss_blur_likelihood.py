"""`blur` against dense Gaussians: determinants, constants and densities."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

import losses
from losses import kernels, wiener
from losses.half_plane import multiplicity
from losses.options import InvalidOption

SHAPE = (2, 5, 6)
LATENT = 4
BINS = {width: multiplicity(width) for width in (5, 6, 64)}
EXACT = [
    {"likelihood": "inverse-eps", "epsilon": 0.5},
    {"likelihood": "inverse-eps", "epsilon": 0.001},
    {"likelihood": "wiener-exact"},
    {"likelihood": "wiener-exact", "c": 0.1},
]


def blur(shape=SHAPE, **options):
    generator = torch.Generator().manual_seed(0)
    loss = losses.build(
        "blur", image_shape=shape, latent_size=LATENT, generator=generator, **options
    )
    if loss.companion is not None:
        # kernels far from flat, so that no frequency is nearly removed
        with torch.no_grad():
            loss.companion.output.weight.mul_(8)
    return loss


def batch(shape=SHAPE, n=3, dtype=torch.float64):
    generator = torch.Generator().manual_seed(1)
    recon, target = torch.rand(2, n, *shape, generator=generator, dtype=dtype)
    return recon, target, 3 * torch.randn(n, LATENT, generator=generator, dtype=dtype)


def convolution_matrix(kernel, height, width):
    """Return the block-circulant matrix K with `K vec(x) = vec(x * k)`."""
    half = len(kernel) // 2
    matrix = np.zeros((height, width, height, width))
    for row, column in np.ndindex(height, width):
        for i, j in np.ndindex(*kernel.shape):
            at = (row - (i - half)) % height, (column - (j - half)) % width
            matrix[row, column, at[0], at[1]] += kernel[i, j]
    return matrix.reshape(height * width, height * width)


def deconvolution_matrix(loss, kernel):
    """Return the dense W of the loss's likelihood."""
    K = convolution_matrix(kernel, *SHAPE[1:])
    identity = np.eye(len(K))
    if loss.likelihood == "inverse-eps":
        return np.linalg.inv(K + loss.epsilon * identity)
    return K.T @ np.linalg.inv(K @ K.T + loss.c * identity)


def kernels_of(loss, latent):
    return loss.snapshot(latent)["kernels"].detach().numpy()


@pytest.mark.parametrize("shape", [(1, 5, 6), (1, 6, 5), (1, 5, 5), (1, 6, 6)])
@pytest.mark.parametrize("epsilon", [0.0, 0.001, 0.5, 10.0])
def test_the_determinant_is_that_of_the_dense_matrix(shape, epsilon):
    kernel = torch.rand(3, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    K = wiener.transfer(kernel / kernel.sum(), *shape[1:])
    dense = convolution_matrix((kernel / kernel.sum()).numpy(), *shape[1:])
    expected = torch.linalg.slogdet(torch.from_numpy(dense) + epsilon * torch.eye(len(dense)))
    found = wiener.log_determinant(K, epsilon, BINS[shape[2]])
    assert found.item() == pytest.approx(expected.logabsdet.item(), rel=1e-9)


@pytest.mark.parametrize("options", [{"epsilon": 0.5}, {"epsilon": 0.001}, {}], ids=str)
def test_the_papers_energy_is_its_weight_and_its_determinant(options):
    recon, target, latent = batch()
    loss = blur(range="unit", **options)
    found = loss(recon, target, latent).tolist()
    for value, x, y, kernel in zip(
        found, target.numpy(), recon.numpy(), kernels_of(loss, latent), strict=True
    ):
        W = deconvolution_matrix(loss, kernel)
        K = convolution_matrix(kernel, *SHAPE[1:])
        expected = sum(((W @ e) ** 2).sum() / 2 for e in (x - y).reshape(2, -1))
        if loss.epsilon is not None:
            shifted = torch.from_numpy(K + loss.epsilon * np.eye(len(K)))
            # half of log|Sigma|, Sigma = K K^T, for each of two channels
            expected += 2 * torch.linalg.slogdet(shifted @ shifted.T).logabsdet.item() / 2
        assert value == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("options", EXACT, ids=str)
@pytest.mark.parametrize("signed", [False, True])
def test_the_exact_likelihoods_are_dense_gaussians(options, signed):
    recon, target, latent = batch()
    loss = blur(range="signed" if signed else "unit", **options)
    found = loss(recon, target, latent).tolist()
    scale = 2 if signed else 1
    for value, x, y, kernel in zip(
        found, target.numpy(), recon.numpy(), kernels_of(loss, latent), strict=True
    ):
        W = deconvolution_matrix(loss, kernel)
        gaussian = multivariate_normal(np.zeros(30), np.linalg.inv(W.T @ W))
        errors = scale * (x - y).reshape(2, -1)
        # a density of 2x - 1 is 2^-D times that of x
        expected = sum(-gaussian.logpdf(e) for e in errors) - 60 * math.log(scale)
        assert value == pytest.approx(expected, rel=1e-8)
        W_determinant = torch.linalg.slogdet(torch.from_numpy(W)).logabsdet.item()
        half_log = (value - 30 * math.log(2 * math.pi) + 60 * math.log(scale)) / 2
        half_log -= sum(((W @ e) ** 2).sum() for e in errors) / 4
        assert half_log == pytest.approx(-W_determinant, rel=1e-7)


@pytest.mark.parametrize("options", EXACT, ids=str)
@pytest.mark.parametrize("picture_range", ["unit", "signed"])
@pytest.mark.parametrize("warming_up", [False, True])
def test_the_exact_likelihoods_integrate_to_one(options, picture_range, warming_up):
    loss = blur((1, 1, 1), kernel="delta", range=picture_range, **options)
    loss.start_epoch(0.0 if warming_up else 10.0)
    x = torch.linspace(-12, 13, 5001, dtype=torch.float64)
    recon = torch.full((5001, 1, 1, 1), 0.4, dtype=torch.float64)
    density = torch.exp(-loss(recon, x.reshape(-1, 1, 1, 1), torch.zeros(5001, LATENT)))
    assert torch.trapezoid(density, x).item() == pytest.approx(1, abs=1e-6)


def test_only_the_exact_likelihoods_are_densities():
    assert all(blur(**options).density for options in EXACT)
    assert not blur().density
    assert not blur(epsilon=0.5).density
    assert not losses.find("blur").density


# T / channels of the reference sheet for an 11x11 Gaussian on 64x64
@pytest.mark.parametrize(
    ("variance", "epsilon", "golden"),
    [
        (2.0, 0.0, -27047.02),
        (2.0, 0.5, -2370.77),
        (2.0, 1.0, 268.12),
        (2.0, 10.0, 9463.21),
        (4.0, 0.5, -2603.06),
        (4.0, 1.0, 135.27),
    ],
)
def test_determinant_goldens(variance, epsilon, golden):
    K = wiener.transfer(kernels.gaussian(11, variance), 64, 64)
    assert wiener.log_determinant(K, epsilon, BINS[64]).item() == pytest.approx(golden, abs=0.0051)
    for channels in (1, 3):
        options = {"kernel": "gaussian", "variance": variance, "epsilon": epsilon}
        loss = blur((channels, 64, 64), **options)
        flat = torch.full((1, channels, 64, 64), 0.5, dtype=torch.float64)
        found = loss(flat, flat, torch.zeros(1, LATENT)).item()
        assert found == pytest.approx(channels * golden, abs=0.0051 * channels)


def test_the_published_elbo_is_below_what_one_channel_allows():
    # Where K is real and not negative, epsilon = 0.5 allows no less than H W log 0.5 = -2839; the
    # paper's table has -3062.
    K = wiener.transfer(kernels.gaussian(41, 20.0), 64, 64)
    assert K.real.min() > -1e-5
    assert K.imag.abs().max() < 1e-12
    assert -2839.2 < wiener.log_determinant(K, 0.5, BINS[64]).item() < -2700


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_frequencies_that_a_kernel_removes_leave_everything_finite(dtype):
    # 3x3 boxes have zeros on 6x6 images
    kernel = torch.full((1, 3, 3), 1 / 9, dtype=dtype, requires_grad=True)
    bins = BINS[6].to(dtype)
    K = wiener.transfer(kernel, 6, 6)
    assert wiener.power(K).min() < 1e-12
    for value in (
        wiener.weight(K, 0.025),
        wiener.log_determinant(K, 0.0, bins),
        *wiener.inverse(K, 0.0, bins),
        *wiener.exact(K, 0.025, bins),
    ):
        (gradient,) = torch.autograd.grad(value.sum(), kernel, retain_graph=True)
        assert value.isfinite().all()
        assert gradient.isfinite().all()


@pytest.mark.parametrize("options", [{"epsilon": 0.0}, *EXACT], ids=str)
def test_a_flat_kernel_leaves_energies_and_gradients_finite(options):
    shape = (1, 6, 6)
    loss = losses.build("blur", image_shape=shape, latent_size=LATENT, size=3, **options)
    with torch.no_grad():
        loss.companion.output.weight.mul_(1e-9)
        loss.companion.output.bias.zero_()
    recon, target, latent = batch(shape, dtype=torch.float32)
    energy = loss(recon.requires_grad_(), target, latent.requires_grad_())
    energy.sum().backward()
    assert energy.isfinite().all()
    assert recon.grad.isfinite().all()
    assert latent.grad.isfinite().all()


def test_parseval_on_even_and_odd_widths():
    for width in (5, 6):
        image = torch.rand(
            4, 7, width, generator=torch.Generator().manual_seed(2), dtype=torch.float64
        )
        spectrum = torch.fft.rfft2(image, norm="ortho")
        found = wiener.plane_sum(wiener.power(spectrum), BINS[width])
        assert torch.allclose(found, image.square().sum((1, 2)))


@pytest.mark.parametrize(
    "options",
    [{}, {"range": "signed"}, {"epsilon": 0.001}, *EXACT, {"kernel": "gaussian"}],
    ids=str,
)
def test_the_papers_table_6_is_the_energy_at_its_epsilon_whatever_was_trained(options):
    """Of the same weights in `blur[epsilon=0.5]`, also in the warm-up; no gradient."""
    recon, target, latent = batch()
    trained = blur(**options)
    kernel = {"kernel": options["kernel"]} if "kernel" in options else {}
    reference = blur(epsilon=0.5, c=options.get("c", 0.025), **kernel)
    reference.load_state_dict(trained.state_dict())
    trained.start_epoch(0.0)
    found = trained.paper_nll(recon.requires_grad_(), target, latent)
    assert not found.requires_grad
    torch.testing.assert_close(found, reference(recon, target, latent).detach())
    assert not torch.allclose(found, trained.paper_nll(recon, target, latent, epsilon=0.4))


def test_the_papers_table_6_refuses_other_shapes_and_a_negative_epsilon():
    recon, target, latent = batch()
    with pytest.raises(InvalidOption, match="built for images"):
        blur().paper_nll(recon[:, :1], target[:, :1], latent)
    with pytest.raises(InvalidOption, match="epsilon is -1"):
        blur().paper_nll(recon, target, latent, epsilon=-1)
