"""The energies: shape, dtype, range of images, batches, order."""

from __future__ import annotations

import torch
from torch import Tensor

from losses.conformance.subject import Batch, Failure, Note, Outcome, Subject

WEIGHTS = (0.0, 0.05, 0.2, 0.5, 1.0)


def shape(subject: Subject) -> Outcome:
    """It returns one energy per image, `(B,)`, for any B: the trainer averages over the batch."""
    for count in (1, 3):
        energy = subject.loss()(*subject.batch(count))
        if not isinstance(energy, Tensor) or energy.shape != (count,):
            seen = tuple(energy.shape) if isinstance(energy, Tensor) else type(energy).__name__
            return Failure(
                f"a batch of {count} gave {seen}, not ({count},)",
                "sum over channels and pixels alone: .flatten(1).sum(1)",
            )
    return None


def dtype(subject: Subject) -> Outcome:
    """It keeps float32 and float64: evaluation and tests of gradients need all digits."""
    for kind in (torch.float32, torch.float64):
        found = subject.loss()(*subject.batch(dtype=kind)).dtype
        if found != kind:
            return Failure(
                f"{_word(kind)} images gave {_word(found)} energies",
                "make constants with recon.new_tensor(…) or move them with .to(recon)",
            )
    return None


def _word(kind: torch.dtype) -> str:
    return str(kind).removeprefix("torch.")


@torch.no_grad()
def logits(subject: Subject) -> Outcome:
    """It takes `logits`, the decoder's outputs before the sigmoid, and means the same by them.

    The harness always hands them in; a loss may use them for precision or leave them alone.
    """
    recon, target, latent = subject.batch(weight=0.9)
    recon = 0.02 + 0.96 * recon
    loss = subject.loss().eval()
    with_them = loss(recon, target, latent, logits=recon.logit())
    if not torch.allclose(with_them, loss(recon, target, latent), rtol=1e-3, atol=1e-4):
        return Failure(
            "the energy with logits is another than with recon = sigmoid(logits) alone",
            "compute the same value from both",
        )
    return None


def inputs(subject: Subject) -> Outcome:
    """It leaves its arguments as they are: the trainer uses them again."""
    batch = subject.batch()
    kept = [value.clone() for value in batch]
    subject.loss()(*batch)
    for name, value, before in zip(Batch._fields, batch, kept, strict=True):
        if not torch.equal(value, before):
            return Failure(f"it changes {name} in place", "work on a copy: no sub_(), no x[…] = …")
    return None


def finite(subject: Subject) -> Outcome:
    """Energy and gradient are finite on flat, identical, black, white and extreme images.

    Decoders give such images in the first steps and at saturated pixels; one NaN ends a training.
    """
    pictures = _pictures(subject)
    pairs = [(a, b) for a in pictures for b in pictures]
    recon = torch.stack([pictures[a] for a, _ in pairs])
    target = torch.stack([pictures[b] for _, b in pairs])
    latent = subject.batch(len(pairs)).latent
    every = Batch(recon, target, latent)
    alone = [every.rows([index]) for index, (a, b) in enumerate(pairs) if a == b]
    for names, batch in [(pairs, every), *(([("an image", "itself")], each) for each in alone)]:
        if bad := _not_finite(subject, names, batch):
            return bad
    return None


def _pictures(subject: Subject) -> dict[str, Tensor]:
    noise = subject.batch(1, seed=5).target[0]
    ones = torch.ones(subject.image_shape)
    rows, columns = (torch.arange(side) for side in subject.image_shape[1:])
    checks = ((rows[:, None] + columns) % 2).float().expand(subject.image_shape)
    return {
        "black": 0 * ones,
        "white": ones,
        "grey": ones / 2,
        "a checkerboard": checks,
        "noise": noise,
        "extreme noise": noise.round(),
        "almost grey": ones / 2 + 1e-6 * noise,
    }


def _not_finite(subject: Subject, names: list[tuple[str, str]], batch: Batch) -> Outcome:
    loss, asked = subject.loss(), batch.asking()
    energy = loss(*asked)
    at = (~energy.isfinite()).nonzero()
    if len(at):
        a, b = names[int(at[0])]
        return Failure(
            f"the energy of {a} against {b} is {energy.detach()[at[0]].item():g}",
            "keep logarithms, roots and divisions away from 0: add a small constant inside",
        )
    energy.sum().backward()
    slope = torch.zeros(1, 1) if asked.recon.grad is None else asked.recon.grad
    at = (~slope.isfinite()).flatten(1).any(1).nonzero()
    if len(at):
        a, b = names[int(at[0])]
        return Failure(
            f"the energy of {a} against {b} is finite but its gradient is not",
            "sqrt, norm and pow have no slope at 0: add a small constant inside, or clamp first",
        )
    return None


@torch.no_grad()
def batch(subject: Subject) -> Outcome:
    """An image's energy does not depend on its batch mates, unless `batch_coupled` says so.

    A coupled value changes with the batch size, and its tables carry a mark. Where it is declared,
    the order of the images must still not matter.
    """
    depends = _depends_on_mates(subject)
    if not subject.loss().batch_coupled:
        if not depends:
            return None
        return Failure(
            "the energy of an image changes with the other images of its batch",
            "reduce over dimensions 1, 2, 3 alone, or declare batch_coupled = True",
        )
    order, together = [2, 0, 1], subject.batch()
    joint = subject.loss().eval()(*together)
    if not _close(subject.loss().eval()(*together.rows(order)), joint[order]):
        return Failure("the order of the images changes their energies", "treat all images alike")
    return None if depends else Note("it declares batch_coupled, but no coupling was seen")


def _depends_on_mates(subject: Subject) -> bool:
    together, others = subject.batch(), subject.batch(seed=8, weight=0.3).darker()
    mixed = Batch(*(torch.cat([a[:1], b[1:]]) for a, b in zip(together, others, strict=True)))
    for training in (True, False):  # the batch size stays, and with it what is drawn
        first, second = (subject.loss().train(training)(*each)[0] for each in (together, mixed))
        if not _close(first, second):
            return True
    alone = torch.cat([subject.loss().eval()(*together.rows([i])) for i in range(3)])
    return not _close(alone, subject.loss().eval()(*together))


def _close(first: Tensor, second: Tensor) -> bool:
    scale = float(second.abs().max())
    return torch.allclose(first, second, rtol=1e-4, atol=1e-6 * scale)


@torch.no_grad()
def noise(subject: Subject) -> Outcome:
    """More of another image mixed in should cost more (a note: some losses see other things)."""
    loss = subject.loss().eval()
    energies = torch.stack([loss(*subject.batch(weight=weight)) for weight in WEIGHTS]).mean(1)
    if energies.diff().gt(0).all():
        return None
    shown = ", ".join(f"{value:.4g}" for value in energies.tolist())
    return Note(f"the mean energy does not rise with the share of noise {WEIGHTS}: {shown}")


@torch.no_grad()
def identity(subject: Subject) -> Outcome:
    """A perfect reconstruction costs less than an unrelated image: energies are minimised.

    That it costs least of all is worth a note only: a likelihood may have a floor.
    """
    loss = subject.loss().eval()
    perfect, half, unrelated = (loss(*subject.batch(weight=weight)) for weight in (0.0, 0.5, 1.0))
    if (perfect > torch.maximum(half, unrelated)).all():
        return Failure(
            f"a perfect reconstruction costs {float(perfect[0]):.6g}, an unrelated image "
            f"{float(unrelated[0]):.6g}",
            "a similarity or a log-likelihood needs a minus sign",
        )
    if (perfect > half).any():
        return Note("a perfect reconstruction costs more than one with half another image mixed in")
    return None
