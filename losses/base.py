"""The contract between a reconstruction loss and whoever trains with it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, TypedDict

import torch
from torch import Generator, Tensor, nn
from torch.amp import is_autocast_available

from losses.options import InvalidOption

# Images of 3x32x32, for which `beta_range` is stated.
REFERENCE_VALUES = 3 * 32 * 32

Hook = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
"""`(recon, target, latent, generated) -> loss`, images in [0, 1], latent `(B, Z)`.

Whoever trains calls it outside autocast, with tensors of at least float32.
"""


class MissingWeights(ValueError):
    """A loss needs pretrained weights that were not handed in."""


class MissingContext(ValueError):
    """A loss needs the image shape or the latent size, and it was not given."""


class Context(TypedDict, total=False):
    """What every loss is built with; subclasses pass it on as `**context`."""

    image_shape: tuple[int, int, int] | None
    latent_size: int | None
    generator: Generator | None
    weights: Mapping[str, Path] | None


class ReconstructionLoss(nn.Module):
    """Score reconstructions, one energy per image.

    **To write a loss**, subclass this, take your options as keyword-only arguments with defaults,
    pass `**context: Unpack[Context]` to `super().__init__`, and define `forward`:

    `forward(recon, target, latent, *, logits=None) -> (B,)` takes images `(B, C, H, W)` in [0, 1]
    and the latent sample `(B, Z)`, float32 or float64 and outside autocast; `logits` are the
    decoder's outputs before its sigmoid. It returns `native_scale` times the value its source
    defines, one per image, so that every loss is a sum over C, H, W and beta means the same for
    all. Averaging over the batch and adding beta times the KL divergence are the trainer's part.

    All parameters exist after construction. Randomness comes only from `self.generator` and is
    off under `eval()`; whoever made the generator saves its state.

    Class attributes, set on the instance where options decide them:
      beta_range: the weights of the KL divergence worth trying for images of 3x32x32, both ends
        useful; on the instance it is scaled with C*H*W, as the energies are.
      density: whether the energy is a negative log-likelihood in nats, constants included.
      batch_coupled: whether an image's energy depends on the rest of its batch.
      stopped_gradient: whether its source holds a factor of the value constant for the gradient,
        which is then not the derivative of the value, on purpose.
      requires: names of the pretrained weights it needs whatever its options are; override
        `required` where options or channels decide. `self.weights_file(name)` gives the path.
      native_scale: C*H*W where the source takes a mean over pixels, 1 where it sums.
      starts_at: epoch of the full budget at which its last scheduled term starts.
      main_lr, companion_lr: learning rates of `main_parameters()` and of `companion`.

    Optional hooks, None unless a subclass defines them as methods:
      companion: set `self.companion = module` after `super().__init__` for a network with an
        optimiser of its own; it is frozen during the main step, but gradients may flow through.
      companion_loss(recon, target, latent, generated) -> scalar: what the companion minimises,
        on detached inputs, after the main step of each iteration; `generated` is None unless a
        `decoder_loss` is there.
      decoder_loss(recon, target, latent, generated) -> (B,) or scalar: added to the main
        objective on `recon = decode(latent.detach())` and `generated = decode(prior noise)`, so
        it cannot reach the encoder.
      snapshot(latent) -> {name: (B, ...)}: what a report may want to see over the epochs for the
        same few images, such as the kernels of `blur`; it changes nothing and draws nothing.
    """

    beta_range: tuple[float, float] = (0.01, 100.0)
    density: bool = False
    batch_coupled: bool = False
    stopped_gradient: bool = False
    requires: tuple[str, ...] = ()
    native_scale: float = 1.0
    starts_at: float = 0.0
    main_lr: float = 1e-3
    companion_lr: float = 1e-4
    decoder_loss: Hook | None = None
    companion_loss: Hook | None = None
    # Set in __init__, not here: a class attribute would hide the registered submodule.
    companion: nn.Module | None

    def __init__(
        self,
        *,
        image_shape: tuple[int, int, int] | None = None,
        latent_size: int | None = None,
        generator: Generator | None = None,
        weights: Mapping[str, Path] | None = None,
    ) -> None:
        super().__init__()
        self.image_shape = None if image_shape is None else _checked_shape(image_shape)
        if self.image_shape is not None:
            # The variance that a latent unit explains, and with it the weight at which coding it
            # pays, grows with the number of values that it is summed over (Lucas et al. 2019).
            scale = math.prod(self.image_shape) / REFERENCE_VALUES
            self.beta_range = (scale * self.beta_range[0], scale * self.beta_range[1])
        self.latent_size = latent_size
        self.generator = generator
        self.weights = dict(weights or {})
        self.companion = None
        self._check_weights(self.requires)

    @classmethod
    def required(cls, channels: int | None, **options: Any) -> tuple[str, ...]:
        """Return the names of the pretrained weights needed with these options and channels."""
        return cls.requires

    def weights_file(self, name: str) -> Path:
        """Return the file of the named weights, or raise `MissingWeights` if none was given."""
        self._check_weights((name,))
        return self.weights[name]

    def _check_weights(self, names: tuple[str, ...]) -> None:
        missing = [name for name in names if name not in self.weights]
        if missing:
            raise MissingWeights(
                f"{type(self).__name__} needs the pretrained weights {', '.join(missing)}; "
                f"pass weights={{{missing[0]!r}: path}} to losses.build"
            )

    def needed_image_shape(self) -> tuple[int, int, int]:
        """Return `(C, H, W)`, or raise `MissingContext` when the loss was built without it."""
        if self.image_shape is None:
            raise MissingContext(
                f"{type(self).__name__} needs image_shape=(C, H, W); pass it to losses.build"
            )
        return self.image_shape

    def check_shape(self, images: Tensor) -> None:
        """Raise `InvalidOption` for images of another shape than the loss was built for."""
        if images.shape[1:] != self.image_shape:
            raise InvalidOption(
                f"{type(self).__name__} was built for images {self.image_shape} but got "
                f"{tuple(images.shape[1:])}; build it with their image_shape"
            )

    def needed_latent_size(self) -> int:
        """Return the latent size, or raise `MissingContext` when the loss was built without it."""
        if self.latent_size is None:
            raise MissingContext(
                f"{type(self).__name__} needs latent_size; pass it to losses.build"
            )
        return self.latent_size

    def main_parameters(self) -> Iterable[nn.Parameter]:
        """Return the parameters that join the main optimiser at `main_lr`."""
        return ()

    def start_epoch(self, progress: float) -> None:
        """Learn the time, `progress` in epochs of the full budget; schedules override this."""

    def snapshot(self, latent: Tensor) -> dict[str, Tensor]:
        """Return tensors `(B, ...)` to keep over the epochs, of images with this latent mean."""
        return {}

    def main_groups(self) -> list[dict[str, Any]]:
        """Return optimiser groups for the main optimiser, none without main parameters."""
        parameters = list(self.main_parameters())
        return [{"params": parameters, "lr": self.main_lr}] if parameters else []

    def companion_groups(self) -> list[dict[str, Any]]:
        """Return optimiser groups for the companion's optimiser, none without a companion."""
        if self.companion is None:
            return []
        return [{"params": list(self.companion.parameters()), "lr": self.companion_lr}]

    def __call__(self, recon: Tensor, target: Tensor, latent: Tensor, **rest: Any) -> Tensor:
        """Return `forward` in at least float32 whatever autocast is on around it.

        Fourier transforms have no half precision worth the name, and differences of nearly equal
        images lose all their digits in it.
        """
        full = [_full(tensor) for tensor in (recon, target, latent)]
        rest = {name: _full(tensor) for name, tensor in rest.items()}
        with _full_precision(recon.device.type):
            energy: Tensor = super().__call__(*full, **rest)
        return energy

    def forward(
        self, recon: Tensor, target: Tensor, latent: Tensor, *, logits: Tensor | None = None
    ) -> Tensor:
        """Return the energy of each image, `(B,)`."""
        raise NotImplementedError(f"{type(self).__name__} does not define forward")


def _full(tensor: Tensor | None) -> Tensor | None:
    half = tensor is not None and tensor.dtype in (torch.float16, torch.bfloat16)
    return tensor.float() if half and tensor is not None else tensor


@contextmanager
def _full_precision(kind: str) -> Iterator[None]:
    off = torch.autocast(kind, enabled=False) if is_autocast_available(kind) else nullcontext()
    with off, full_products():
        yield


@contextmanager
def full_products() -> Iterator[None]:
    """Compute without TF32 in matrix products: it would take SSIM's variances for noise."""
    products = torch.get_float32_matmul_precision()
    if products != "highest":
        torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        if products != "highest":
            torch.set_float32_matmul_precision(products)


def _checked_shape(image_shape: tuple[int, int, int]) -> tuple[int, int, int]:
    if len(image_shape) != 3 or any(side < 1 for side in image_shape):
        raise InvalidOption(f"image_shape is {image_shape!r}; give three positive sizes (C, H, W)")
    channels, height, width = image_shape
    return channels, height, width
