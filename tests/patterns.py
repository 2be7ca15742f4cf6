"""The deterministic pattern P(N, C, H, W) of the golden tests."""

import numpy as np
import torch
from torch import Tensor


def pattern(n: int, c: int, h: int, w: int) -> tuple[Tensor, Tensor]:
    """Return target x and reconstruction y, `(n, c, h, w)` float32 in [0, 1].

    `x = 0.5 + 0.5 sin(0.1 k)`, `y = clip(0.9 x + 0.05 + 0.05 cos(0.07 k), 0, 1)` for the
    row-major index k, in float64 before the cast.
    """
    k = np.arange(n * c * h * w, dtype=np.float64)
    x = 0.5 + 0.5 * np.sin(0.1 * k)
    y = np.clip(0.9 * x + 0.05 + 0.05 * np.cos(0.07 * k), 0, 1)
    target, recon = (torch.from_numpy(v.reshape(n, c, h, w)).float() for v in (x, y))
    return target, recon
