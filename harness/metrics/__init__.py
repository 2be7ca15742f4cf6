"""The measurements of a run: one row of `METRICS` per column, importable without torch or NumPy."""

from harness.metrics.metric import Direction, FeatureSpace, Metric, Spread
from harness.metrics.spaces import ENDS, INCEPTION_DIMS, SPACES, distances, inception_taps, space_of

__all__ = [
    "FEATURE_DIMS",
    "INCEPTION_DIMS",
    "METRICS",
    "PREFIX",
    "SPACES",
    "Direction",
    "FeatureSpace",
    "Metric",
    "space_of",
]


def _more(
    name: str,
    label: str,
    unit: str,
    direction: Direction,
    decimals: int,
    summary: str,
    *,
    per_image: bool = True,
    final: bool = False,
) -> Metric:
    """Return a metric that the main table leaves to the others."""
    spread: Spread = "images" if per_image else ""
    return Metric(name, label, unit, direction, spread, decimals, summary, final, headline=False)


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("psnr", "PSNR", "dB", "maximize", "images", 2, "Peak signal-to-noise ratio"),
        Metric("ssim", "SSIM", "", "maximize", "images", 4, "Structural similarity"),
        Metric("lpips", "LPIPS", "", "minimize", "images", 4, "Learned distance, AlexNet"),
        _more("lpips_vgg", "LPIPS (VGG)", "", "minimize", 4, "Learned distance, VGG", final=True),
        _more("ms_ssim", "MS-SSIM", "", "maximize", 4, "Structural similarity over scales"),
        _more(
            "ssim_padded", "SSIM (padded)", "", "maximize", 4,
            "Structural similarity with zeros around the image, as some papers computed it",
        ),
        _more("mse", "MSE", "", "minimize", 5, "Mean squared error per pixel on [0, 1]"),
        _more(
            "lfd", "LFD", "", "none", 3,
            "Log frequency distance, a function of PSNR alone: never ranked",
        ),
        Metric(
            "kl", "KL", "nats", "none", "images", 1, "Divergence of the posterior from the prior"
        ),
        _more("rate_bpd", "Rate", "bits/dim", "none", 4, "Divergence from the prior per value"),
        Metric("active_units", "Active units", "", "none", "", 0, "Latent units in use"),
        Metric(
            "elbo_sigma", "ELBO", "nats", "maximize", "images", 0, "Gaussian ELBO at the optimal σ"
        ),
        _more(
            "elbo_bpd", "-ELBO", "bits/dim", "minimize", 3,
            "Negative Gaussian ELBO at the optimal σ per value of an 8-bit image",
        ),
        _more(
            "nll_sigma", "-log p", "nats", "minimize", 0,
            "Gaussian reconstruction term at the optimal σ",
        ),
        _more(
            "nll_paper", "-log p (paper)", "nats", "minimize", 0,
            "Bredell et al. Table 6: no constants, σ = 1, on [-1, 1]; not comparable across losses",
            final=True,
        ),
        _more(
            "iwae", "IWAE", "nats", "maximize", 0,
            "Importance-weighted bound at the optimal σ", final=True,
        ),
        _more(
            "sigma_optimal", "σ*", "", "minimize", 4, "Standard deviation of best likelihood",
            per_image=False,
        ),
        *distances(),
        *inception_taps(),
        *(
            _more(name, label, "", "maximize", 3, summary, per_image=False, final=True)
            for name, label, summary in (
                ("precision", "Precision", "Share of generated images among the real ones"),
                ("recall", "Recall", "Share of real images among the generated ones"),
                ("density", "Density", "Real neighbourhoods around each generated image"),
                ("coverage", "Coverage", "Share of real images with a generated neighbour"),
            )
        ),
        Metric(
            "spectrum_recon", "Spectral diff. rec.", "", "minimize", "", 3,
            "Mean |S(reconstructions) - S(data)| of log spectra",
        ),
        Metric(
            "spectrum_gen", "Spectral diff. gen.", "", "minimize", "", 3,
            "Mean |S(generated) - S(data)| of log spectra",
        ),
        _more(
            "spectrum_recon_signed", "Spectral loss rec.", "", "none", 3,
            "Mean S(data) - S(reconstructions) of log spectra; positive is blur", per_image=False,
        ),
        _more(
            "spectrum_gen_signed", "Spectral loss gen.", "", "none", 3,
            "Mean S(data) - S(generated) of log spectra; positive is blur", per_image=False,
        ),
        *(
            _more(
                f"spectrum_high_{end}", f"High freq. diff. {short}", "", "minimize", 3,
                f"Mean |log difference| of radial spectra of {what} and data, highest third",
                per_image=False,
            )
            for end, short, what in ENDS
        ),
        _more(
            "phase_error", "Phase error", "rad", "minimize", 3,
            "Mean angle between Fourier phases of reconstruction and image, weighted by amplitude",
        ),
        *(
            metric
            for end, short, what in ENDS
            for metric in (
                _more(
                    f"sharpness_{end}", f"Sharpness {short}", "", "none", 3,
                    f"Variance of the Laplacian of {what} over that of the data; 1 is the data's",
                    per_image=False,
                ),
                _more(
                    f"blur_{end}", f"Blur {short}", "%", "none", 1,
                    f"Blur measure of {what}, Elsayed et al. 2018", final=True,
                ),
                _more(
                    f"lpc_si_{end}", f"LPC-SI {short}", "", "none", 4,
                    f"Local phase coherence of {what}, Hassen et al. 2013", final=True,
                ),
            )
        ),
        _more("blur_data", "Blur data", "%", "none", 1, "Blur measure of the data", final=True),
        _more(
            "lpc_si_data", "LPC-SI data", "", "none", 4, "Local phase coherence of the data",
            final=True,
        ),
        _more(
            "psnr_mean_image", "PSNR floor", "dB", "none", 2,
            "PSNR of predicting the mean training image",
        ),
        _more(
            "ssim_mean_image", "SSIM floor", "", "none", 4,
            "SSIM of predicting the mean training image",
        ),
    )
}  # fmt: skip

# The feature extractors of the Fréchet distances: length of a feature vector, and the prefix of the
# columns `<prefix>_recon` and `<prefix>_gen`. Only Inception's may be called FID.
FEATURE_DIMS = {name: space.dims for name, space in SPACES.items()}
PREFIX = {name: space.frechet for name, space in SPACES.items()}
