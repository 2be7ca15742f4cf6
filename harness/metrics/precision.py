"""Double precision wherever sums are long, and full precision in convolutions."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


def float64(values: Tensor) -> Tensor:
    """Return `values` in float64, on the same device unless that has none (Apple's MPS)."""
    return (values.cpu() if values.device.type == "mps" else values).double()


@contextmanager
def full_convolutions() -> Iterator[None]:
    """Compute convolutions without TF32, whatever precision the model around them has.

    Features are then the same whether a cell trains in float32 or not.
    """
    cudnn = torch.backends.cudnn
    before = cudnn.allow_tf32
    cudnn.allow_tf32 = False
    try:
        yield
    finally:
        cudnn.allow_tf32 = before
