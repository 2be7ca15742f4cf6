"""Moves between devices and dtypes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from losses.base import ReconstructionLoss
from losses.conformance.places import place
from losses.conformance.subject import Batch, Failure, Note, Outcome, Skipped, Subject

_ELSEWHERE = ("same device", "expected device", "generator", "to be on device")
_MOVE = (
    "register tensors with self.register_buffer, make others with device=recon.device, and draw on "
    "the CPU: torch.rand(…, generator=self.generator).to(recon)"
)


class _DrawsOnTheCPU(TorchFunctionMode):
    """Refuses what a GPU refuses and the device without data lets pass."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        generator = (kwargs or {}).get("generator")
        if generator is not None and isinstance(found, Tensor) and found.device.type != "cpu":
            raise RuntimeError(f"{func.__name__} draws there with a generator of the CPU")
        return found


def devices(subject: Subject) -> Outcome:
    """It moves whole to another device, here the one without data that every torch has.

    A tensor kept as a plain attribute stays behind on the CPU and ends a run on a GPU.
    """
    loss = subject.loss().to("meta")
    batch = Batch(*(value.to("meta") for value in subject.batch()))
    try:
        with _DrawsOnTheCPU():
            for training in (True, False):
                if loss.train(training)(*batch).shape != (3,):
                    return Failure("another device changes the shape of the result", _MOVE)
    except (RuntimeError, NotImplementedError) as error:
        text, where = " ".join(str(error).split()), place(error)
        if any(sign in text for sign in _ELSEWHERE):
            return Failure(f"moved to another device it fails: {text[:150]}{where}", _MOVE)
        return Note(
            f"each step waits for a value from the device, slow on a GPU: {text[:150]}{where}"
        )
    return None


@torch.no_grad()
def double(subject: Subject) -> Outcome:
    """`loss.double()` takes float64 images and gives the same energies."""
    single = subject.loss().eval()(*subject.batch())
    found = subject.loss().eval().double()(*subject.batch(dtype=torch.float64))
    if found.dtype != torch.float64 or not torch.allclose(found.float(), single, rtol=1e-3):
        return Failure(
            f"in float64 the energy is {float(found[0]):.6g}, in float32 {float(single[0]):.6g}",
            "keep buffers in the dtype of the images: buffer.to(recon.dtype)",
        )
    return None


def gpu(subject: Subject) -> Outcome:
    """On a GPU it gives the energies of the CPU, with a gradient."""
    if not torch.cuda.is_available():
        return Skipped("no CUDA device here")
    expected = subject.loss().eval()(*subject.batch()).detach()
    asked = Batch(*(value.cuda() for value in subject.batch())).asking()
    loss: ReconstructionLoss = subject.loss().cuda()
    loss.train()(*asked).sum().backward()
    # A fresh one: training may have taught it something.
    found = subject.loss().cuda().eval()(*asked).detach().cpu()
    if not torch.allclose(found, expected, rtol=1e-3, atol=1e-5 * float(expected.abs().max())):
        return Failure(
            f"on the GPU the energy is {float(found[0]):.6g}, on the CPU {float(expected[0]):.6g}",
            _MOVE,
        )
    return None
