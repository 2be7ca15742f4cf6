"""Losses that compare local structure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, Unpack

import torch
from torch import Tensor, nn
from torch.autograd import Function

from losses.base import Context, ReconstructionLoss, full_products
from losses.options import InvalidOption

C1 = 0.01**2  # (K1 * data range)^2
C2 = 0.03**2  # (K2 * data range)^2
# Variances do not depend on the origin; around 0.5 they lose fewer digits.
ORIGIN = 0.5
# Outputs of a sliding window computed at once; wider, most of the product would be with zeros.
TILE = 64


class SSIM(ReconstructionLoss):
    """One minus the structural similarity, times C*H*W.

    Gaussian window, constants K = (0.01, 0.03) for data in [0, 1], windows wholly inside the
    image, averaged over positions and channels. Per image from 0 (identical) to 2 C*H*W.

    Source: Wang et al. 2004, eq. 13 with its window (11 pixels, sigma 1.5). Needs `image_shape`;
    raises `InvalidOption` when the window is even or larger than the image.
    """

    # On photographs of 32x32x3 a short training spends 83 and 20 nats at the ends; at 3 the
    # posterior collapses. l2 spends 60 and 12 at its ends.
    beta_range = (0.1, 1.5)

    def __init__(self, *, window: int = 11, sigma: float = 1.5, **context: Unpack[Context]) -> None:
        super().__init__(**context)
        channels, height, width = self.needed_image_shape()
        self.native_scale = float(channels * height * width)
        check_window(window, sigma)
        check_fit(height, width, window)
        self.local_mean = LocalMean(height, width, window, sigma)

    def forward(
        self, recon: Tensor, target: Tensor, latent: Tensor, *, logits: Tensor | None = None
    ) -> Tensor:
        """Return the energy of each image, `(B,)`; images must have the shape built for."""
        self.check_shape(recon)
        moments = self.local_mean.moments(target - ORIGIN, recon - ORIGIN)
        similarity = moments.luminance() * moments.contrast_and_structure()
        return self.native_scale * (1 - similarity.flatten(1).mean(1))


class Moments(NamedTuple):
    """Local moments of two images; `variances` is the sum of both."""

    mean_x: Tensor
    mean_y: Tensor
    covariance: Tensor
    variances: Tensor

    def luminance(self) -> Tensor:
        """Return `(2 mx my + C1) / (mx^2 + my^2 + C1)`, Wang et al. 2004, eq. 6."""
        mean_x, mean_y = self.mean_x + ORIGIN, self.mean_y + ORIGIN
        return (2 * mean_x * mean_y + C1) / (mean_x**2 + mean_y**2 + C1)

    def contrast_and_structure(self) -> Tensor:
        """Return `(2 cov + C2) / (vx + vy + C2)`, eq. 9 times eq. 10 with C3 = C2 / 2."""
        return (2 * self.covariance + C2) / (self.variances + C2)


class LocalMean(nn.Module):
    """Means under a Gaussian window at every position where it lies wholly inside the image.

    Two matrix products cost less than depthwise convolutions, on the CPU and backward too.
    """

    horizontal: Tensor
    vertical: Tensor

    def __init__(self, height: int, width: int, window: int, sigma: float) -> None:
        super().__init__()
        kernel = gaussian_kernel(window, sigma)
        self.register_buffer("horizontal", sliding_matrix(kernel, width).T, persistent=False)
        self.register_buffer("vertical", sliding_matrix(kernel, height), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Return `(B, C, height - window + 1, width - window + 1)`."""
        rows, columns = self.vertical.to(images.dtype), self.horizontal.to(images.dtype)
        filtered: Tensor = BandedProduct.apply(images, rows, columns)
        return filtered

    def moments(self, x: Tensor, y: Tensor) -> Moments:
        """Return the local moments of images whose grey value `ORIGIN` was moved to 0."""
        mean_x, mean_y = self(x), self(y)
        covariance = self(x * y) - mean_x * mean_y
        variances = self(x * x + y * y) - mean_x**2 - mean_y**2
        return Moments(mean_x, mean_y, covariance, variances)


class BandedProduct(Function):
    """`rows @ images @ columns` for sliding matrices or their transposes, tile by tile.

    Autograd through the tiles themselves would fill a whole image for the gradient of each.
    """

    @staticmethod
    def forward(ctx: Any, images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """Return `(..., len(rows), columns.shape[1])`."""
        ctx.save_for_backward(rows, columns)
        across = [images[..., a:b] @ columns[a:b, tile] for a, b, tile in _tiles(*columns.shape)]
        wide = across[0] if len(across) == 1 else torch.cat(across, -1)
        down = [rows[tile, a:b] @ wide[..., a:b, :] for a, b, tile in _tiles(*rows.T.shape)]
        return down[0] if len(down) == 1 else torch.cat(down, -2)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        """Return the gradient of the images; the matrices are constants."""
        rows, columns = ctx.saved_tensors
        with full_products():  # the loss's own call is over
            return BandedProduct.apply(grads[0], rows.T, columns.T), None, None


def _tiles(inputs: int, outputs: int) -> Iterator[tuple[int, int, slice]]:
    """Yield tiles of outputs with the range of inputs that they depend on."""
    reach = abs(inputs - outputs)
    for start in range(0, outputs, TILE):
        stop = min(start + TILE, outputs)
        # A sliding window looks ahead; its transpose, which makes a line longer, looks back.
        first, last = (start, stop + reach) if inputs >= outputs else (start - reach, stop)
        yield max(0, first), min(inputs, last), slice(start, stop)


def gaussian_kernel(window: int, sigma: float) -> Tensor:
    """Return a Gaussian of odd length `window` with unit sum, `(window,)` in float64."""
    check_window(window, sigma)
    offsets = torch.arange(window, dtype=torch.float64) - window // 2
    weights = torch.exp(-(offsets**2) / (2 * sigma**2))
    return weights / weights.sum()


def check_window(window: int, sigma: float) -> None:
    """Raise `InvalidOption` for an even window or a sigma that is not positive and finite."""
    if window < 1 or window % 2 == 0:
        raise InvalidOption(f"window is {window!r}; give an odd positive integer such as 11")
    if not 0 < sigma < float("inf"):
        raise InvalidOption(f"sigma is {sigma!r}; give a positive number such as 1.5")


def check_fit(height: int, width: int, window: int) -> None:
    """Raise `InvalidOption` when the window does not fit inside the image."""
    side = min(height, width)
    if side < window:
        fitting = min(7, side - 1 + side % 2)
        raise InvalidOption(
            f"images of {height}x{width} are smaller than the window of {window} pixels; "
            f"set window={fitting}"
        )


def sliding_matrix(kernel: Tensor, side: int) -> Tensor:
    """Return the matrix that filters a line of `side` pixels where the kernel fits wholly.

    Shape `(side - len(kernel) + 1, side)`, float64; row i holds the kernel from column i on.
    """
    rows = side - len(kernel) + 1
    matrix = torch.zeros(rows, side, dtype=kernel.dtype)
    for offset, weight in enumerate(kernel):
        matrix.diagonal(offset)[:rows] = weight
    return matrix
