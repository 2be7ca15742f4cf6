"""Training settings of the documents and their rivals, as defaults of a protocol.

`preset = "barron"` in a grid's `[protocol]`, or `--set preset=barron`, fills in the keys below;
keys that stand beside it win. A preset leaves no trace of its own: a cell's identity holds the
values.
"""

from dataclasses import dataclass
from typing import Any

from harness.errors import HarnessError, suggestion


@dataclass(frozen=True)
class Preset:
    """Protocol keys of one source, and what of the source they cannot express."""

    name: str
    source: str
    keys: dict[str, Any]
    differs: str


_PRESETS = (
    Preset(
        "bredell",
        "Bredell et al. 2023, sec. 4.2, CelebA at 64x64",
        {"epochs": 100, "lr": 1e-4, "batch": 64, "latent": 256},
        "neither batch size nor β is published: 64 is ours, and β is tuned",
    ),
    Preset(
        "czolbe",
        "Czolbe et al. 2020, released code, CelebA at 64x64 (model czolbe)",
        {"epochs": 100, "lr": 1e-4, "batch": 64, "latent": 256, "schedule": "step[every=20]"},
        "the rate halves in steps instead of continuously; β is tuned instead of one λ per loss",
    ),
    Preset(
        "dfc",
        "Hou et al. 2017 (DFC-VAE), released code, CelebA at 128x128",
        {"epochs": 5, "lr": 5e-4, "batch": 40, "latent": 100, "schedule": "step[every=1]"},
        "the rate halves once an epoch, as the paper says, not at every iteration of even "
        "epochs, as the code does; the decoder ends in a sigmoid; β is tuned",
    ),
    Preset(
        "barron",
        "Barron 2019, sec. 3.1, released code, CelebA at 64x64 with a 160-pixel crop",
        {
            "epochs": 10,
            "lr": 1e-3,
            "batch": 32,
            "latent": 16,
            "schedule": "cosine-tail[tail=0.2]",
            "beta": 1.0,
        },
        "the prior is N(0, I) with the KL divergence in closed form, not a learned mixture of "
        "100 Gaussians; 10 epochs are 50,870 steps of 32, the source takes 50,000",
    ),
    Preset(
        "larsen",
        "Larsen et al. 2016, released code, CelebA at 64x64 (model larsen, loss vae-gan)",
        {
            "epochs": 20,
            "lr": 3.9e-4,
            "batch": 64,
            "latent": 128,
            "optimizer": "rmsprop[weight_decay=1e-5]",
        },
        "the discriminator keeps an Adam of its own; the rate is not annealed; β is tuned",
    ),
    Preset(
        "dalal",
        "Dalal 2024, sec. 4, MNIST at 28x28 (model dalal)",
        {
            "epochs": 50,
            "lr": 1e-3,
            "batch": 50,
            "latent": 2,
            # 2,000 steps up and 2,000 down, in epochs of 54,000 images at 50 a step
            "schedule": "triangular[low=0.1,cycle=3.7]",
        },
        "a tenth of the 60,000 training images is the validation split, so that the source's "
        "cycle of 4,000 steps takes 3.7 epochs (3.33 with all of them); the cycles do not shrink; "
        "the output ends in a sigmoid; β is tuned",
    ),
    Preset(
        "sharpness",
        "sharpness report (Reddy and Harsha), its VAE on MNIST at 32x32, 5,000 images a digit "
        "(model larsen, loss l2 + sharpness)",
        {"epochs": 30, "lr": 1e-3, "batch": 64, "latent": 128, "beta": 1.0},
        "only the data, weights of 1 and the start of variant d at epoch 15 are published: "
        "epochs, rate, batch, latent size and the network are ours, the last two Larsen's",
    ),
    Preset(
        "sharpness-vae-gan",
        "sharpness report (Reddy and Harsha), its VAE-GAN on MNIST at 32x32, 5,000 images a digit "
        "(model larsen, loss vae-gan[gan_weight=1,prior_samples=false,margin=none,eps=0], with or "
        "without + sharpness)",
        {
            "epochs": 30,
            "lr": 3.9e-4,
            "batch": 64,
            "latent": 128,
            "optimizer": "rmsprop[weight_decay=1e-5]",
            "beta": 1.0,
        },
        "only the data and weights of 1 are published: rate, batch, latent size, optimiser and "
        "the network are Larsen's, the epochs ours; the discriminator keeps an Adam of its own",
    ),
)
PRESETS = {preset.name: preset for preset in _PRESETS}


def expand(keys: dict[str, Any]) -> dict[str, Any]:
    """Replace the key `preset` by what it stands for; the other keys win.

    Raises:
        HarnessError: unknown preset.
    """
    if "preset" not in keys:
        return keys
    name = keys["preset"]
    if not isinstance(name, str) or name not in PRESETS:
        hint = suggestion(str(name), PRESETS)
        raise HarnessError(f"unknown preset {name!r}{hint}; valid: {', '.join(PRESETS)}")
    return PRESETS[name].keys | {key: value for key, value in keys.items() if key != "preset"}
