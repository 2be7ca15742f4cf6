"""Losses that have seen the metric: by its network (not ranked) or by its formula (noted)."""

import re
from collections.abc import Iterator

# A metric on the network that a loss was trained with favours that loss: home advantage.
LOSS_NETWORK = {
    "lpips": "vgg16",
    "vgg": "vgg16",
    "dists": "vgg16",
    "dfc": "vgg19",
    "squeeze": "squeezenet",
}
LPIPS_NETWORK = {"alex": "alexnet", "vgg": "vgg16", "squeeze": "squeezenet"}
METRIC_NETWORK = {
    "lpips": "alexnet",
    "dists": "vgg16",
    "fsd_recon": "squeezenet",
    "fsd_gen": "squeezenet",
}

# A loss that is the metric, or a monotone function of it, or its form on another network.
FORMULA: dict[str, tuple[str, ...]] = {
    "l2": ("psnr", "mse"),
    "sigma": ("psnr", "mse", "elbo_sigma"),
    "ssim": ("ssim",),
    "ms-ssim": ("ssim",),
    "stft": ("ssim",),
    "dft": ("ssim",),
    "lpips": ("lpips",),
    "vgg": ("lpips",),
    "squeeze": ("lpips",),
}

_TERM = re.compile(r"(?P<name>[a-z][a-z0-9_-]*)(?:\[(?P<options>[^\]]*)\])?\s*(?:\+|$)")


def terms(loss: str) -> list[str]:
    """Return the names in a loss spec: `l2 + 50*ffl[alpha=1]` gives `l2` and `ffl`."""
    return [match["name"] for match in _TERM.finditer(loss)]


def networks(loss: str) -> Iterator[str]:
    """Yield the pretrained networks that a loss spec was trained with."""
    for match in _TERM.finditer(loss):
        net = re.search(r"net=(\w+)", match["options"] or "")
        if match["name"] == "lpips" and net:
            yield LPIPS_NETWORK.get(net[1], net[1])
        elif match["name"] in LOSS_NETWORK:
            yield LOSS_NETWORK[match["name"]]


def home(loss: str, metric: str) -> bool:
    """Tell whether `metric` runs on a network that `loss` was trained with."""
    return METRIC_NETWORK.get(metric) in set(networks(loss))


def optimised(loss: str, metric: str) -> bool:
    """Tell whether `loss` optimises `metric` itself, or its form, without its network."""
    if home(loss, metric):
        return False
    return any(metric in FORMULA.get(term, ()) for term in terms(loss))
