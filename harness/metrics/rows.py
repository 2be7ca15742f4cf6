"""The columns that belong to no feature space, table by table."""

from harness.metrics.metric import Direction, Metric, Spread, Table
from harness.metrics.spaces import ENDS


def _more(
    table: Table,
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
    spread: Spread = "images" if per_image else ""
    return Metric(name, label, unit, direction, spread, decimals, summary, final, table)


def _set(name: str, label: str, direction: Direction, decimals: int, summary: str) -> Metric:
    """Return a metric of a whole set of images that finals alone have."""
    return _more(
        "distribution", name, label, "", direction, decimals, summary, per_image=False, final=True
    )


HEADLINE = (
    Metric("psnr", "PSNR", "dB", "maximize", "images", 2, "Peak signal-to-noise ratio"),
    Metric("ssim", "SSIM", "", "maximize", "images", 4, "Structural similarity"),
    Metric("lpips", "LPIPS", "", "minimize", "images", 4, "Learned distance, AlexNet"),
    Metric("kl", "KL", "nats", "none", "images", 1, "Divergence of the posterior from the prior"),
    Metric("active_units", "Active units", "", "none", "", 0, "Latent units in use"),
    Metric(
        "elbo_sigma", "ELBO", "nats", "maximize", "images", 0, "Gaussian ELBO at the optimal σ"
    ),
)  # fmt: skip

_R: Table = "reconstruction"
RECONSTRUCTION = (
    _more(_R, "mse", "MSE", "", "minimize", 5, "Mean squared error per pixel on [0, 1]"),
    _more(_R, "ms_ssim", "MS-SSIM", "", "maximize", 4, "Structural similarity over scales"),
    _more(
        _R, "ssim_padded", "SSIM (padded)", "", "maximize", 4,
        "Structural similarity with zeros around the image, as some papers computed it",
    ),
    _more(_R, "lpips_vgg", "LPIPS (VGG)", "", "minimize", 4, "Learned distance, VGG", final=True),
    _more(
        _R, "phase_error", "Phase error", "rad", "minimize", 3,
        "Mean angle between Fourier phases of reconstruction and image, weighted by amplitude",
    ),
    _more(
        _R, "lfd", "LFD", "", "none", 3,
        "Log frequency distance, a function of PSNR alone: never ranked",
    ),
)  # fmt: skip

_L: Table = "likelihood"
LIKELIHOOD = (
    _more(_L, "rate_bpd", "Rate", "bits/dim", "none", 4, "Divergence from the prior per value"),
    _more(
        _L, "elbo_bpd", "−ELBO", "bits/dim", "minimize", 3,
        "Negative Gaussian ELBO at the optimal σ per value of an 8-bit image",
    ),
    _more(
        _L, "nll_sigma", "-log p", "nats", "minimize", 0,
        "Gaussian reconstruction term at the optimal σ",
    ),
    _more(
        _L, "iwae", "IWAE", "nats", "maximize", 0,
        "Importance-weighted bound at the optimal σ", final=True,
    ),
    _more(
        _L, "nll_paper", "-log p (paper)", "nats", "none", 0,
        "Bredell et al. Table 6: no constants, σ = 1, on [-1, 1]; not comparable across losses",
        final=True,
    ),
    _more(
        _L, "sigma_optimal", "σ*", "", "minimize", 4, "Standard deviation of best likelihood",
        per_image=False,
    ),
)  # fmt: skip

DISTRIBUTION = (
    _set(
        "precision_gen", "Precision", "maximize", 3, "Share of generated images among the real ones"
    ),
    _set("recall_gen", "Recall", "maximize", 3, "Share of real images among the generated ones"),
    _set(
        "density_gen", "Density", "maximize", 3, "Real neighbourhoods around each generated image"
    ),
    _set(
        "coverage_gen", "Coverage", "maximize", 3, "Share of real images with a generated neighbour"
    ),
)

SPECTRA = tuple(
    Metric(
        f"spectrum_{end}", f"Spectral diff. {short}", "", "minimize", "", 3,
        f"Mean |S({what}) - S(data)| of log spectra",
    )
    for end, short, what in ENDS
)  # fmt: skip

_S: Table = "sharpness"


def _ends(
    stem: str, label: str, unit: str, direction: Direction, decimals: int, summary: str
) -> tuple[Metric, ...]:
    """Return the metric of reconstructions and of generations; "*" stands for which in `stem`."""
    return tuple(
        _more(
            _S, stem.replace("*", end), f"{label} {short}", unit, direction, decimals,
            summary.format(what=what), per_image=False,
        )
        for end, short, what in ENDS
    )  # fmt: skip


SHARPNESS = (
    *_ends(
        "spectrum_*_signed", "Spectral loss", "", "none", 3,
        "Mean S(data) - S({what}) of log spectra; positive is blur",
    ),
    *_ends(
        "spectrum_high_*", "High freq. diff.", "", "minimize", 3,
        "Mean |log difference| of radial spectra of {what} and data, highest third",
    ),
    *_ends(
        "sharpness_*", "Sharpness", "× data", "none", 3,
        "Variance of the Laplacian of {what} over that of the data; 1 is the data's",
    ),
    *_ends(
        "blur_*", "Blur", "%", "none", 1,
        "How much weaker edges of {what} are than the data's, Elsayed et al.",
    ),
    *(
        _more(
            _S, f"lpc_si_{end}", f"LPC-SI {short}", "", "none", 4,
            f"Sharpness of {what} by local phase coherence, Hassen et al.", final=True,
        )
        for end, short, what in (*ENDS, ("data", "data", "the data"))
    ),
)  # fmt: skip

FLOORS = (
    _more(
        "", "psnr_mean_image", "PSNR floor", "dB", "none", 2,
        "PSNR of predicting the mean training image",
    ),
    _more(
        "", "ssim_mean_image", "SSIM floor", "", "none", 4,
        "SSIM of predicting the mean training image",
    ),
)  # fmt: skip
