"""The measurements of a run: one row of `METRICS` per column, importable without torch or NumPy."""

from dataclasses import dataclass
from typing import Literal

Direction = Literal["maximize", "minimize", "none"]


@dataclass(frozen=True)
class Metric:
    """A column of the result store and how tables print it.

    `unit` is "" for a pure number; `direction` is "none" where neither end is better; `per_image`
    says that the column is a mean over images with a spread of its own.
    """

    name: str
    label: str
    unit: str
    direction: Direction
    per_image: bool
    decimals: int
    summary: str


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("psnr", "PSNR", "dB", "maximize", True, 2, "Peak signal-to-noise ratio"),
        Metric("ssim", "SSIM", "", "maximize", True, 4, "Structural similarity"),
        Metric("mse", "MSE", "", "minimize", True, 5, "Mean squared error per pixel on [0, 1]"),
        Metric("kl", "KL", "nats", "none", True, 1, "Divergence of the posterior from the prior"),
        Metric("active_units", "Active units", "", "none", False, 0, "Latent units in use"),
        Metric(
            "elbo_sigma", "ELBO", "nats", "maximize", True, 0, "Gaussian ELBO at the optimal σ"
        ),
        Metric(
            "sigma_optimal", "σ*", "", "minimize", False, 4, "Standard deviation of best likelihood"
        ),
        Metric(
            "frd_recon", "FRD rec.", "", "minimize", False, 4,
            "Fréchet distance of reconstructions, random features",
        ),
        Metric(
            "frd_gen", "FRD gen.", "", "minimize", False, 4,
            "Fréchet distance of generated images, random features",
        ),
        Metric(
            "fsd_recon", "FSD rec.", "", "minimize", False, 2,
            "Fréchet distance of reconstructions, SqueezeNet features",
        ),
        Metric(
            "fsd_gen", "FSD gen.", "", "minimize", False, 2,
            "Fréchet distance of generated images, SqueezeNet features",
        ),
        Metric(
            "fid_recon", "FID rec.", "", "minimize", False, 2,
            "Fréchet inception distance of reconstructions",
        ),
        Metric(
            "fid_gen", "FID gen.", "", "minimize", False, 2,
            "Fréchet inception distance of generated images",
        ),
        Metric(
            "spectrum_recon", "Spectral diff. rec.", "", "minimize", False, 3,
            "Mean |S(reconstructions) - S(data)| of log spectra",
        ),
        Metric(
            "spectrum_gen", "Spectral diff. gen.", "", "minimize", False, 3,
            "Mean |S(generated) - S(data)| of log spectra",
        ),
        Metric(
            "spectrum_recon_signed", "Spectral loss rec.", "", "none", False, 3,
            "Mean S(data) - S(reconstructions) of log spectra; positive is blur",
        ),
        Metric(
            "spectrum_gen_signed", "Spectral loss gen.", "", "none", False, 3,
            "Mean S(data) - S(generated) of log spectra; positive is blur",
        ),
        Metric(
            "psnr_mean_image", "PSNR floor", "dB", "none", True, 2,
            "PSNR of predicting the mean training image",
        ),
        Metric(
            "ssim_mean_image", "SSIM floor", "", "none", True, 4,
            "SSIM of predicting the mean training image",
        ),
    )
}  # fmt: skip

# The feature extractors of the Fréchet distances: length of a feature vector, and the prefix of the
# columns `<prefix>_recon` and `<prefix>_gen`. Only Inception's may be called FID.
FEATURE_DIMS = {"random": 64, "squeezenet": 512, "inception": 2048}
PREFIX = {"random": "frd", "squeezenet": "fsd", "inception": "fid"}
