"""Random numbers: where they come from, and that there are none under `eval()`."""

from __future__ import annotations

import random

import numpy as np
import torch

from losses.conformance.subject import Failure, Outcome, Subject


def randomness(subject: Subject) -> Outcome:
    """Its only source of random numbers is `self.generator`; the global ones stay untouched.

    Losses are compared under common random numbers: one that draws from the global generator
    shifts every draw after it, and its runs cannot be repeated.
    """
    before = _global_states()
    loss, asked = subject.loss(), subject.batch().asking()
    if _global_states() != before:
        return Failure(
            "building it draws global random numbers, as nn.Linear and nn.Conv2d do",
            "initialise from the generator: torch.nn.init.normal_(w, generator=self.generator)",
        )
    energy = loss(*asked)
    if energy.requires_grad:
        energy.sum().backward()
    if _global_states() != before:
        return Failure(
            "a forward pass draws global random numbers",
            "draw with generator=self.generator, on the CPU, and move: .to(recon)",
        )
    if not torch.equal(subject.loss()(*subject.batch()), energy.detach()):
        return Failure(
            "two losses with the same generator state give different energies",
            "draw with generator=self.generator alone",
        )
    return None


def _global_states() -> tuple[bytes, str, str]:
    state = torch.get_rng_state().numpy().tobytes()
    return state, repr(random.getstate()), repr(np.random.get_state())


@torch.no_grad()
def evaluation(subject: Subject) -> Outcome:
    """Under `eval()` nothing is drawn or learned: the same images, the same energies."""
    loss = subject.loss().eval()
    generator = loss.generator or torch.Generator()
    kept = generator.get_state()
    first, again = (loss(*subject.batch()) for _ in range(2))
    if not torch.equal(first, again):
        return Failure(
            "the same images give different energies under eval()",
            "draw and update running values only where self.training is True",
        )
    if not torch.equal(kept, generator.get_state()):
        return Failure("it draws under eval()", "draw only where self.training is True")
    return None
