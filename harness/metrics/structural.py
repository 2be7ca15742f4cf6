"""Structural similarity of reconstructions and their targets, one value per image."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from harness.metrics.pairs import check_pair
from harness.metrics.precision import float64

SSIM_SIGNATURE = "ssim|gaussian11|sigma=1.5|valid|range=1|rounding=none|mean-C|per-image|v1"
SSIM_PADDED_SIGNATURE = (
    "ssim|gaussian11|sigma=1.5|zero-padding=5|range=1|rounding=none|mean-C|per-image|v1"
)

WINDOW, SIGMA = 11, 1.5
C1, C2 = 0.01**2, 0.03**2
# Exponents of the scales, finest first (Wang et al. 2003, section 3.2).
EXPONENTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
ALL_SCALES_FROM = 161
# Lines and columns of local means that one matrix product makes: wider, and most of the product
# would be with the zeros beside the band.
TILE = 16


@torch.no_grad()
def ssim(recon: Tensor, target: Tensor) -> Tensor:
    """Return the structural similarity of each image, the mean over channels and valid windows.

    `recon`, `target`: `(B, C, H, W)` in [0, 1] with H, W >= 11, neither clipped nor rounded.
    Returns `(B,)` float64, at most 1. Gaussian 11x11 window of sigma 1.5, population moments,
    C1 = 0.01², C2 = 0.03². Source: Wang et al. 2004, eq. 13; equals scikit-image's
    `structural_similarity` with `gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
    data_range=1`. Raises ValueError when the shapes differ or the images are smaller than the
    window.
    """
    check_pair(recon, target)
    height, width = recon.shape[2:]
    if min(height, width) < WINDOW:
        raise ValueError(
            f"ssim: images are {height}x{width} and its window is {WINDOW}x{WINDOW}; "
            f"use images of at least {WINDOW} pixels a side."
        )
    return _by_chunks(lambda x, y: _similarity(x, y).mean(1), recon, target)


@torch.no_grad()
def ssim_padded(recon: Tensor, target: Tensor) -> Tensor:
    """Return the structural similarity of each image with zeros around it, as many papers did.

    `recon`, `target`: `(B, C, H, W)` in [0, 1] of any size, neither clipped nor rounded. Returns
    `(B,)` float64, at most 1. As `ssim`, but five lines of zeros surround both images, so that
    every pixel has a window; the dark frame, the same in both, raises the similarity. Source: the
    widely copied PyTorch code of Po-Hsun Su. Raises ValueError when the shapes differ.
    """
    check_pair(recon, target)
    return _by_chunks(lambda x, y: _similarity(x, y, padded=True).mean(1), recon, target)


@torch.no_grad()
def ms_ssim(recon: Tensor, target: Tensor) -> Tensor:
    """Return the multi-scale structural similarity of each image, averaged over channels.

    `recon`, `target`: `(B, C, H, W)` in [0, 1], neither clipped nor rounded. Returns `(B,)`
    float64 in [0, 1]: the product over scales of mean contrast and structure (the coarsest: of
    mean SSIM), each raised to its exponent; means below 0 count as 0. Each scale averages blocks
    of 2x2 pixels of the one before, where an odd last line counts as its own neighbour. Five
    scales from 161 pixels on, as published; below, `ms_ssim_scales` of them with their exponents
    divided by their sum, which is another metric and has another `ms_ssim_signature`. Source: Wang,
    Simoncelli & Bovik 2003, eq. 7. Raises ValueError when the shapes differ or the images are too
    small for two scales.
    """
    check_pair(recon, target)
    height, width = recon.shape[2:]
    scales = ms_ssim_scales(height, width)
    if scales == 0:
        raise ValueError(
            f"ms_ssim: images are {height}x{width}, too small for two scales with a window of "
            f"{WINDOW}; use images of at least {2 * WINDOW - 1} pixels a side."
        )
    return _by_chunks(lambda x, y: _over_scales(x, y, scales), recon, target)


def ms_ssim_scales(height: int, width: int) -> int:
    """Return how many scales `ms_ssim` has for images of this size, 0 where it is not defined.

    Five from 161 pixels of the shorter side on; below, 3 where the window of 11 still fits the
    coarsest (from 41 on), else 2 (from 21 on).
    """
    side = min(height, width)
    if side >= ALL_SCALES_FROM:
        return len(EXPONENTS)
    return next((n for n in (3, 2) if -(-side // 2 ** (n - 1)) >= WINDOW), 0)


def ms_ssim_signature(height: int, width: int) -> str:
    """Return the signature of `ms_ssim` for images of this size."""
    scales = ms_ssim_scales(height, width)
    renormalised = "" if scales == len(EXPONENTS) else "-renormalised"
    return (
        f"ms-ssim|scales={scales}|wang2003{renormalised}|gaussian11|sigma=1.5|valid|2x2-mean"
        "|range=1|rounding=none|mean-C|per-image|v1"
    )


def _by_chunks(
    measure: Callable[[Tensor, Tensor], Tensor], recon: Tensor, target: Tensor
) -> Tensor:
    # On a CPU a chunk's moments should stay in cache; a GPU wants few launches.
    values = 3 * 2**15 * torch.get_num_threads() if recon.device.type == "cpu" else 2**23
    chunk = max(1, values // recon[:1].numel()) if recon.numel() else 1
    pairs = zip(recon.split(chunk), target.split(chunk), strict=True)
    return torch.cat([measure(float64(x), float64(y)) for x, y in pairs])


def _over_scales(x: Tensor, y: Tensor, scales: int) -> Tensor:
    product = x.new_ones(x.shape[:2])
    # All five sum to 1.0001 and are used as they are, by everyone.
    total = 1 if scales == len(EXPONENTS) else sum(EXPONENTS[:scales])
    for scale, exponent in enumerate(EXPONENTS[:scales]):
        if scale > 0:
            # ceil_mode averages what there is of the last block
            x, y = (avg_pool2d(images, 2, ceil_mode=True) for images in (x, y))
        similarity = _similarity(x, y, luminance=scale == scales - 1)
        product *= similarity.clamp(min=0) ** (exponent / total)
    return product.mean(1)


def _similarity(x: Tensor, y: Tensor, *, padded: bool = False, luminance: bool = True) -> Tensor:
    """Return the mean over windows of SSIM, or of contrast times structure alone, `(b, C)`."""
    count, channels, height, width = x.shape
    # Lines first: then the means down the columns are one matrix product over all images.
    x, y = (images.reshape(-1, height, width).transpose(0, 1) for images in (x, y))
    # With s = x + y and d = x - y four windowed means do the work of five:
    # 2 mx my = (ms² - md²)/2, mx² + my² = (ms² + md²)/2, and the same for (co)variances.
    moments = torch.empty((height, 4, *x.shape[1:]), dtype=x.dtype, device=x.device)
    torch.add(x, y, out=moments[:, 0])
    torch.sub(x, y, out=moments[:, 1])
    torch.mul(moments[:, :2], moments[:, :2], out=moments[:, 2:])
    of_sum, of_difference, sum_square, difference_square = _local_means(moments, padded).unbind(1)
    of_sum.square_()
    of_difference.square_()
    value = _ratio(sum_square.sub_(of_sum), difference_square.sub_(of_difference), C2)
    if luminance:
        value.mul_(_ratio(of_sum, of_difference, C1))
    return value.mean((0, 2)).view(count, channels)


def _ratio(of_sum: Tensor, of_difference: Tensor, constant: float) -> Tensor:
    above = (of_sum - of_difference).add_(2 * constant)
    return above.div_(of_sum.add_(of_difference).add_(2 * constant))


def _local_means(planes: Tensor, padded: bool) -> Tensor:
    """Return the windowed means of `(H, ..., W)`, `(H', ..., W')`."""
    height, width = planes.shape[0], planes.shape[-1]
    down, across = (_window_matrix(size, padded, planes) for size in (height, width))
    lines = planes.reshape(height, -1)
    means = lines.new_empty(len(down), lines.shape[1])
    for made, used in _tiles(down):
        torch.mm(down[made, used], lines[used], out=means[made])
    lines = means.view(-1, width)
    means = lines.new_empty(len(lines), len(across))
    for made, used in _tiles(across):
        torch.mm(lines[:, used], across[made, used].T, out=means[:, made])
    return means.view(len(down), *planes.shape[1:-1], len(across))


def _tiles(matrix: Tensor) -> Iterator[tuple[slice, slice]]:
    """Yield ranges of a banded matrix's rows with the columns that are not zero there."""
    outputs, inputs = matrix.shape
    before = (outputs + WINDOW - 1 - inputs) // 2
    for start in range(0, outputs, TILE):
        stop = min(start + TILE, outputs)
        first, last = start - before, stop - before + WINDOW - 1
        yield slice(start, stop), slice(max(0, first), min(inputs, last))


def _window_matrix(size: int, padded: bool, like: Tensor) -> Tensor:
    """Return the banded matrix whose product means every window, `(size - 10 or size, size)`."""
    offset = torch.arange(WINDOW, dtype=like.dtype, device=like.device) - WINDOW // 2
    kernel = torch.exp(-(offset**2) / (2 * SIGMA**2))
    rows = size if padded else size - WINDOW + 1
    columns = rows + WINDOW - 1
    matrix = torch.zeros(rows, columns, dtype=like.dtype, device=like.device)
    # Row i holds the kernel from column i on: a view with strides (columns + 1, 1).
    matrix.as_strided((rows, WINDOW), (columns + 1, 1)).copy_(kernel / kernel.sum())
    return matrix[:, WINDOW // 2 : columns - WINDOW // 2] if padded else matrix
