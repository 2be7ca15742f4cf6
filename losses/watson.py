"""Watson's perceptual model on 8x8 blocks, of Fourier or cosine coefficients."""

from __future__ import annotations

from types import MappingProxyType

import torch
from torch import Tensor

from losses.blocks8 import cosine, dct2_matrix, fourier
from losses.masking import EPS, BlockMasking
from losses.watson_parameters import Initial, Parameters

MARGIN = 2.0**-23
"""Keeps the derivative of arccos finite: the source's 1e-7, as the float32 it runs in rounds it."""


class WatsonDFT(BlockMasking):
    """Watson's perceptual distance on the Fourier coefficients of 8x8 blocks.

    In each channel, with c0 the target's and c1 the reconstruction's coefficients of block k (the
    half spectrum, 8 x 5 bins, each a mean of pixel times wave), eps = 1e-10:
      a = |c + eps + i eps|,  t = exp(t_tilde)
      tL = t ((a0_DC,k + eps) / (mean a0_DC + eps))^alpha            luminance masking
      s = smax(tL, (a0 + eps)^w tL^(1-w)),  w = sigmoid(w_tilde)     contrast masking
      D = (sum_kij (|a0 - a1| / s + eps)^beta + eps)^(1/beta)
      P = sum_kij exp(w_phase) arccos((1 - 1e-7) cos(phi0 - phi1))   phase
    where smax(p, q) weights p and q with their softmax, phi is the angle of c + eps and P leaves
    out the four real bins. An image's energy is D + P in the channels Y, Cb and Cr, weighted by a
    softmax; for one channel that channel's D + P. No density; not symmetric, the target masks.

    Its floor is above 0: identical images cost about 0.15 at 3x64x64 untuned, since arccos stops
    short of 1. The derivative of a phase is 1 / amplitude, so that nearly flat reconstructions
    have gradients that are finite but large; the paper's authors found training stable, others
    did not.

    `tuned`: the parameters that the authors fitted to human judgements, which need their weights;
    their colour version has beta < 1, so it is no norm, and negative alphas. By default what they
    started from: t = 1, alpha = 0.1, w = 0.2, beta = 1, w_phase = -2, channels alike.
    `shift`: in training the grid of blocks starts at one random place per batch, -4 to 3 pixels
    from the corner, the edge repeated; drawn from `generator`. Never under `eval()`.
    `per_image_mean`: the mean luminance is the image's own. The source's is the batch's, which
    makes a value depend on the other images, by about 2e-4.

    Images are in [0, 1], as the authors' documentation says; their code leaves it open whether the
    weights were tuned on [0.5, 1]. Source: Czolbe et al. 2020 and its released code. Raises
    `InvalidOption` unless images have 1 or 3 channels and sides that are multiples of 8,
    `MissingWeights` or `WrongWeights` for `tuned`.
    """

    # On photographs of 32x32x3 a short training spends 30 nats at 0.002 and 12 at 0.0075, untuned;
    # the authors' own weight for tuned colour, 0.25, lies within.
    beta_range = (0.0015, 0.1)
    beta_factors = MappingProxyType(
        {(False, False): 1.0, (True, False): 4.5, (False, True): 6.0, (True, True): 26.0}
    )
    transform = "dft"
    untuned = Initial("fft", bins=5, alpha=0.1, w=0.2, beta=1.0)

    def distances(self, recon: Tensor, target: Tensor) -> Tensor:
        """Return the distance of each image in each of its channels, `(B, C)`."""
        c0, c1 = fourier(target), fourier(recon)
        a0, a1 = (c + complex(EPS, EPS) for c in (c0, c1))
        a0, a1 = a0.abs(), a1.abs()
        s = self.thresholds(a0[..., 0, 0], a0)
        turned = _rounded_angle((c1 + EPS).angle() - (c0 + EPS).angle())
        phase = (turned * self.phase.to(turned.dtype)).sum((2, 3, 4))
        return self.pool((a0 - a1).abs() / s) + phase


class WatsonDCT(BlockMasking):
    """Watson's perceptual distance on the cosine coefficients of 8x8 blocks.

    In each channel, with c0 the target's and c1 the reconstruction's orthonormal DCT-II
    coefficients of block k, eps = 1e-10:
      t = exp(t_tilde)
      tL = t ((c0_DC,k + eps) / (mean c0_DC + eps))^alpha             luminance masking
      s = smax(tL, (|c0| + eps)^w tL^(1-w)),  w = sigmoid(w_tilde)    contrast masking
      D = (sum_kij (|c0 - c1| / s + eps)^beta + eps)^(1/beta)
    where smax(p, q) weights p and q with their softmax. An image's energy is D in the channels Y,
    Cb and Cr, weighted by a softmax; for one channel that channel's D. No density; not symmetric,
    the target masks. Its floor is above 0: identical images cost about 0.03 at 3x64x64 untuned. In
    a block of the target that is exactly black, tL is some 1e-7 of the others' with alpha = 0.649,
    so that any light there outweighs all other errors; the source's, and harsh on images with
    black margins.

    `tuned`: the parameters that the authors fitted to human judgements, which need their weights.
    By default those of Watson's model: its table t, alpha = 0.649, w = 0.7, beta = 4, channels
    alike.
    `shift`: in training the grid of blocks starts at one random place per batch, -4 to 3 pixels
    from the corner, the edge repeated; drawn from `generator`. Never under `eval()`.
    `per_image_mean`: the mean luminance is the image's own. The source's is the batch's, which
    makes a value depend on the other images, by about 2e-4.

    Resolved: the source raises c0_DC to a power, which is not a number where rounding leaves a
    saturated colour's below 0; here it stops at 0. Images are in [0, 1]. Source: Watson 1993 as in
    Czolbe et al. 2020 and its released code. Raises `InvalidOption` unless images have 1 or 3
    channels and sides that are multiples of 8, `MissingWeights` or `WrongWeights` for `tuned`.
    """

    # On photographs of 32x32x3 2,400 steps spend 65 nats at 0.3; below 0.01 the posterior is lost
    # in the noise of a p-norm that its worst block rules.
    beta_range = (0.1, 3.0)
    beta_factors = MappingProxyType(
        {(False, False): 1.0, (True, False): 0.65, (False, True): 10.0, (True, True): 175.0}
    )
    transform = "dct"
    untuned = Initial("dct", bins=8, alpha=0.649, w=0.7, beta=4.0)

    basis: Tensor

    def _keep(self, found: Parameters) -> None:
        super()._keep(found)
        self._buffer("basis", torch.tensor(dct2_matrix()))

    def distances(self, recon: Tensor, target: Tensor) -> Tensor:
        """Return the distance of each image in each of its channels, `(B, C)`."""
        c0, c1 = cosine(target, self.basis), cosine(recon, self.basis)
        s = self.thresholds(c0[..., 0, 0].clamp_min(0), c0.abs())
        return self.pool((c0 - c1).abs() / s)


def _rounded_angle(difference: Tensor) -> Tensor:
    """Return `arccos((1 - MARGIN) cos difference)` without its cancellation near 0 and pi."""
    sine, cosine = difference.sin(), difference.cos()
    opposite = (sine.square() + (2 - MARGIN) * MARGIN * cosine.square()).sqrt()
    return torch.atan2(opposite, (1 - MARGIN) * cosine)
