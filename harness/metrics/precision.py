"""Double precision wherever sums are long."""

from torch import Tensor


def float64(values: Tensor) -> Tensor:
    """Return `values` in float64, on the same device unless that has none (Apple's MPS)."""
    return (values.cpu() if values.device.type == "mps" else values).double()
