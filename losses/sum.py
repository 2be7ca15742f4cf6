"""Weighted sums of losses."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, cast

from torch import Tensor, nn

from losses.base import Hook, ReconstructionLoss


class InvalidWeight(ValueError):
    """A term's weight is not a positive finite number."""


class WeightedSum(ReconstructionLoss):
    """`sum_i w_i loss_i`, forwarding every hook of its terms.

    Companions keep their own losses, unweighted, for they have parameters of their own; a decoder
    loss takes the weight of its term. `native_scale` is the terms' common one, else NaN, and
    `density` False. Raises `InvalidWeight` for a weight that is not positive and finite.
    """

    def __init__(self, terms: list[tuple[float, ReconstructionLoss]]) -> None:
        super().__init__()
        if not terms:
            raise InvalidWeight("a sum has no terms; give at least one (weight, loss)")
        self.term_weights = [_checked_weight(weight) for weight, _ in terms]
        self.terms = nn.ModuleList(loss for _, loss in terms)
        companions = [loss.companion for loss in self._losses if loss.companion is not None]
        if companions:
            # Not registered: each is already a submodule of its term.
            object.__setattr__(self, "companion", nn.ModuleList(companions))
        self._merge_attributes()
        self._merge_hooks()

    def _merge_attributes(self) -> None:
        scales = {loss.native_scale for loss in self._losses}
        self.native_scale = scales.pop() if len(scales) == 1 else math.nan
        self.beta_range = (
            sum(weight * loss.beta_range[0] for weight, loss in self._weighted()),
            sum(weight * loss.beta_range[1] for weight, loss in self._weighted()),
        )
        self.stopped_gradient = any(loss.stopped_gradient for loss in self._losses)
        self.starts_at = max(loss.starts_at for loss in self._losses)
        self.requires = tuple(dict.fromkeys(n for loss in self._losses for n in loss.requires))

    def _merge_hooks(self) -> None:
        if any(loss.decoder_loss is not None for loss in self._losses):
            self.decoder_loss = self._sum_decoder_losses
        if any(loss.companion_loss is not None for loss in self._losses):
            self.companion_loss = self._sum_companion_losses

    @property
    def batch_coupled(self) -> bool:  # type: ignore[override]
        """Whether a term couples the images of a batch now; some do in training alone."""
        return any(loss.batch_coupled for loss in self._losses)

    @property
    def _losses(self) -> list[ReconstructionLoss]:
        return [cast(ReconstructionLoss, loss) for loss in self.terms]

    def _weighted(self) -> Iterable[tuple[float, ReconstructionLoss]]:
        return zip(self.term_weights, self._losses, strict=True)

    def forward(
        self, recon: Tensor, target: Tensor, latent: Tensor, *, logits: Tensor | None = None
    ) -> Tensor:
        """Return the energy of each image, `(B,)`."""
        return _total(
            weight * loss(recon, target, latent, logits=logits) for weight, loss in self._weighted()
        )

    def _sum_decoder_losses(
        self, recon: Tensor, target: Tensor, latent: Tensor, generated: Tensor
    ) -> Tensor:
        hooks = ((weight, loss.decoder_loss) for weight, loss in self._weighted())
        return _total(w * hook(recon, target, latent, generated) for w, hook in hooks if hook)

    def _sum_companion_losses(
        self, recon: Tensor, target: Tensor, latent: Tensor, generated: Tensor
    ) -> Tensor:
        hooks: Iterable[Hook | None] = (loss.companion_loss for loss in self._losses)
        return _total(hook(recon, target, latent, generated) for hook in hooks if hook)

    def main_parameters(self) -> Iterable[nn.Parameter]:
        """Return the main parameters of all terms."""
        return [parameter for loss in self._losses for parameter in loss.main_parameters()]

    def main_groups(self) -> list[dict[str, Any]]:
        """Return the terms' groups, each with its own learning rate."""
        return [group for loss in self._losses for group in loss.main_groups()]

    def companion_groups(self) -> list[dict[str, Any]]:
        """Return the terms' companion groups, each with its own learning rate."""
        return [group for loss in self._losses for group in loss.companion_groups()]

    def start_epoch(self, progress: float) -> None:
        """Tell every term the time, in epochs of the full budget."""
        for loss in self._losses:
            loss.start_epoch(progress)

    def snapshot(self, latent: Tensor) -> dict[str, Tensor]:
        """Return what its terms would keep.

        Where several terms have snapshots, each name ends in its term's number, from 1:
        `kernels_1`, `kernels_2`.
        """
        shown = [number for number, loss in enumerate(self._losses) if _shows(loss)]
        return {
            name if len(shown) == 1 else f"{name}_{number + 1}": value
            for number in shown
            for name, value in self._losses[number].snapshot(latent).items()
        }


def _shows(loss: ReconstructionLoss) -> bool:
    # by its class: a term may show nothing in one epoch, and no name may change for that
    return type(loss).snapshot is not ReconstructionLoss.snapshot


def _checked_weight(weight: float) -> float:
    if not (math.isfinite(weight) and weight > 0):
        raise InvalidWeight(f"the weight of a term is {weight}; give a positive finite number")
    return float(weight)


def _total(values: Iterable[Tensor]) -> Tensor:
    """Add values, a scalar counting for every image, without an integer zero to start from."""
    first, *rest = values
    for value in rest:
        first = first + value
    return first
