"""`harness check`: the conformance suite on a loss by spec, or on every loss of a file."""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import losses
from harness import components, image_file, plugins, weights
from harness.components import Term
from harness.errors import HarnessError

if TYPE_CHECKING:
    from torch import Tensor

    from losses.conformance import Make, Result

Shape = tuple[int, int, int]
# What a run asks of a plugin before it trains for hours; quick, and on the images of the run.
_BEFORE_A_RUN = ("builds", "shape", "batch", "gradient")


@dataclass(frozen=True)
class Verdict:
    """What the checks of one loss came to."""

    loss: str
    source: str
    image_shape: Shape
    results: "list[Result]"
    next: str  # the command that compares it

    def of(self, kind: str) -> "list[Result]":
        """Return the results of one kind: passed, failed, note or skipped."""
        return [result for result in self.results if result.kind == kind]

    @property
    def conforms(self) -> bool:
        """Whether no check failed."""
        return not self.of("failed")

    def plain(self) -> dict[str, Any]:
        """Return it as plain data, for programs."""
        return {**vars(self), "conforms": self.conforms, "results": [*map(vars, self.results)]}


def check(
    target: str,
    *,
    size: int = 32,
    channels: int = 3,
    latent: int = 16,
    images: Path | None = None,
    files: list[Path] | None = None,
) -> list[Verdict]:
    """Run the suite on a loss by its spec, or on all losses of a Python file.

    Args:
        target: a spec such as `ffl[alpha=0.5]`, or the path of a file.
        size: side of the images.
        channels: of the images.
        latent: latent size.
        images: a .npy file of images `(N, C, H, W)` in [0, 1] to use in place of noise.
        files: plugins to load first.

    Raises:
        HarnessError: an unknown name, a file that cannot be imported or has no loss, a loss that
            refuses these options or images, missing weights, or a file without images in [0, 1].
    """
    if min(size, channels, latent) < 1:
        raise HarnessError(f"size {size}, channels {channels} and latent {latent} must be positive")
    plugins.load_all(files)
    is_file = target.endswith(".py") or Path(target).is_file()
    names = plugins.load(target) if is_file else [target]
    given = None if images is None else image_file.read(images)
    shape = (channels, size, size) if given is None else tuple(given.shape[1:])
    return [_verdict(name, shape, latent, given) for name in names]


def _verdict(text: str, shape: Any, latent: int, images: "Tensor | None") -> Verdict:
    from losses.conformance import ImagesOutOfRange, run

    terms = components.resolve_loss(text)
    spec = components.loss_spec(terms)
    make = factory(terms, shape[0])
    _try_to_build(spec, make, shape, latent)
    try:
        results = run(make, image_shape=shape, latent_size=latent, images=images)
    except ImagesOutOfRange as error:
        raise HarnessError(str(error)) from None
    source = ", ".join(dict.fromkeys(losses.REGISTRY[term.name].source for term in terms))
    return Verdict(spec, source, shape, results, _command(spec, terms))


def factory(terms: tuple[Term, ...], channels: int) -> "Make":
    """Return a function that builds the loss as `losses.conformance` asks for it.

    Raises:
        HarnessError: its pretrained weights are not on this machine.
    """
    if lacking := weights.missing(components.required_weights(terms, channels)):
        raise HarnessError(lacking)
    files = weights.available()

    def make(**given: Any) -> Any:
        from losses.sum import WeightedSum

        built = [
            (term.weight, losses.build(term.name, weights=files, **(term.options | given)))
            for term in terms
        ]
        return built[0][1] if len(built) == 1 and built[0][0] == 1 else WeightedSum(built)

    return make


def _try_to_build(spec: str, make: "Make", shape: Shape, latent: int) -> None:
    """Refuse what the loss itself refuses: options or images that are the user's mistake."""
    try:
        make(image_shape=shape, latent_size=latent, generator=None)
    except ValueError as error:
        from losses.conformance.places import place

        # A refusal has a class or words of its own; a bare ValueError may be a slip of the source.
        where = place(error) if type(error) is ValueError else ""
        raise HarnessError(f"{spec}: {error}{where}") from error
    except Exception:  # the loss's own mistake: a finding of the suite
        return


def check_before_run(terms: tuple[Term, ...], shape: Shape, latent: int) -> None:
    """Refuse losses from outside that would fail or learn nothing in every cell.

    Raises:
        HarnessError: naming the check, what was seen and the fix.
    """
    outside = [term for term in terms if term.plugin is not None]
    if not outside:
        return
    from losses.conformance import CHECKS, run

    checks = [each for each in CHECKS if each.name in _BEFORE_A_RUN]
    for term in outside:
        alone = (term.model_copy(update={"weight": 1.0}),)
        if weights.missing(components.required_weights(alone, shape[0])):
            continue  # its rows will say so
        make = factory(alone, shape[0])
        _try_to_build(term.spec, make, shape, latent)
        for result in run(make, image_shape=shape, latent_size=latent, checks=checks):
            if result.kind == "failed":
                raise HarnessError(
                    f"the loss {term.spec} fails its check {result.name!r}: {result.message}; "
                    f"{result.fix}; see: harness check {_target(term)}"
                )


def _target(term: Term) -> str:
    path = term.plugin.path if term.plugin else None
    return shlex.quote(term.name if path is None else _shown(path))


def _command(spec: str, terms: tuple[Term, ...]) -> str:
    files = [term.plugin.path for term in terms if term.plugin and term.plugin.path]
    flags = [part for path in dict.fromkeys(files) for part in ("--plugin", _shown(path))]
    rival = "l1" if spec == "l2" else "l2"
    words = ["harness", "run", *flags, "--dataset", "photos", "--loss", rival, "--loss", spec]
    return shlex.join(words)


def _shown(path: str) -> str:
    """Return the path as one would type it here."""
    here = Path.cwd()
    found = Path(path)
    return str(found.relative_to(here) if found.is_relative_to(here) else found)
