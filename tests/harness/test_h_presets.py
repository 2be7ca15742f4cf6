"""Published training settings as defaults of a protocol."""

import pytest

from harness import grid, listing, presets
from harness.errors import HarnessError
from harness.protocol import Protocol
from harness.schedule import check_optimizer, make_schedule

TEXT = """
[protocol]
preset = "barron"
seeds = 2
[[block]]
losses = ["l2", {loss = "l1", protocol = {preset = "dalal", batch = 7}}]
datasets = ["digits16"]
models = ["conv4[width=4]"]
protocol = {latent = 5}
"""


@pytest.mark.parametrize("preset", presets.PRESETS.values(), ids=lambda one: one.name)
def test_every_preset_is_a_valid_protocol(preset: presets.Preset) -> None:
    protocol = Protocol.model_validate(preset.keys)
    assert make_schedule(protocol.schedule, protocol.epochs)(0.0, protocol.epochs) > 0
    check_optimizer(protocol.optimizer)
    assert preset.source and preset.differs
    # Defaults of the protocol may change; a published setting does not.
    assert {"epochs", "lr", "batch", "latent"} <= preset.keys.keys()


def test_inner_layers_win_over_outer_ones_and_keys_over_presets() -> None:
    first, second = grid.parse(TEXT, "my.toml", {}).cells()
    assert (first.protocol.latent, first.protocol.beta, first.protocol.seeds) == (5, 1.0, 2)
    assert first.protocol.batch == 32
    assert (second.protocol.latent, second.protocol.batch, second.protocol.epochs) == (2, 7, 50)


def test_a_preset_given_on_the_command_line_wins() -> None:
    cells = grid.parse(TEXT, "my.toml", {"preset": "czolbe", "batch": 8}).cells()
    assert {(c.protocol.latent, c.protocol.batch) for c in cells} == {(256, 8)}


def test_a_preset_is_what_it_stands_for() -> None:
    keys = {"epochs": 10, "lr": 1e-3, "batch": 32, "latent": 16, "beta": 1.0}
    keys["schedule"] = "cosine-tail[tail=0.2]"
    assert presets.expand({"preset": "barron"}) == keys


def test_an_unknown_preset_names_the_nearest() -> None:
    with pytest.raises(HarnessError, match=r"unknown preset 'baron' \(did you mean 'barron'"):
        presets.expand({"preset": "baron"})


def test_presets_are_listed() -> None:
    rows = listing.listing("presets")
    assert {row["name"] for row in rows} == set(presets.PRESETS)
    assert all(row["sets"] for row in rows)


def test_dalals_cycle_is_4000_steps_of_the_training_split() -> None:
    """Two times step size 2,000, with 54,000 of 60,000 images in batches of 50: peak at 2,000."""
    keys = presets.PRESETS["dalal"].keys
    schedule = make_schedule(keys["schedule"], keys["epochs"])
    epoch = 54_000 / keys["batch"]
    factors = [schedule(step / epoch, keys["epochs"]) for step in (0, 1000, 2000, 3000, 4000)]
    assert factors == pytest.approx([0.1, 0.55, 1.0, 0.55, 0.1], abs=5e-3)


@pytest.mark.parametrize("name", ["sharpness", "sharpness-vae-gan"])
def test_the_reports_weights_are_one_and_its_late_start_takes_place(name: str) -> None:
    keys = presets.PRESETS[name].keys
    assert keys["beta"] == 1.0 and keys["epochs"] > 15
