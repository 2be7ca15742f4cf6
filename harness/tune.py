"""One sequential Optuna study per cell: β -> the grid's objective on the selection split."""

import contextlib
import logging
import math
import uuid
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.samplers import BaseSampler, PartialFixedSampler, RandomSampler, TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, Trial, TrialState

from harness.protocol import Protocol
from harness.seeds import derive

log = logging.getLogger(__name__)

# A best β within this share of the log range from a bound is flagged.
EDGE = 0.05


@dataclass(frozen=True)
class Outcome:
    """What a trial came to: a stored row's status and objective."""

    status: str
    value: float | None


# Runs trial (number, β); the third argument reports an intermediate value and answers "prune?".
Attempt = Callable[[int, float, Callable[[float, int], bool]], Outcome]


class Study:
    """The β search of one cell, kept in a journal file so that it goes on where it stopped.

    The sampler of trial k is seeded by (cell, k) alone, so an interrupted study continues the very
    sequence it would have had. A trial that a kill left running runs again under its number with
    its β.
    """

    def __init__(
        self,
        cell: str,
        protocol: Protocol,
        beta_range: tuple[float, float],
        journal: Path,
        state: str = "",
    ) -> None:
        self.cell, self.protocol, self.beta_range = cell, protocol, beta_range
        journal.parent.mkdir(parents=True, exist_ok=True)
        _mend(journal)
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.study = self._open(journal)
        if self.study.user_attrs.get("state", state) != state:
            log.info("the source or the data changed since: the study begins again")
            journal.replace(journal.with_suffix(f".{uuid.uuid4().hex[:8]}.old"))
            self.study = self._open(journal)
        self.study.set_user_attr("state", state)

    def _open(self, journal: Path) -> optuna.Study:
        return optuna.create_study(
            study_name=self.cell,
            storage=JournalStorage(JournalFileBackend(str(journal))),
            direction=self.protocol.direction,
            pruner=_pruner(self.protocol),
            load_if_exists=True,
        )

    def run(self, attempt: Attempt) -> None:
        """Run the trials that are missing, in order.

        `attempt` is also asked for those that the journal calls finished, with their own β and
        pruning: it has their results stored, or a row was lost and it makes them again.
        """
        for number in range(self.protocol.trials):
            trial = self._trial(number)
            if isinstance(trial, FrozenTrial):
                attempt(number, trial.params["beta"], _repeat(trial))
                continue
            beta = trial.suggest_float("beta", *self.beta_range, log=True)
            outcome = attempt(number, beta, lambda value, step, t=trial: _report(t, value, step))  # type: ignore[misc]
            self._tell(number, outcome)

    def _trial(self, number: int) -> Trial | FrozenTrial:
        """Return the trial to run under this number, frozen when it is finished."""
        self.study.sampler = self._sampler(number)
        known = self.study.get_trials(deepcopy=False)
        if number == len(known):
            return self.study.ask()
        if known[number].state.is_finished():
            return known[number]
        log.info("trial %d was left running: it runs again", number)
        return Trial(self.study, known[number]._trial_id)

    def _tell(self, number: int, outcome: Outcome) -> None:
        states = {"ok": TrialState.COMPLETE, "pruned": TrialState.PRUNED}
        state = states.get(outcome.status, TrialState.FAIL)
        value = outcome.value if state is TrialState.COMPLETE else None
        # A process whose parent was killed may finish this very trial before it ends.
        self.study.tell(number, value, state=state, skip_if_finished=True)

    def _sampler(self, number: int) -> BaseSampler:
        protocol, seed = self.protocol, derive("sampler", self.cell, number) % 2**32
        if number < protocol.first_trials:
            beta = log_spaced(self.beta_range, protocol.first_trials)[number]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                return PartialFixedSampler({"beta": beta}, RandomSampler(seed=seed))
        if protocol.sampler == "random":
            return RandomSampler(seed=seed)
        return TPESampler(seed=seed, n_startup_trials=min(3, protocol.first_trials))


def log_spaced(bounds: tuple[float, float], count: int) -> list[float]:
    """Return `count` values from the lower to the upper bound, both included, log-spaced."""
    low, high = bounds
    if count == 1:
        return [math.sqrt(low * high)]
    ratio = math.log(high / low) / (count - 1)
    return [low, *(low * math.exp(ratio * k) for k in range(1, count - 1)), high]


def edge_flag(beta: float, bounds: tuple[float, float]) -> str | None:
    """Return "low" or "high" when β lies within 5 % of the log range from a bound, else None."""
    position = math.log(beta / bounds[0]) / math.log(bounds[1] / bounds[0])
    if position < EDGE:
        return "low"
    return "high" if position > 1 - EDGE else None


def best(trials: list[dict[str, Any]], direction: str) -> dict[str, Any] | None:
    """Return the trial with the best `value` among those with one, the earliest of equals."""
    scored = [t for t in trials if t["value"] is not None and math.isfinite(t["value"])]
    sign = 1 if direction == "minimize" else -1
    return min(scored, key=lambda t: (sign * t["value"], t["number"]), default=None)


def _report(trial: Trial, value: float, step: int) -> bool:
    trial.report(value, step)
    return trial.should_prune()


def _repeat(trial: FrozenTrial) -> Callable[[float, int], bool]:
    """Answer "prune?" as it was answered when the trial ran."""
    pruned = trial.state is TrialState.PRUNED
    return lambda value, step: pruned and step == trial.last_step


def _pruner(protocol: Protocol) -> optuna.pruners.BasePruner:
    if protocol.pruner == "median":
        return optuna.pruners.MedianPruner(n_startup_trials=protocol.first_trials)
    return optuna.pruners.NopPruner()


def _mend(journal: Path) -> None:
    """Undo what a kill in the middle of a write leaves behind: half a line, a lock."""
    Path(f"{journal}.lock").unlink(missing_ok=True)
    with contextlib.suppress(FileNotFoundError):
        content = journal.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if whole != content:
            journal.write_bytes(whole)
