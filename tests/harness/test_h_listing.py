"""What there is to choose from, and the options of each component."""

import pytest

from harness import components, grid, listing
from harness.errors import HarnessError
from harness.metrics import METRICS


def test_lists_name_every_component() -> None:
    for folder, kind in listing.WITH_OPTIONS.items():
        assert [r["name"] for r in listing.listing(folder)] == list(components.registry(kind))
    assert [r["name"] for r in listing.listing("metrics")] == list(METRICS)
    better = {r["name"]: r["better"] for r in listing.listing("metrics")}
    assert (better["psnr"], better["frd_gen"]) == ("higher", "lower")
    with pytest.raises(HarnessError, match=r"unknown kind 'metric' \(did you mean 'metrics'\?\)"):
        listing.listing("metric")


def test_the_help_names_every_kind() -> None:
    from harness.documentation import commands

    section = commands.page().split("## harness list\n")[1].split("\n## ")[0]
    assert all(section.count(kind) >= 2 for kind in listing.KINDS)


def test_the_page_says_how_check_ends() -> None:
    from harness.documentation import commands

    head, told = commands.page().split("## harness check\n")
    codes = " ".join(head.split("Exit codes: ")[1].split("```")[0].split())
    one, two = codes.split("; 2 (")
    assert "check`: a loss does not keep its contract" in two and "`check`" not in one
    assert "Exit code 2 where it does not." in told


def test_kinds_are_counted() -> None:
    counts = {record["kind"]: record["count"] for record in listing.kinds()}
    assert list(counts) == [*listing.KINDS]
    assert counts["metrics"] == len(METRICS) and counts["grids"] == len(grid.names())


@pytest.mark.parametrize(
    ("kind", "name", "option"),
    [
        ("losses", "ssim", ["window", "int", 11, False]),
        ("losses", "ssim", ["sigma", "float", 1.5, False]),
        ("models", "conv4", ["blocks", "int or none", None, False]),
        ("datasets", "digits", ["size", "int", 32, False]),
        ("datasets", "folder", ["path", "str", None, True]),
    ],
)
def test_the_options_of_a_component_with_their_defaults(
    kind: str, name: str, option: list[object]
) -> None:
    found = listing.detail(kind, name)
    assert found["name"] == name and found["what"].endswith(".")
    assert option in [list(record.values()) for record in found["options"]]
    assert not {"image_shape", "generator", "weights"} & {o["option"] for o in found["options"]}


def test_one_grid_or_metric() -> None:
    assert listing.detail("grids", "smoke")["title"].startswith("Smoke")
    assert listing.detail("metrics", "psnr")["unit"] == "dB"


def test_an_unknown_name_is_one_sentence() -> None:
    message = r"there is no 'sim' among the losses \(did you mean 'ssim'\?\); see: harness list"
    with pytest.raises(HarnessError, match=message):
        listing.detail("losses", "sim")
