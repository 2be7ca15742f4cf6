"""Losses that have seen the metric: by its network (not ranked) or by its formula (noted)."""

import re

# A metric computed with the network that a loss was trained on favours that loss: home advantage.
NETWORK: dict[str, tuple[str, ...]] = {
    "lpips": ("lpips",),
    "dists": ("dists", "lpips"),
    "vgg": ("lpips",),
    "dfc": ("lpips",),
    "squeeze": ("fsd_recon", "fsd_gen"),
}

# A loss that is the metric, or a monotone function of it, optimised directly.
FORMULA: dict[str, tuple[str, ...]] = {
    "l2": ("psnr", "mse"),
    "sigma": ("psnr", "mse", "elbo_sigma"),
    "ssim": ("ssim",),
    "ms-ssim": ("ssim",),
}

_BRACKETS = re.compile(r"\[[^\]]*\]")


def terms(loss: str) -> list[str]:
    """Return the names in a loss spec: `l2 + 50*ffl[alpha=1]` gives `l2` and `ffl`."""
    parts = _BRACKETS.sub("", loss).split("+")
    return [part.rpartition("*")[2].strip() for part in parts]


def home(loss: str, metric: str) -> bool:
    """Tell whether `metric` runs on a network that `loss` was trained with."""
    return any(metric in NETWORK.get(term, ()) for term in terms(loss))


def optimised(loss: str, metric: str) -> bool:
    """Tell whether `loss` optimises `metric` itself, without any network."""
    return any(metric in FORMULA.get(term, ()) for term in terms(loss))
