"""Evaluation against independent computations: scikit-image, NumPy, the formulas themselves."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from scipy.ndimage import laplace
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

import losses
from benchmarks.random_weights import write_all
from harness import batches, evaluate, reference
from harness.measured import Measured
from harness.metrics import METRICS, kernel, neighbours, space_of
from harness.metrics.features import RandomFeatures
from harness.seeds import generator

CPU = torch.device("cpu")
COUNT = 70  # more than the 64 features, so that covariances have full rank


def measure(
    images: np.ndarray, net: Any = None, sigma: float | None = 0.2, **keys: Any
) -> Measured:
    """Evaluate a model, trained or not, on these images."""
    settings = tiny.protocol(**keys)
    net = net or trained(images.shape[1])
    known = reference.reference(images, TRAIN[images.shape[1]], settings, CPU, {})
    return evaluate.evaluate(net, images, known, settings, axes=tiny.AXES, device=CPU, sigma=sigma)


TRAIN = {channels: tiny.images(90, channels, seed=5) for channels in (1, 3)}


def trained(channels: int) -> Any:
    """Return a model whose outputs vary: normalised by its data, its last layers scaled up."""
    net = tiny.model(channels=channels)
    with torch.no_grad():
        for module in (net.decoder[-1], net.encoder[-1]):
            module.weight.mul_(4)
        for _ in range(40):
            net.train()(floats(TRAIN[channels]), generator("normalise"))
    return net.eval()


@pytest.fixture(scope="module", params=[1, 3], ids=["grey", "colour"])
def case(request: pytest.FixtureRequest) -> tuple[np.ndarray, Any, Measured]:
    images = tiny.images(COUNT, request.param)
    net = trained(request.param)
    return images, net, measure(images, net)


def floats(images: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(images.astype(np.float32) / np.float32(255))


def at_mean(net: Any, images: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return net.decode(net.encode(floats(images))[0])[1].numpy()


def test_psnr_and_ssim_equal_scikit_image(case: Any) -> None:
    """Image by image; PSNR of the reconstruction as saved in 8 bits."""
    images, net, measured = case
    recon = at_mean(net, images)
    psnr, ssim = [], []
    for saved, image, raw in zip(np.rint(recon * 255), images, recon, strict=True):
        psnr.append(peak_signal_noise_ratio(image / 255, saved / 255, data_range=1))
        channels = [
            structural_similarity(
                a.astype(np.float64) / 255,
                b.astype(np.float64),
                data_range=1,
                gaussian_weights=True,
                sigma=1.5,
                use_sample_covariance=False,
                full=True,
            )[1][5:-5, 5:-5].mean()
            for a, b in zip(image, raw, strict=True)
        ]
        ssim.append(np.mean(channels))
    for name, expected in (("psnr", psnr), ("ssim", ssim)):
        np.testing.assert_allclose(measured.scores[name], expected, rtol=1e-5, atol=1e-6)
        assert measured.metrics[name] == pytest.approx(np.mean(expected), rel=1e-5)
        assert measured.metrics[f"{name}_std"] == pytest.approx(np.std(expected, ddof=1), rel=1e-4)
    mse = ((recon - images / 255) ** 2).mean((1, 2, 3))
    np.testing.assert_allclose(measured.scores["mse"], mse, rtol=1e-5)


def frechet(first: np.ndarray, second: np.ndarray) -> float:
    """The textbook formula: the trace of a root is the sum of the eigenvalues' roots."""
    step = first.mean(0) - second.mean(0)
    a, b = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
    roots = np.sqrt(np.linalg.eigvals(a @ b).real.clip(0))
    return float(step @ step + np.trace(a + b) - 2 * roots.sum())


def test_frechet_distances_equal_numpy_on_the_features(case: Any) -> None:
    """Of reconstructions, and of as many generated images as there are real ones."""
    images, net, measured = case
    space = RandomFeatures(images.shape[1])
    real = space(floats(images)).double().numpy()
    recon = space(torch.from_numpy(at_mean(net, images))).double().numpy()
    noise = torch.randn(COUNT, 4, generator=generator("prior", *tiny.AXES, "evaluate"))
    with torch.no_grad():
        made = space(net.decode(noise)[1]).double().numpy()
    assert measured.metrics["frd_recon"] == pytest.approx(frechet(recon, real), rel=1e-3)
    assert measured.metrics["frd_gen"] == pytest.approx(frechet(made, real), rel=1e-3)
    assert "|n=70,70|" in str(measured.metrics["frd_gen_signature"])


def test_the_bound_equals_its_formula(case: Any) -> None:
    """-(D/2 log 2πσ² + SSE/2σ² + KL), at the sampled latent and the σ given."""
    images, net, measured = case
    x = floats(images)
    with torch.no_grad():
        record = net(x, generator("posterior", *tiny.AXES, "evaluate"))
    mu, logvar = record.mu.double().numpy(), record.logvar.double().numpy()
    kl = 0.5 * (mu**2 + np.exp(logvar) - logvar - 1).sum(1)
    sse = ((record.recon - x) ** 2).double().sum((1, 2, 3)).numpy()
    size = images[0].size
    elbo = -(size / 2 * math.log(2 * math.pi * 0.2**2) + sse / (2 * 0.2**2) + kl)
    np.testing.assert_allclose(measured.scores["kl"], kl, rtol=1e-4)
    np.testing.assert_allclose(measured.scores["elbo_sigma"], elbo, rtol=1e-5)
    assert measured.metrics["elbo_sigma"] == pytest.approx(elbo.mean(), rel=1e-6)
    assert measured.metrics["sigma_optimal"] == 0.2
    assert measured.metrics["active_units"] == int((mu.var(0) > 0.01).sum()) > 0


def test_sigma_is_fitted_on_the_images_themselves_where_none_is_given() -> None:
    """As in tuning: the root mean squared error at sampled latents; elsewhere `fit_sigma`."""
    images, net = tiny.images(40), trained(1)
    with torch.no_grad():
        for name in ("evaluate", "sigma"):
            record = net(floats(images), generator("posterior", *tiny.AXES, name))
            expected = float((record.recon - floats(images)).double().square().mean().sqrt())
            if name == "evaluate":
                found = measure(images, net, sigma=None).metrics["sigma_optimal"]
            else:
                found = evaluate.fit_sigma(net, images, tiny.protocol(), tiny.AXES, CPU)
            assert found == pytest.approx(expected, rel=1e-6)


def test_spectra_equal_numpys_transform(case: Any) -> None:
    """Mean log amplitude of at most 128 images, centred; differences against the data's."""
    images, net, measured = case

    def spectrum(values: np.ndarray) -> np.ndarray:
        amplitude = np.abs(np.fft.fft2(values.astype(np.float64)))
        return np.fft.fftshift(np.log(amplitude + 1e-8).mean((0, 1)))

    data = measured.pictures["spectrum_data"]
    recon = measured.pictures["spectrum_recon"]
    # float32 transforms: an amplitude that is zero in truth differs below the image's rounding
    np.testing.assert_allclose(recon, spectrum(at_mean(net, images)), atol=2e-2)
    gap = data.astype(np.float64) - recon
    assert measured.metrics["spectrum_recon_signed"] == pytest.approx(gap.mean(), abs=1e-5)
    assert measured.metrics["spectrum_recon"] == pytest.approx(np.abs(gap).mean(), abs=1e-5)


def test_the_floor_is_the_mean_training_image(case: Any) -> None:
    """PSNR and SSIM of predicting it, the same whatever the model."""
    images, _, measured = case
    mean = TRAIN[images.shape[1]].mean(0) / 255
    saved = np.rint(mean * 255) / 255
    expected = [peak_signal_noise_ratio(image / 255, saved, data_range=1) for image in images]
    assert measured.metrics["psnr_mean_image"] == pytest.approx(np.mean(expected), rel=1e-4)
    assert measured.metrics["psnr_mean_image_std"] == pytest.approx(
        np.std(expected, ddof=1), rel=1e-3
    )


def test_an_images_scores_do_not_depend_on_its_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """In other company, in another place, and evaluated in batches of 16 instead of one."""
    images, net = tiny.images(64), trained(1)
    whole = measure(images, net).scores
    half = measure(images[:32], net).scores
    order = np.random.default_rng(0).permutation(64)
    shuffled = measure(images[order], net).scores
    monkeypatch.setattr(batches, "BATCH_VALUES", 16 * 256)
    small = measure(images, net)
    for name in ("psnr", "ssim", "mse", "kl"):
        for found, expected in (
            (half[name], whole[name][:32]),
            (shuffled[name], whole[name].to_numpy()[order]),
            (small.scores[name], whole[name]),
        ):
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)
    # whole batches of a multiple of 16 draw the same noise too
    np.testing.assert_allclose(small.scores["elbo_sigma"], whole["elbo_sigma"], rtol=1e-5)


def test_evaluation_at_the_mean_and_at_a_sample_differ_where_they_should() -> None:
    """Reconstruction metrics follow the key and its signature; KL and the bound do not."""
    images, net = tiny.images(40), trained(1)
    mean, sample = (measure(images, net, evaluate_at=at) for at in ("mean", "sample"))
    with torch.no_grad():
        record = net(floats(images), generator("posterior", *tiny.AXES, "evaluate"))
    drawn = ((record.recon - floats(images)) ** 2).mean((1, 2, 3)).numpy()
    np.testing.assert_allclose(sample.scores["mse"], drawn, rtol=1e-5)
    for name in ("psnr", "ssim", "mse", "frd_recon", "spectrum_recon"):
        assert mean.metrics[name] != sample.metrics[name], name
    for name in ("kl", "elbo_sigma", "active_units", "frd_gen", "spectrum_gen"):
        assert mean.metrics[name] == sample.metrics[name], name
    assert "|at=mean|" in str(mean.metrics["psnr_signature"])
    assert "|at=sample|" in str(sample.metrics["psnr_signature"])


@pytest.mark.parametrize(("generated", "expected"), [(None, 40), (10, 10), (300, 300)])
def test_the_number_of_generated_images_is_the_protocols(
    generated: int | None, expected: int
) -> None:
    """As many as the split has images unless it says otherwise; counted in the signature."""
    found = measure(tiny.images(40), generated=generated)
    assert found.metrics["generated"] == expected and found.metrics["images"] == 40
    assert f"|n={expected},40|" in str(found.metrics["frd_gen_signature"])
    assert f"|images={min(expected, 128)}" in str(found.metrics["spectrum_gen_signature"])
    assert len(found.pictures["samples"]) == min(16, expected)


def test_every_number_has_a_signature_and_a_column(case: Any) -> None:
    """All metrics of the random features; nothing that the schema does not know."""
    _, _, measured = case
    present = {name for name in METRICS if name in measured.metrics}
    of_others = {name for name in METRICS if space_of(name) not in (None, "random")}
    absent = {"lpips", "lpips_vgg", "nll_paper", "ms_ssim"}  # no weights, no loss, too small
    absent |= {f"frd_gen_{what}" for what in ("infinity", "low", "high")}  # 130 images at least
    assert present == set(METRICS) - of_others - absent
    for name in present:
        assert measured.metrics[f"{name}_signature"]
        assert (f"{name}_std" in measured.metrics) == bool(METRICS[name].spread)
    assert measured.finite


def test_pictures_are_what_the_report_expects(case: Any) -> None:
    """First sixteen inputs with reconstructions and samples, the worst and the median by SSIM."""
    images, net, measured = case
    channels, pictures = images.shape[1], measured.pictures
    for name in ("inputs", "recon", "samples"):
        assert pictures[name].shape == (16, channels, 16, 16) and pictures[name].dtype == np.uint8
    for name in ("spectrum_recon", "spectrum_gen", "spectrum_data"):
        assert pictures[name].shape == (16, 16) and pictures[name].dtype == np.float32
    assert pictures["indices"].tolist() == list(range(16))
    assert pictures["indices"].dtype == np.int64
    assert np.array_equal(pictures["inputs"], images[:16])
    shown = np.rint(at_mean(net, images) * 255)
    assert np.abs(pictures["recon"] - shown[:16]).max() <= 1
    ranked = np.argsort(measured.scores["ssim"].to_numpy(), kind="stable")
    for name, index in (("worst", ranked[0]), ("median", ranked[COUNT // 2])):
        assert pictures[f"{name}_index"] == index
        assert np.array_equal(pictures[f"{name}_input"], images[index])
        assert np.abs(pictures[f"{name}_recon"] - shown[index]).max() <= 1
        assert pictures[f"{name}_recon"].dtype == np.uint8


def test_scores_have_one_row_per_image_in_order(case: Any) -> None:
    """Float64 columns, an index that counts."""
    _, _, measured = case
    per_image = [name for name, metric in METRICS.items() if metric.per_image]
    left_out = ("lpips", "lpips_vgg", "ms_ssim", "nll_paper", "iwae", "lpc_si_gen", "lpc_si_data")
    expected = {name for name in per_image if name not in left_out and "mean_image" not in name}
    assert set(measured.scores.columns[1:]) == expected
    assert measured.scores["index"].tolist() == list(range(COUNT))
    assert (measured.scores.dtypes[1:] == np.float64).all()


def test_two_evaluations_give_the_same_bits(case: Any) -> None:
    """Metrics, scores and pictures; nothing is left behind in the model either."""
    images, net, measured = case
    before = tiny.state_of(net)
    again = measure(images, net)
    assert again.metrics == measured.metrics
    assert again.scores.equals(measured.scores)
    assert all(np.array_equal(again.pictures[k], v) for k, v in measured.pictures.items())
    assert tiny.same(before, tiny.state_of(net))


def test_a_model_that_gives_nan_is_not_finite() -> None:
    """Every number is looked at: evaluation must not call such a model measured."""
    net = trained(1)
    with torch.no_grad():
        net.decoder[-1].bias.fill_(math.nan)
    measured = measure(tiny.images(20), net)
    assert not measured.finite
    assert math.isnan(float(measured.metrics["psnr"] or 0))


def test_the_reference_is_measured_on_the_real_images_alone() -> None:
    """Its moments are those of the features of the split."""
    images = tiny.images(COUNT)
    known = reference.reference(images, TRAIN[1], tiny.protocol(), CPU, {})
    features = RandomFeatures(1)(floats(images)).double().numpy()
    np.testing.assert_allclose(known.real.moments.mean(), features.mean(0), rtol=1e-6)
    np.testing.assert_allclose(
        known.real.moments.covariance(), np.cov(features, rowvar=False), rtol=1e-4, atol=1e-9
    )


def test_a_trial_has_all_but_what_only_finals_have() -> None:
    """The final-only columns, and nothing else, are missing."""
    images, net = tiny.images(140), trained(1)
    known = {
        final: reference.reference(images, TRAIN[1], tiny.protocol(), CPU, {}, final=final)
        for final in (False, True)
    }
    rest: dict[str, Any] = {"axes": tiny.AXES, "device": CPU, "sigma": None}
    found = {
        final: evaluate.evaluate(net, images, known[final], tiny.protocol(), **rest).metrics
        for final in (False, True)
    }
    missing = {name for name in METRICS if name in found[True] and name not in found[False]}
    assert missing == {name for name in found[True] if name in METRICS and METRICS[name].final}
    assert {"frd_gen_infinity", "coverage_gen", "iwae", "krd_gen", "lpc_si_data"} <= missing
    assert all(found[False][name] == found[True][name] for name in found[False])


def test_distances_between_sets_equal_those_of_their_features() -> None:
    """Generated images' columns against the functions on features computed here."""
    images, net = tiny.images(140), trained(1)
    found = measure(images, net).metrics
    with torch.no_grad():
        samples = net.sample(140, generator("prior", *tiny.AXES, "evaluate"))
        made = RandomFeatures(1)(samples).numpy()
    real = RandomFeatures(1)(floats(images)).numpy()
    balls = neighbours.neighbourhoods(real, made)
    assert found["coverage_gen"] == balls.coverage and found["density_gen"] == balls.density
    assert found["krd_gen"] == pytest.approx(kernel.kernel_distance(made, real).mean, rel=1e-6)
    low, distance, high = (float(found[f"frd_gen{end}"] or 0) for end in ("_low", "", "_high"))
    assert low < distance < high


def test_a_distance_of_fewer_images_than_features_is_warned_about_and_marked(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """64 random features: of 64 images the covariance is singular, of 140 it is not."""
    found = measure(tiny.images(64), trained(1)).metrics
    assert "|singular|" in str(found["frd_gen_signature"])
    assert "frd_gen is of 64 images and 64 features, so a covariance is singular" in caplog.text
    caplog.clear()
    assert "singular" not in str(measure(tiny.images(140), trained(1)).metrics["frd_gen_signature"])
    assert "singular" not in caplog.text


def test_sharpness_is_that_of_the_images_against_the_data(case: Any) -> None:
    """Ratio of mean variances of the Laplacian, by SciPy; blur from the same sets."""
    images, net, measured = case
    recon = at_mean(net, images)
    grey = [255 * (a @ [0.299, 0.587, 0.114] if a.shape[-1] == 3 else a[..., 0]) for a in (
        np.moveaxis(recon.astype(np.float64), 1, -1), np.moveaxis(images / 255, 1, -1),
    )]  # fmt: skip
    variances = [np.mean([laplace(image)[1:-1, 1:-1].var() for image in planes]) for planes in grey]
    assert measured.metrics["sharpness_recon"] == pytest.approx(variances[0] / variances[1], 1e-4)
    assert float(measured.metrics["blur_recon"] or 0) < 100


def test_lpips_is_left_out_without_the_official_weights(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Random weights of the right shapes give a number, but it is not LPIPS."""
    files = {name: path for name, path in write_all(tmp_path).items() if "vgg" not in name}
    images = tiny.images(20, 3)
    known = reference.reference(images, TRAIN[3], tiny.protocol(), CPU, dict(files))
    assert "lpips" not in {score.name for score in known.pairs}


def test_the_papers_likelihood_needs_the_loss() -> None:
    """An ordinary loss: half the squared error on [-1, 1] plus KL."""
    images, net = tiny.images(20), trained(1)
    known = reference.reference(images, TRAIN[1], tiny.protocol(), CPU, {})
    loss = losses.build("l2", image_shape=(1, 16, 16), latent_size=4)
    rest: dict[str, Any] = {"axes": tiny.AXES, "device": CPU, "sigma": 0.2, "loss": loss}
    found = evaluate.evaluate(net, images, known, tiny.protocol(), **rest)
    with torch.no_grad():
        record = net(floats(images), generator("posterior", *tiny.AXES, "evaluate"))
    squared = (2 * (record.recon - floats(images))).double().square().sum((1, 2, 3)) / 2
    expected = squared + torch.tensor(found.scores["kl"].tolist())
    assert found.metrics["nll_paper"] == pytest.approx(float(expected.mean()), rel=1e-5)
    assert "sigma=1" in str(found.metrics["nll_paper_signature"])
