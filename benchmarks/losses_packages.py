"""The public packages that our losses are timed against."""

import warnings
from collections.abc import Callable
from typing import Any
from unittest import mock

import torch
from torch import Tensor

# With random trunks: the time does not depend on the weights.
NETS = {"lpips[net=alex]": "alex", "lpips[net=squeeze]": "squeeze", "lpips": "vgg"}


def find(spec: str, recon: Tensor, target: Tensor) -> Callable[[], None] | None:
    """Return forward and backward of the package's own loss on these images, None without one."""
    value = _value(spec)
    if value is None:
        return None

    def run() -> None:
        torch.autograd.grad(value(recon, target), recon)

    return run


def _value(spec: str) -> Callable[[Tensor, Tensor], Tensor] | None:
    if spec in ("ffl", "ffl[log_matrix=true]"):
        from focal_frequency_loss import FocalFrequencyLoss

        theirs: Any = FocalFrequencyLoss(log_matrix="log" in spec)
        return lambda recon, target: theirs(recon, target)
    if spec == "ssim":
        from pytorch_msssim import ssim

        return lambda recon, target: ssim(recon, target, data_range=1.0)
    if spec == "ms-ssim":
        return _multiscale
    if spec in NETS:
        return _lpips(NETS[spec])
    return _dists() if spec == "dists" else None


def _multiscale(recon: Tensor, target: Tensor) -> Tensor:
    if min(recon.shape[2:]) > 160:
        from pytorch_msssim import ms_ssim

        return ms_ssim(recon, target, data_range=1.0)
    from piq import multi_scale_ssim  # the other package refuses fewer than 161 pixels

    weights = torch.tensor([0.0448, 0.2856, 0.3001])
    return multi_scale_ssim(recon, target, scale_weights=weights / weights.sum())


def _dists() -> Callable[[Tensor, Tensor], Tensor]:
    """piq's, its trunk and its weights not fetched but random."""
    from piq import feature_extractors, perceptual
    from torchvision.models import vgg16

    size = (1, 3 + 64 + 128 + 256 + 512 + 512, 1, 1)
    state = {name: torch.full(size, 0.5 / size[1]) for name in ("alpha", "beta")}

    def trunk(**_: Any) -> Any:
        return vgg16(weights=None)

    with (
        mock.patch.object(perceptual, "vgg16", trunk, create=True),
        mock.patch.object(feature_extractors, "vgg16", trunk, create=True),
        mock.patch.object(torch.hub, "load_state_dict_from_url", lambda *_, **__: state),
        mock.patch.object(
            perceptual, "load_state_dict_from_url", lambda *_, **__: state, create=True
        ),
    ):
        theirs = perceptual.DISTS().requires_grad_(False)
    return lambda recon, target: theirs(recon, target)


def _lpips(net: str) -> Callable[[Tensor, Tensor], Tensor]:
    import lpips

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = lpips.LPIPS(net=net, pnet_rand=True, verbose=False).requires_grad_(False)
    return lambda recon, target: theirs(recon, target, normalize=True).mean()
