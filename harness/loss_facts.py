"""What is true of a loss with its default options: its units, its range of β, what it learns."""

import inspect
from typing import Any

import losses
from harness import seeds

# The images for which losses state the range of β that is worth trying.
SHAPE, LATENT = (3, 32, 32), 64


def facts(name: str) -> dict[str, str]:
    """Return what decides how the loss's numbers are read, by its printed name."""
    cls, made = losses.find(name), built(name)
    known = cls if made is None else made
    low, high = known.beta_range
    found = {
        "density": "yes: in nats, constants included" if known.density else "no",
        "couples the images of a batch": "yes" if known.batch_coupled else "no",
        "native scale": "C·H·W: its source takes a mean" if _takes_mean(cls, made) else
        "1: its source sums",
        "β tried": f"{low:g} to {high:g} for 3×32×32, in proportion to C·H·W",
        "learns": _learns(made),
    }  # fmt: skip
    return {key: value for key, value in found.items() if value}


def built(name: str) -> Any | None:
    """Return the loss with its default options, or None where it cannot be built.

    It needs pretrained weights, or it is somebody's own and broken: `harness check` tells why.
    """
    generator = seeds.generator("documentation")
    try:
        return losses.build(name, image_shape=SHAPE, latent_size=LATENT, generator=generator)
    except (ValueError, TypeError):
        return None


def _takes_mean(cls: Any, built: Any | None) -> bool:
    """Tell whether the source's value is multiplied by C·H·W; without weights, from the source."""
    if built is not None:
        return bool(built.native_scale != 1)
    own = (base for base in cls.__mro__ if base.__module__ == cls.__module__)
    return any("self.native_scale =" in inspect.getsource(base) for base in own)


def _learns(built: Any | None) -> str:
    """Return what of the loss is trained along with the model."""
    if built is None:
        return ""
    own = sum(each.numel() for each in built.main_parameters())
    beside = 0 if built.companion is None else sum(p.numel() for p in built.companion.parameters())
    parts = [f"{_parameters(own)} of its own in the main optimiser"] if own else []
    parts += [f"a companion network of {_parameters(beside)}"] if beside else []
    return f"{' and '.join(parts)}, at 3×32×32 and latent size {LATENT}" if parts else ""


def _parameters(count: int) -> str:
    return f"{count:,} parameter{'' if count == 1 else 's'}"
