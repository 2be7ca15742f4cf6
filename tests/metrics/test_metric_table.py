import subprocess
import sys

from harness.metrics import FEATURE_DIMS, METRICS, PREFIX, space_of

HEADLINE = ["psnr", "ssim", "lpips", "kl", "active_units", "elbo_sigma"]
HEADLINE += [f"{p}_{end}" for p in ("frd", "fsd", "fsd_caffe", "fid") for end in ("recon", "gen")]
HEADLINE += ["spectrum_recon", "spectrum_gen"]


def test_the_main_table_shows_the_agreed_columns() -> None:
    assert [name for name, metric in METRICS.items() if metric.table == "main"] == HEADLINE


def test_every_column_of_a_feature_space_knows_it() -> None:
    known = {"fsd_gen": "squeezenet", "fsd_caffe_gen_infinity": "squeezenet-caffe"}
    known |= {"kid_recon": "inception", "fid192_gen": "inception", "krd_gen": "random"}
    assert {name: space_of(name) for name in known} == known
    assert space_of("psnr") is None and space_of("fid_nothing") is None


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


def test_no_column_of_a_metric_bears_the_name_of_another_column() -> None:
    from harness import schema

    groups = (schema._IDENTITY, schema._EFFORT, schema._CURVES, schema._PROVENANCE)
    others = {name for group in groups for name in group}
    assert not others & set(schema.metric_columns())
