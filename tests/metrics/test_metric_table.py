import subprocess
import sys

from harness.metrics import FEATURE_DIMS, METRICS, PREFIX

COLUMNS = ["psnr", "ssim", "mse", "kl", "active_units", "elbo_sigma", "sigma_optimal"]
COLUMNS += ["frd_recon", "frd_gen", "fsd_recon", "fsd_gen", "fid_recon", "fid_gen"]
COLUMNS += ["spectrum_recon", "spectrum_gen", "spectrum_recon_signed", "spectrum_gen_signed"]
COLUMNS += ["psnr_mean_image", "ssim_mean_image"]


def test_columns_are_the_agreed_ones() -> None:
    assert list(METRICS) == COLUMNS


def test_every_row_is_named_by_its_key_and_has_a_label_of_its_own() -> None:
    assert all(name == metric.name for name, metric in METRICS.items())
    assert len({metric.label for metric in METRICS.values()}) == len(METRICS)


def test_directions_and_units() -> None:
    assert METRICS["psnr"].direction == METRICS["elbo_sigma"].direction == "maximize"
    assert METRICS["frd_gen"].direction == METRICS["spectrum_gen"].direction == "minimize"
    assert METRICS["spectrum_gen_signed"].direction == METRICS["kl"].direction == "none"
    assert (METRICS["psnr"].unit, METRICS["kl"].unit, METRICS["ssim"].unit) == ("dB", "nats", "")


def test_every_extractor_has_its_two_columns() -> None:
    assert set(PREFIX) == set(FEATURE_DIMS)
    assert all(
        f"{prefix}_{end}" in METRICS for prefix in PREFIX.values() for end in ("recon", "gen")
    )


def test_listing_imports_neither_torch_nor_numpy() -> None:
    code = "import sys, harness.metrics; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
