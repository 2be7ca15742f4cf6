"""Colours, marks and dashes of losses: variants share a hue, families do not, order is nothing."""

import numpy as np
import pytest

from harness.report.palette import BLACK, DASHES, HUES, KNOWN, MARKERS, YELLOW, family, looks

PAPER = ["l2", "l1", "ssim", "ce", "l2 + 50*ffl", "blur", "vgg", "watson-dft[tuned=true]"]


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("blur[kernel=gaussian,variance=4]", "blur"),
        ("l2 (β = 0.1)", "l2"),
        ("2*ssim", "ssim"),
        ("l2 + 50*ffl[alpha=2]", "l2 + ffl"),
        ("1e-05*l2 + 0.5*lpips[net=vgg] (aaaaaaaa)", "l2 + lpips"),
        ("vae-gan[eps=0] + sharpness", "vae-gan + sharpness"),
        (r"odd_50%\{x}", r"odd_50%\{x}"),
    ],
)
def test_a_family_is_a_name_without_options_and_weights(label: str, name: str) -> None:
    assert family(label) == name


def test_variants_share_a_hue_and_differ_in_mark_and_dash() -> None:
    variants = ["blur", "blur[size=41]", "blur[warmup=20]", *(f"blur[c={n}]" for n in range(5))]
    found = looks([*variants, *PAPER])
    own = [found[each] for each in variants]
    assert len({look.colour for look in own}) == 1
    assert len({look.marker for look in own}) == len({look.dash for look in own}) == 8
    assert (found["blur"].marker, found["blur"].dash) == (MARKERS[0], DASHES[0])
    assert looks(["stft[window=8]", "stft"])["stft"].marker == MARKERS[0]


def test_up_to_eight_losses_differ_in_hue_and_l2_alone_is_black() -> None:
    found = looks(PAPER)
    assert len({look.colour for look in found.values()}) == len(PAPER) == len(HUES) + 1
    assert [name for name, look in found.items() if look.colour == BLACK] == ["l2"]
    rng, every = np.random.default_rng(0), ["l2 + 2*ssim", "mine", "yours", *KNOWN]
    for _ in range(300):
        names = rng.choice(every, 6, replace=False)
        colours = {name: look.colour for name, look in looks(map(str, names)).items()}
        assert len(set(colours.values())) == 6
        assert YELLOW not in colours.values()
        assert all((colour == BLACK) == (name == "l2") for name, colour in colours.items())


def test_black_is_no_variant_of_another_loss() -> None:
    found = looks([*(f"plugin_{n}" for n in range(40)), "l2 (β tuned)", "l2 (β = 0.1)"])
    black = {name for name, look in found.items() if look.colour == BLACK}
    assert black == {"l2 (β tuned)", "l2 (β = 0.1)"}


def test_more_losses_share_hues_under_other_marks() -> None:
    names = [*PAPER, *(f"plugin_{n}" for n in range(40)), *(f"blur[c={n}]" for n in range(12))]
    found = looks(names)
    assert len(set(found.values())) == len(names)
    # Hues are shared out evenly: 48 families but l2 in seven.
    families = [found[name].colour for name in names if family(name) == name and name != "l2"]
    counts = [families.count(hue) for hue in HUES]
    assert max(counts) - min(counts) <= 2
    assert len(looks(f"plugin_{n}" for n in range(600))) == 600


def test_looks_do_not_depend_on_order_or_on_other_known_losses() -> None:
    names = [*PAPER, *(f"plugin_{n}" for n in range(20)), "blur[size=41]"]
    assert looks(names) == looks(reversed(names)) == looks([*names, *names])
    assert looks(["l2", "ssim"])["ssim"] == looks(PAPER)["ssim"]
    assert looks(["mine"])["mine"] == looks(["l2", "mine"])["mine"]
    twice = looks(["l2 (aaaaaaaa)", "l2 (bbbbbbbb)", "l1"])
    assert twice["l2 (aaaaaaaa)"] == looks(["l2"])["l2"] != twice["l2 (bbbbbbbb)"]
