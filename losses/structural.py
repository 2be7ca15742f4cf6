"""Losses that compare local structure."""

from __future__ import annotations

from typing import Unpack

import torch
from torch import Tensor

from losses.base import Context, ReconstructionLoss
from losses.options import InvalidOption

C1 = 0.01**2  # (K1 * data range)^2
C2 = 0.03**2  # (K2 * data range)^2


class SSIM(ReconstructionLoss):
    """One minus the structural similarity, times C*H*W.

    Gaussian window, constants K = (0.01, 0.03) for data in [0, 1], windows wholly inside the
    image, averaged over positions and channels. Per image from 0 (identical) to 2 C*H*W.

    Source: Wang et al. 2004, eq. 13 with its window (11 pixels, sigma 1.5). Needs `image_shape`;
    raises `InvalidOption` when the window is even or larger than the image.
    """

    # About seven times l2's; ten times would spend the same rate on 32x32x3 faces, KL in nats, but
    # from 1 on the posterior of a short training run on photographs collapses.
    beta_range = (0.1, 3.0)

    horizontal: Tensor
    vertical: Tensor

    def __init__(self, *, window: int = 11, sigma: float = 1.5, **context: Unpack[Context]) -> None:
        super().__init__(**context)
        channels, height, width = self.needed_image_shape()
        self.native_scale = float(channels * height * width)
        kernel = gaussian_kernel(window, sigma)
        check_fit(height, width, window)
        self.register_buffer("horizontal", sliding_matrix(kernel, width).T, persistent=False)
        self.register_buffer("vertical", sliding_matrix(kernel, height), persistent=False)

    def forward(
        self, recon: Tensor, target: Tensor, latent: Tensor, *, logits: Tensor | None = None
    ) -> Tensor:
        """Return the energy of each image, `(B,)`; images must have the shape built for."""
        if recon.shape[1:] != self.image_shape:
            raise InvalidOption(
                f"SSIM was built for images {self.image_shape} but got {tuple(recon.shape[1:])}; "
                "build it with their image_shape"
            )
        return self.native_scale * (1 - self._similarity(recon, target).flatten(1).mean(1))

    def _similarity(self, recon: Tensor, target: Tensor) -> Tensor:
        # Variances do not depend on the origin; around 0.5 they lose fewer digits.
        x, y = target - 0.5, recon - 0.5
        mean_x, mean_y = self._filter(x), self._filter(y)
        covariance = self._filter(x * y) - mean_x * mean_y
        variances = self._filter(x * x + y * y) - mean_x**2 - mean_y**2
        mean_x, mean_y = mean_x + 0.5, mean_y + 0.5
        luminance = (2 * mean_x * mean_y + C1) / (mean_x**2 + mean_y**2 + C1)
        return luminance * (2 * covariance + C2) / (variances + C2)

    def _filter(self, images: Tensor) -> Tensor:
        # Two matrix products cost less than depthwise convolutions, on the CPU and backward too.
        return self.vertical.to(images.dtype) @ (images @ self.horizontal.to(images.dtype))


def gaussian_kernel(window: int, sigma: float) -> Tensor:
    """Return a Gaussian of odd length `window` with unit sum, `(window,)` in float64."""
    if window < 1 or window % 2 == 0:
        raise InvalidOption(f"window is {window!r}; give an odd positive integer such as 11")
    if not 0 < sigma < float("inf"):
        raise InvalidOption(f"sigma is {sigma!r}; give a positive number such as 1.5")
    offsets = torch.arange(window, dtype=torch.float64) - window // 2
    weights = torch.exp(-(offsets**2) / (2 * sigma**2))
    return weights / weights.sum()


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

    Shape `(side - len(kernel) + 1, side)`, float32; row i holds the kernel from column i on.
    """
    rows = side - len(kernel) + 1
    matrix = torch.zeros(rows, side, dtype=kernel.dtype)
    for offset, weight in enumerate(kernel):
        matrix.diagonal(offset)[:rows] = weight
    return matrix.float()
