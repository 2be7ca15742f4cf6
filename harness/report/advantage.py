"""Losses that have seen the metric: by its network (not ranked) or by its formula (noted)."""

import re
from collections.abc import Iterator

from harness.metrics import IN_ANY_SPACE, SPACES, space_of
from harness.report.collect import Cell
from losses import REGISTRY

# A metric on the network that a loss was trained with favours that loss: home advantage.
LOSS_NETWORK = {
    "lpips": "vgg16",
    "vgg": "vgg16",
    "dists": "vgg16",
    "dfc": "vgg19",
    "squeeze": "squeezenet",
}
LPIPS_NETWORK = {"alex": "alexnet", "vgg": "vgg16", "squeeze": "squeezenet"}
METRIC_NETWORK = {"lpips": "alexnet", "lpips_vgg": "vgg16"}
# The Caffe release has other weights, but of the same network for the same task.
SPACE_NETWORK = {"squeezenet": "squeezenet", "squeezenet-caffe": "squeezenet"}


# A loss that is the metric, or a monotone function of it, or its form on another network.
FORMULA: dict[str, tuple[str, ...]] = {
    "l2": ("psnr", "mse", "lfd", "nll_sigma"),
    "sigma": ("psnr", "mse", "lfd", "nll_sigma", "elbo_sigma", "elbo_bpd"),
    "ssim": ("ssim", "ssim_padded", "ms_ssim"),
    "ms-ssim": ("ssim", "ssim_padded", "ms_ssim"),
    "stft": ("ssim", "ssim_padded"),
    "dft": ("ssim", "ssim_padded"),
    "lpips": ("lpips", "lpips_vgg"),
    "vgg": ("lpips", "lpips_vgg"),
    "squeeze": ("lpips", "lpips_vgg"),
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


def home(cell: Cell, metric: str) -> bool:
    """Tell whether `metric` runs on a network that the cell's loss was trained with."""
    return bool(_networks(cell, metric) & set(networks(cell.loss)))


def _networks(cell: Cell, metric: str) -> set[str]:
    if metric in METRIC_NETWORK:
        return {METRIC_NETWORK[metric]}
    spaces = _signed(cell, metric) if metric in IN_ANY_SPACE else {space_of(metric)}
    return {SPACE_NETWORK[space] for space in spaces if space in SPACE_NETWORK}


def _signed(cell: Cell, metric: str) -> set[str | None]:
    """Return the feature spaces that a column's signatures name; `evaluate` may add others."""
    signatures = cell.finals[f"{metric}_signature"].dropna()
    return {part for text in signatures for part in str(text).split("|") if part in SPACES}


def optimised(cell: Cell, metric: str) -> bool:
    """Tell whether the cell's loss optimises `metric` itself, or its form, without its network."""
    if home(cell, metric):
        return False
    return any(metric in FORMULA.get(term, ()) for term in terms(cell.loss))


def is_learned(loss: str) -> bool:
    """Tell whether a term of the loss is a learned one, which tables set apart by a rule."""
    return any(name in REGISTRY and REGISTRY[name].family == "learned" for name in terms(loss))
