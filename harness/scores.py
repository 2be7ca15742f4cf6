"""What is scored image by image: the measures that apply to images of one size, and how."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from harness.metrics import lpc, phase, pixel, structural
from harness.metrics.perceptual import Lpips, MetricNet

LPIPS: dict[str, tuple[MetricNet, tuple[str, str]]] = {
    "lpips": ("alex", ("alexnet", "lpips-alex")),
    "lpips_vgg": ("vgg", ("vgg16", "lpips-vgg")),
}


@dataclass(frozen=True)
class Score:
    """A measure by the name of its column: of pairs `(recon, target)`, or of images alone."""

    name: str
    signature: str
    compute: Callable[..., Tensor]


def of_pairs(
    shape: tuple[int, ...],
    files: Mapping[str, Path],
    device: torch.device,
    *,
    final: bool,
) -> tuple[Score, ...]:
    """Return the scores of a reconstruction against its image that apply to `shape` (C, H, W).

    `files` are the pretrained weights at hand; without LPIPS's own there is no LPIPS. `final` adds
    what only final models are measured by.
    """
    height, width = shape[1:]
    found = [
        Score("psnr", pixel.PSNR_SIGNATURE, pixel.psnr),
        Score("ssim", structural.SSIM_SIGNATURE, structural.ssim),
        Score("mse", pixel.MSE_SIGNATURE, pixel.mse),
        Score("lfd", pixel.LFD_SIGNATURE, pixel.lfd),
        Score("ssim_padded", structural.SSIM_PADDED_SIGNATURE, structural.ssim_padded),
        Score("phase_error", phase.PHASE_SIGNATURE, phase.phase_error),
    ]
    if structural.ms_ssim_scales(height, width):
        signature = structural.ms_ssim_signature(height, width)
        found.append(Score("ms_ssim", signature, structural.ms_ssim))
    names = LPIPS if final else ("lpips",)
    return (*found, *(each for name in names if (each := _lpips(name, files, device))))


def of_images(shape: tuple[int, ...], *, final: bool) -> tuple[Score, ...]:
    """Return the measures of single images, of final models only: local phase coherence."""
    if not final or min(shape[1:]) < lpc.SMALLEST:
        return ()
    return (Score("lpc_si", lpc.LPC_SI_SIGNATURE, lpc.lpc_si),)


def lpips_weights(files: Mapping[str, Path]) -> tuple[str, ...]:
    """Return the names of the weights that LPIPS takes of those at hand."""
    return tuple(
        name for _, needed in LPIPS.values() for name in needed if set(needed) <= set(files)
    )


def _lpips(name: str, files: Mapping[str, Path], device: torch.device) -> Score | None:
    net, needed = LPIPS[name]
    if not set(needed) <= set(files):
        return None
    metric = _metric(net, tuple((each, files[each]) for each in needed), str(device))
    if not metric.official:  # a number of other weights has another name
        return None
    return Score(name, metric.signature, metric)


@functools.cache
def _metric(net: MetricNet, files: tuple[tuple[str, Path], ...], device: str) -> Lpips:
    return Lpips(net, dict(files)).to(device)
