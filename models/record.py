"""What one pass through a VAE returns."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Record:
    """The tensors of one forward pass, float32 (float64 for a float64 model)."""

    mu: Tensor  # (B, Z) mean of the posterior
    logvar: Tensor  # (B, Z) log-variance of the posterior
    latent: Tensor  # (B, Z) sample of the posterior
    logits: Tensor  # (B, C, H, W) decoder output before the sigmoid
    recon: Tensor  # (B, C, H, W) in [0, 1]
