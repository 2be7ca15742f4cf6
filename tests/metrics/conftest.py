"""The deterministic pattern of the golden values, and crops of a photograph."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import skimage
import torch
from PIL import Image
from torch import Tensor

Pattern = Callable[..., tuple[Tensor, Tensor]]


@pytest.fixture
def pattern() -> Pattern:
    """Return `pattern(n, c, h, w) -> (target, recon)`, sines counted over the flattened batch."""

    def make(n: int, c: int, h: int, w: int) -> tuple[Tensor, Tensor]:
        k = torch.arange(n * c * h * w, dtype=torch.float64).reshape(n, c, h, w)
        target = 0.5 + 0.5 * torch.sin(0.1 * k)
        recon = (0.9 * target + 0.05 + 0.05 * torch.cos(0.07 * k)).clamp(0, 1)
        return target.float(), recon.float()

    return make


@pytest.fixture(scope="session")
def crops() -> Tensor:
    """Return 256 crops of 32x32 from the astronaut, float32 in [0, 1]."""
    path = Path(skimage.__file__).parent / "data" / "astronaut.png"
    photograph = np.asarray(Image.open(path).convert("RGB"), dtype=np.float32) / 255
    rows = photograph.reshape(16, 32, 16, 32, 3).transpose(0, 2, 4, 1, 3)
    return torch.from_numpy(np.ascontiguousarray(rows.reshape(256, 3, 32, 32)))
