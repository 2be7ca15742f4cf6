"""Random generators made from named axes; there is no global random state."""

import hashlib
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def derive(*axes: str | int) -> int:
    """Return a 63-bit seed that depends on the axes alone, the same on every machine."""
    text = json.dumps(axes)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(*axes: str | int) -> "torch.Generator":
    """Return a CPU generator seeded from the axes.

    It lives on the CPU whatever the device, so that a run draws the same numbers everywhere.
    """
    import torch

    return torch.Generator().manual_seed(derive(*axes))
