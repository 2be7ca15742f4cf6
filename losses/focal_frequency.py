"""The focal frequency loss."""

from __future__ import annotations

import math
from typing import Unpack

import torch
from torch import Tensor

from losses.base import Context, ReconstructionLoss
from losses.half_plane import multiplicity
from losses.options import InvalidOption


class FocalFrequency(ReconstructionLoss):
    """Squared error of the spectra, weighted by its own size, times C*H*W.

    `C*H*W * mean_uv w(u,v) |F_y(u,v) - F_x(u,v)|^2` with the orthonormal 2-D Fourier transform F
    of each channel, `w = |F_y - F_x|^alpha / max_uv |F_y - F_x|^alpha` and no gradient through w.
    From 0 to the squared error `2*l2`, which `alpha=0` equals (Parseval); scaling both images by a
    scales it by a^2. The weight follows the largest error, which for blurred images lies at low
    frequencies: focal is not the same as high-frequency.

    - `alpha`: exponent of the weight, at least 0; larger ones neglect small errors more.
    - `patch_factor`: transform each of `patch_factor` x `patch_factor` tiles by itself.
    - `log_matrix`: put log(1 + |F_y - F_x|^alpha) in the place of |F_y - F_x|^alpha.
    - `ave_spectrum`: compare the spectra averaged over the batch. The value belongs to the batch,
      is given to each of its images, and couples them; it shrinks as the batch grows.
    - `batch_matrix`: take the maximum over all spectra of the batch, which couples its images.

    The authors add 100 times their mean to the mean squared error: here `l2 + 50*ffl`.

    Source: Jiang et al. 2021, and their package focal-frequency-loss 0.3.0, whose
    value times C*H*W this is. Needs `image_shape`; raises `InvalidOption` when alpha is negative
    or the tiles do not divide the image.
    """

    # l2's: at blurred photographs of 3x32x32 its gradient is 1.06 times as long.
    beta_range = (0.015, 0.45)

    def __init__(
        self,
        *,
        alpha: float = 1.0,
        patch_factor: int = 1,
        ave_spectrum: bool = False,
        log_matrix: bool = False,
        batch_matrix: bool = False,
        **context: Unpack[Context],
    ) -> None:
        super().__init__(**context)
        if not 0 <= alpha < math.inf:
            raise InvalidOption(f"alpha is {alpha!r}; give a number from 0 on, such as 1.0")
        _, height, width = shape = self.needed_image_shape()
        if patch_factor < 1 or height % patch_factor or width % patch_factor:
            raise InvalidOption(
                f"patch_factor is {patch_factor!r}; give a number that divides the image's "
                f"{height}x{width} pixels, such as 1"
            )
        self.native_scale = float(math.prod(shape))
        self.batch_coupled = ave_spectrum or batch_matrix
        self.stopped_gradient = alpha > 0
        self.alpha, self.patch_factor = alpha, patch_factor
        self.ave_spectrum, self.log_matrix = ave_spectrum, log_matrix
        self.weight_dims = (0, 1, 2, 3, 4, 5) if batch_matrix else (3, 5)

    def forward(
        self, recon: Tensor, target: Tensor, latent: Tensor, *, logits: Tensor | None = None
    ) -> Tensor:
        """Return the energy of each image, `(B,)`; images must have the shape built for."""
        self.check_shape(recon)
        # The transform is linear: that of the difference is the difference of the transforms.
        error = recon - target
        if self.ave_spectrum:
            error = error.mean(0, keepdim=True)
        tiles = self._tiles(error)
        spectrum = torch.fft.rfft2(tiles, dim=(3, 5), norm="ortho")
        power = spectrum.real.square() + spectrum.imag.square()
        lines = (self._weight(power.detach()) * power).sum((1, 2, 3, 4))
        return (lines @ multiplicity(tiles.shape[-1], lines)).expand(len(recon))

    def _tiles(self, images: Tensor) -> Tensor:
        parts = self.patch_factor
        return images.unflatten(3, (parts, -1)).unflatten(2, (parts, -1))

    def _weight(self, power: Tensor) -> Tensor:
        weight = power.pow(self.alpha / 2).log1p() if self.log_matrix else power
        # Every bin of the full spectrum is in its half, so the maximum is the same. 0/0, where a
        # whole spectrum is matched, counts as 0.
        share = (weight / weight.amax(self.weight_dims, keepdim=True)).nan_to_num(nan=0.0)
        # the power of the share, for that of a spectrum soon leaves the range of float32
        return share if self.log_matrix else share.pow(self.alpha / 2)
