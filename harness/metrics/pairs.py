"""Two batches of images, one the reconstruction of the other."""

from torch import Tensor


def check_pair(recon: Tensor, target: Tensor) -> None:
    """Raise ValueError unless both have the same shape `(B, C, H, W)`."""
    if recon.ndim != 4 or recon.shape != target.shape:
        raise ValueError(
            f"Reconstructions have shape {tuple(recon.shape)} and targets {tuple(target.shape)}; "
            "pass two batches of the same shape (B, C, H, W)."
        )
