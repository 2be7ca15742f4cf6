"""Losses built before a run to see that they can be: each once, however many cells have it."""

import json
from dataclasses import dataclass, field

from harness import checking, components, weights
from harness.components import Term

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Built:
    """What a plan must know of a loss on images of one shape."""

    beta_range: tuple[float, float] | None  # None: weights are missing
    starts_at: float = 0.0
    missing: str | None = None  # which weights, and how to get them


@dataclass
class Losses:
    """Builds losses and remembers what they said, not the losses: some are hundreds of MiB."""

    _known: dict[str, Built] = field(default_factory=dict)

    def built(self, terms: tuple[Term, ...], shape: Shape, latent: int) -> Built:
        """Return what the loss says, which is built where it was not for these images before.

        Raises:
            HarnessError: it refuses its options or such images, or a plugin fails its checks.
        """
        key = json.dumps([[term.record() for term in terms], shape, latent])
        if key not in self._known:
            checking.check_before_run(terms, shape, latent)
            self._known[key] = _build(terms, shape, latent)
        return self._known[key]


def _build(terms: tuple[Term, ...], shape: Shape, latent: int) -> Built:
    from losses.base import MissingWeights  # torch

    try:
        loss = components.build_loss(terms, shape, latent, weights=weights.available())
    except MissingWeights as error:
        needed = components.required_weights(terms, shape[0])
        return Built(None, missing=weights.missing(needed) or str(error))
    low, high = loss.beta_range
    return Built((float(low), float(high)), float(loss.starts_at))
