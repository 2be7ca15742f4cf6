"""How every cell of a grid is tuned, trained and evaluated."""

import math
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from harness.metrics import METRICS, PREFIX, space_of

# Strict: `true` is no number, and 10.0 epochs would be another identity than 10.
Whole = Annotated[int, Field(ge=1, strict=True)]
Several = Annotated[int, Field(ge=2, strict=True)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False, strict=True)]

# How many models a cell has, of any one of which they decide no number.
COUNTS = {"seeds", "curve_points"}


class Protocol(BaseModel):
    """The protocol of a cell; all but `seeds` and `curve_points` is part of its identity."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    epochs: Whole = 20  # full budget of a final model
    tuning_epochs: Whole | None = None  # of a tuning trial; half the full budget
    batch: Several = 64  # batch normalisation needs two images
    lr: Positive = 1e-3
    optimizer: str = "adam"  # adam | adamw | rmsprop | sgd, with options: adam[beta1=0.5]
    schedule: str = "constant"  # constant | step[every=20] | triangular | cosine-tail
    latent: Whole = 64
    trials: Whole = 8  # values of beta tried per cell
    seeds: Whole = 3  # final models per cell
    curve_points: Several | None = None  # full-budget models at βs over the whole range
    features: Literal["random", "squeezenet", "squeezenet-caffe", "inception"] = "random"
    objective: str | None = None  # a metric column; the generations' Fréchet distance
    direction: Literal["minimize", "maximize"] | None = None  # the metric's own
    beta: Positive | None = None  # fixed: no tuning
    beta_range: tuple[Positive, Positive] | None = None  # the loss's own
    select_on: Literal["validation", "test"] = "validation"
    limit: Whole | None = None  # first n images of each split
    generated: Whole | None = None  # samples to score; as many as the split has images
    evaluate_at: Literal["mean", "sample"] = "mean"  # of the posterior
    precision: Literal["float32", "tf32", "bfloat16"] = "float32"
    sampler: Literal["tpe", "random"] = "tpe"  # after the log-spaced first half
    pruner: Literal["none", "median"] = "none"

    @model_validator(mode="before")
    @classmethod
    def _fill_defaults(cls, given: Any) -> Any:
        """Resolve defaults that depend on other keys, so that they count in the identity."""
        if not isinstance(given, dict):
            return given
        given = dict(given)
        epochs = given.get("epochs", cls.model_fields["epochs"].default)
        if given.get("tuning_epochs") is None and isinstance(epochs, int):
            given["tuning_epochs"] = max(1, epochs // 2)
        if given.get("objective") is None:
            features = str(given.get("features", "random"))
            given["objective"] = f"{PREFIX.get(features, 'frd')}_gen"
        if given.get("direction") is None and str(given["objective"]) in METRICS:
            direction = METRICS[str(given["objective"])].direction
            given["direction"] = "maximize" if direction == "maximize" else "minimize"
        return given

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.beta_range and self.beta_range[0] >= self.beta_range[1]:
            low, high = self.beta_range
            raise ValueError(
                f"beta_range = [{low:g}, {high:g}] is not rising: write [smallest, largest]"
            )
        if self.tuning_epochs and self.tuning_epochs > self.epochs:
            raise ValueError(
                f"tuning_epochs = {self.tuning_epochs} is more than epochs = {self.epochs}: "
                "a trial is at most as long as the final"
            )
        self._check_objective()
        return self

    def _check_objective(self) -> None:
        if self.objective not in METRICS:
            raise ValueError(
                f"unknown objective {self.objective!r}; metrics: {', '.join(sorted(METRICS))}"
            )
        if METRICS[self.objective].final:
            raise ValueError(
                f"objective {self.objective!r} is measured on final models only: choose a metric "
                "of every trial such as 'frd_gen' (harness list metrics)"
            )
        space = space_of(self.objective)
        if space not in (None, self.features):
            raise ValueError(
                f"objective {self.objective!r} needs features = {space!r}, "
                f"but features = {self.features!r}"
            )

    def identity(self) -> dict[str, Any]:
        """Return the keys that decide the numbers of trials and final models.

        The numbers of seeds and of the curve's points do not, nor does the tuning of a fixed β.
        """
        tuning = {"tuning_epochs", "trials", "beta_range", "sampler", "pruner", "select_on"}
        return self.model_dump(mode="json", exclude=COUNTS | (set() if self.tuned else tuning))

    @property
    def first_trials(self) -> int:
        """Number of log-spaced trials: half of them, at least three."""
        return min(self.trials, max(3, math.ceil(self.trials / 2)))

    @property
    def tuned(self) -> bool:
        """Whether β is tuned; otherwise it is fixed."""
        return self.beta is None

    @property
    def trial_epochs(self) -> int:
        """Epochs of one tuning trial."""
        return self.tuning_epochs or self.epochs
