"""How sharp images are: the strength of their edges, with no image to compare them with or one."""

import torch
from torch import Tensor

from harness.metrics.pairs import check_pair
from harness.metrics.precision import float64

LAPLACIAN_SIGNATURE = "laplacian-variance|4-neighbours|luma=bt601|range=255|valid|rounding=none|v1"
BLUR_SIGNATURE = "blur|elsayed2018|8-neighbours|signed|valid|mean-CHW|rounding=none|v1"

# ITU-R BT.601, the grey of OpenCV and Pillow
LUMA = (0.299, 0.587, 0.114)


@torch.no_grad()
def laplacian_variance(images: Tensor) -> Tensor:
    """Return the variance of each image's Laplacian, the usual measure of focus.

    `images`: `(B, C, H, W)` in [0, 1], C 1 or 3, H, W >= 3; colours become luma (BT.601) in 0..255.
    Filter (0, 1, 0; 1, -4, 1; 0, 1, 0) on the pixels with four neighbours, population variance.
    Returns `(B,)` float64, 0 for flat images. Noise raises it as detail does: report it as a ratio
    to the data's, beside PSNR. Source: Pech-Pacheco et al. 2000. Raises ValueError for other
    shapes.
    """
    grey = luma(images)
    centre = grey[:, 1:-1, 1:-1]
    neighbours = grey[:, :-2, 1:-1] + grey[:, 2:, 1:-1] + grey[:, 1:-1, :-2] + grey[:, 1:-1, 2:]
    return (neighbours - 4 * centre).var((1, 2), correction=0)


def luma(images: Tensor) -> Tensor:
    """Return the luma of `(B, C, H, W)` in [0, 1], `(B, H, W)` float64 in 0..255.

    One channel is taken as it is. Raises ValueError unless C is 1 or 3 and H, W >= 3.
    """
    _check_images(images)
    if images.shape[1] not in (1, 3):
        raise ValueError(f"Images have {images.shape[1]} channels; luma needs 1 or 3.")
    planes = 255 * float64(images)
    if images.shape[1] == 1:
        return planes[:, 0]
    return (planes * planes.new_tensor(LUMA).view(3, 1, 1)).sum(1)


@torch.no_grad()
def edge_strength(images: Tensor) -> Tensor:
    """Return Z of each image, the mean of the steepest rise from a pixel to one of its neighbours.

    `images`: `(B, C, H, W)` in [0, 1], H, W >= 3. Returns `(B,)` float64 in [-1, 1]: the mean over
    channels and pixels with eight neighbours of the largest "neighbour minus centre". Source:
    Elsayed et al. 2018, steps 1 to 3, signed as in the sharpness report. Raises ValueError for
    other shapes.
    """
    _check_images(images)
    left, middle, right = images[..., :-2], images[..., 1:-1], images[..., 2:]
    sides = torch.maximum(left, right)
    rows = torch.maximum(sides, middle)
    highest = torch.maximum(rows[..., :-2, :], rows[..., 2:, :]).maximum(sides[..., 1:-1, :])
    return float64(highest - middle[..., 1:-1, :]).mean((1, 2, 3))


def blur_percentage(recon: Tensor, target: Tensor) -> Tensor:
    """Return the blur of each reconstruction against its target, in percent.

    `recon`, `target`: `(B, C, H, W)` in [0, 1], H, W >= 3. Returns `(B,)` float64,
    `100 (Z_target - Z_recon) / Z_target` with Z of `edge_strength`: 0 as sharp as the target, 100
    flat, negative where sharper; NaN for a flat target, which nothing can blur. Source: Elsayed et
    al. 2018, step 4, as the sharpness report describes it. Raises ValueError when the shapes differ
    or are others.
    """
    check_pair(recon, target)
    return blur_between(edge_strength(recon), edge_strength(target))


def blur_between(strength: Tensor, reference: Tensor) -> Tensor:
    """Return `100 (reference - strength) / reference`, NaN where `reference` is 0.

    Both of `edge_strength`, of images or means over sets of images: so generated images, which have
    no target, are set against the data. Any shapes that broadcast.
    """
    ratio = (reference - strength) / reference
    return (100 * ratio).where(reference != 0, torch.nan)


def _check_images(images: Tensor) -> None:
    if images.ndim != 4 or min(images.shape[2:]) < 3:
        raise ValueError(
            f"Images have shape {tuple(images.shape)}; pass a batch (B, C, H, W) of at least "
            "3 pixels a side."
        )
