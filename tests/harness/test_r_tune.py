"""The study of β: its sequence is a function of (cell, trial), whatever interrupts it."""

import itertools
import json
import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
import tiny

import harness.cell
from harness.cell import CellFailed, run_cell
from harness.protocol import Protocol
from harness.store import Store
from harness.tune import Outcome, Study, best, edge_flag, log_spaced

RANGE = (0.01, 10.0)


class Killed(BaseException):
    """Stands for kill -9: nothing catches it."""


def landscape(beta: float) -> float:
    """A smooth objective with its minimum at β = 0.2."""
    return math.log(beta / 0.2) ** 2


def play(
    journal: Path,
    settings: Protocol,
    *,
    rows: dict[int, Outcome] | None = None,
    objective: Callable[[float], float] = landscape,
    before: Callable[[int], None] = lambda number: None,
    after: Callable[[int], None] = lambda number: None,
    cell: str = "cell",
) -> dict[int, float]:
    """Run a study and return β by trial; `before` and `after` may kill it around the row."""
    rows = {} if rows is None else rows
    asked: dict[int, float] = {}

    def attempt(number: int, beta: float, report: Any) -> Outcome:
        asked[number] = beta
        if number not in rows:
            before(number)
            rows[number] = Outcome("ok", objective(beta))
        after(number)
        return rows[number]

    Study(cell, settings, RANGE, journal).run(attempt)
    return asked


def trials_of(journal: Path, name: str = "cell") -> list[optuna.trial.FrozenTrial]:
    """Open the journal as any user of Optuna would."""
    backend = optuna.storages.journal.JournalFileBackend(str(journal))
    storage = optuna.storages.JournalStorage(backend)
    return optuna.load_study(study_name=name, storage=storage).trials


def kill_at(number: int) -> Callable[[int], None]:
    def kill(current: int) -> None:
        if current == number:
            raise Killed

    return kill


@pytest.fixture(scope="module")
def sequence(tmp_path_factory: pytest.TempPathFactory) -> dict[int, float]:
    """β of an uninterrupted study of eight trials."""
    return play(tmp_path_factory.mktemp("study") / "j.log", tiny.protocol(trials=8))


@pytest.mark.parametrize(
    ("trials", "expected"),
    [
        (3, [0.01, 0.31622776, 10.0]),
        (8, [0.01, 0.1, 1.0, 10.0]),
        (5, [0.01, 0.31622776, 10.0]),
        (2, [0.01, 10.0]),
        (1, [0.31622776]),
    ],
)
def test_the_first_half_is_log_spaced_with_both_ends(
    tmp_path: Path, trials: int, expected: list[float]
) -> None:
    """At least three where there are three; the ends are exact."""
    asked = play(tmp_path / "j.log", tiny.protocol(trials=trials))
    assert len(asked) == trials
    found = list(asked.values())[: len(expected)]
    assert found == pytest.approx(expected)
    if trials > 1:
        assert (found[0], found[-1]) == RANGE


def test_the_samplers_half_lies_within_the_range_and_learns(sequence: dict[int, float]) -> None:
    """TPE's trials differ from one another and from the grid; some come near the minimum."""
    later = [sequence[number] for number in range(4, 8)]
    assert all(RANGE[0] <= beta <= RANGE[1] for beta in later)
    assert len({*sequence.values()}) == 8
    assert min(map(landscape, later)) < min(map(landscape, list(sequence.values())[:4]))


def test_the_sequence_depends_on_the_cell_and_the_trial_alone(
    tmp_path: Path, sequence: dict[int, float]
) -> None:
    """Another cell has other random numbers; the same cell has the same, anywhere."""
    settings = tiny.protocol(trials=8)
    assert play(tmp_path / "a.log", settings) == sequence
    other = play(tmp_path / "b.log", settings, cell="other")
    assert list(other.values())[:4] == list(sequence.values())[:4]
    assert list(other.values())[4:] != list(sequence.values())[4:]


def test_the_random_sampler_ignores_the_results(tmp_path: Path) -> None:
    """Its trials are the same whatever the objective, and no two are alike."""
    settings = tiny.protocol(trials=8, sampler="random")
    first = play(tmp_path / "a.log", settings)
    assert len({*first.values()}) == 8
    assert play(tmp_path / "b.log", settings, objective=lambda beta: -landscape(beta)) == first


@pytest.mark.parametrize("number", [0, 2, 3, 5, 7])
@pytest.mark.parametrize("where", ["ask", "suggest", "row", "half a line", "tell"])
def test_a_killed_study_goes_on_with_the_same_sequence(
    tmp_path: Path,
    sequence: dict[int, float],
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    where: str,
) -> None:
    """Killed after ask, after suggest, with the row stored but not told, while writing, after."""
    journal, settings = tmp_path / "j.log", tiny.protocol(trials=8)
    rows: dict[int, Outcome] = {}
    with monkeypatch.context() as patch, pytest.raises(Killed):
        if where == "ask":
            suggest = optuna.trial.Trial.suggest_float

            def suggest_float(self: Any, *given: Any, **rest: Any) -> float:
                kill_at(number)(self.number)
                return suggest(self, *given, **rest)

            patch.setattr(optuna.trial.Trial, "suggest_float", suggest_float)
            play(journal, settings, rows=rows)
        elif where == "suggest":
            play(journal, settings, rows=rows, before=kill_at(number))
        elif where == "tell":
            tell = Study._tell

            def told(self: Study, current: int, outcome: Outcome) -> None:
                tell(self, current, outcome)
                kill_at(number)(current)

            patch.setattr(Study, "_tell", told)
            play(journal, settings, rows=rows)
        else:
            play(journal, settings, rows=rows, after=kill_at(number))
    assert len(rows) == number + (where not in ("ask", "suggest"))
    if where == "half a line":
        with journal.open("ab") as stream:
            stream.write(b'{"op_code": 6, "worker_id": "x", "tri')
    Path(f"{journal}.lock").symlink_to(journal)  # held by the dead process
    play(journal, settings, rows=rows)
    found = trials_of(journal)
    assert {trial.number: trial.params["beta"] for trial in found} == sequence
    assert [trial.state.name for trial in found] == ["COMPLETE"] * 8
    assert [trial.value for trial in found] == [rows[k].value for k in range(8)]
    for line in journal.read_text().splitlines():
        json.loads(line)


def test_the_journal_opens_with_optuna_and_shows_all_trials(
    tmp_path: Path, sequence: dict[int, float]
) -> None:
    """Values, states and direction; a failure to give a value is a FAIL there."""
    outcomes = {2: Outcome("diverged", None), 4: Outcome("pruned", None)}
    rows = {**outcomes}
    play(tmp_path / "j.log", tiny.protocol(trials=6), rows=rows)
    found = trials_of(tmp_path / "j.log")
    states = ["COMPLETE", "COMPLETE", "FAIL", "COMPLETE", "PRUNED", "COMPLETE"]
    assert [trial.state.name for trial in found] == states
    assert [trial.params["beta"] for trial in found[:3]] == [sequence[k] for k in (0,)] + [
        pytest.approx(0.31622776),
        10.0,
    ]
    assert found[3].value == pytest.approx(landscape(found[3].params["beta"]))


def test_a_lost_row_is_made_again_with_its_beta(tmp_path: Path, sequence: dict[int, float]) -> None:
    """The journal calls the trial finished, but its row is gone."""
    journal, settings = tmp_path / "j.log", tiny.protocol(trials=8)
    rows: dict[int, Outcome] = {}
    play(journal, settings, rows=rows)
    whole = dict(rows)
    del rows[1], rows[6]
    assert play(journal, settings, rows=rows) == sequence
    assert rows == whole and len(trials_of(journal)) == 8


def test_a_lost_journal_is_made_again_from_the_rows(
    tmp_path: Path, sequence: dict[int, float]
) -> None:
    """Nothing is trained twice: the rows answer for the trials."""
    settings = tiny.protocol(trials=8)
    rows: dict[int, Outcome] = {}
    play(tmp_path / "a.log", settings, rows=rows)
    again = play(tmp_path / "b.log", settings, rows=rows, before=kill_at(-1))
    assert again == sequence
    assert [t.value for t in trials_of(tmp_path / "b.log")] == [rows[k].value for k in range(8)]


def test_a_trial_that_another_process_finished_meanwhile_is_no_error(
    tmp_path: Path, sequence: dict[int, float]
) -> None:
    """The cell of a killed parent may tell its last result after the next run has begun."""
    journal, settings = tmp_path / "j.log", tiny.protocol(trials=8)

    def tell_too(number: int) -> None:
        if number == 5:
            Study("cell", settings, RANGE, journal)._tell(5, Outcome("ok", landscape(sequence[5])))

    assert play(journal, settings, after=tell_too) == sequence
    assert [trial.state.name for trial in trials_of(journal)] == ["COMPLETE"] * 8


@pytest.mark.parametrize(
    ("beta", "flag"),
    [(0.01, "low"), (0.0141, "low"), (0.0142, None), (1, None), (7.07, None), (7.09, "high")],
)
def test_a_beta_within_five_per_cent_of_a_bound_is_flagged(beta: float, flag: str | None) -> None:
    """The log range has three decades: 0.15 decades from each bound."""
    assert edge_flag(beta, RANGE) == flag
    assert edge_flag(10.0, RANGE) == "high"


def test_best_takes_the_direction_and_the_earliest_of_equals() -> None:
    """Trials without a finite value never win."""
    values = [None, 3.0, 1.0, math.nan, 5.0, 1.0, 5.0, math.inf]
    trials = [{"number": k, "value": value} for k, value in enumerate(values)]
    assert best(trials, "minimize") == {"number": 2, "value": 1.0}
    assert best(trials, "maximize") == {"number": 4, "value": 5.0}
    assert best([{"number": 0, "value": None}], "minimize") is None


def test_log_spacing_is_even_in_the_logarithm() -> None:
    """Each value times the same ratio is the next."""
    values = log_spaced((0.5, 100.0), 5)
    ratios = [b / a for a, b in itertools.pairwise(values)]
    assert ratios == pytest.approx([200**0.25] * 4)


def rows_of(folder: Path) -> Any:
    rows = Store(folder / "tiny").rows()
    return rows.sort_values(["stage", "trial", "seed"], ascending=[False, True, True])


def test_a_maximised_objective_chooses_the_largest(tmp_path: Path) -> None:
    """PSNR is maximised by its own direction; β is that of the trial with the best."""
    cell = tiny.tiny_cell("l2", objective="psnr", epochs=4, tuning_epochs=4)
    assert cell.protocol.direction == "maximize"
    run_cell(tiny.assignment(cell, tmp_path))
    rows = rows_of(tmp_path)
    tuned, final = rows[rows["stage"] == "tune"], rows[rows["stage"] == "final"]
    assert len(tuned["psnr"].unique()) == 3
    winner = tuned.loc[tuned["psnr"].idxmax()]
    assert final["beta"].tolist() == [winner["beta"]]
    expected = {0: "low", 2: "high"}.get(int(winner["trial"]))
    flags = final["beta_flag"].astype(object).where(final["beta_flag"].notna(), None)
    assert flags.tolist() == [expected]
    assert final["split"].tolist() == ["test"] and set(tuned["split"]) == {"validation"}
    names = trials_of(tmp_path / "tiny" / "_journal" / f"{cell.id}.log", cell.id)
    assert [trial.value for trial in names] == tuned["psnr"].tolist()


def test_selection_on_test_is_what_it_says(tmp_path: Path) -> None:
    """The paper-faithful preset: trials are scored on the test split, and the row says so."""
    cell = tiny.tiny_cell("l2", select_on="test", seeds=1)
    run_cell(tiny.assignment(cell, tmp_path))
    assert set(rows_of(tmp_path)["split"]) == {"test"}


def test_a_fixed_beta_skips_tuning(tmp_path: Path) -> None:
    """Only finals, with that β, no flag, and no study."""
    cell = tiny.tiny_cell("l2", beta=0.25, seeds=2)
    run_cell(tiny.assignment(cell, tmp_path))
    rows = rows_of(tmp_path)
    assert rows["stage"].tolist() == ["final"] * 2 and rows["beta"].tolist() == [0.25] * 2
    assert rows["beta_flag"].isna().all()
    assert not list((tmp_path / "tiny" / "_journal").iterdir())


@pytest.mark.slow
def test_the_median_rule_prunes_after_the_first_half_alone(tmp_path: Path) -> None:
    """The same first half, bit by bit; some later trial is stopped early and says so."""
    keys: dict[str, Any] = {"trials": 5, "epochs": 2, "tuning_epochs": 2, "seeds": 1}
    keys |= {"objective": "kl", "direction": "minimize", "sampler": "random"}  # falls with β
    keys |= {"beta_range": (0.01, 100.0)}
    cells = [tiny.tiny_cell("l2", pruner=pruner, **keys) for pruner in ("none", "median")]
    for cell, name in zip(cells, ("none", "median"), strict=True):
        run_cell(tiny.assignment(cell, tmp_path / name))
    free, pruned = rows_of(tmp_path / "none"), rows_of(tmp_path / "median")
    assert set(free["status"]) == {"ok"}
    assert pruned["status"].tolist()[:3] == ["ok"] * 3
    for name in ("beta", "kl", "frd_gen", "epochs"):
        assert free[name].tolist()[:3] == pruned[name].tolist()[:3]
    stopped = pruned[pruned["status"] == "pruned"]
    assert len(stopped) and (stopped["epochs"] < 2).all() and stopped["kl"].isna().all()
    causes = [f"pruned after {epochs:g} of 2 epochs" for epochs in stopped["epochs"]]
    assert stopped["cause"].tolist() == causes
    # a lost row of a pruned trial is made again, pruned at the same epoch
    lost = int(stopped["trial"].iloc[0])
    [path] = (tmp_path / "median" / "tiny").glob(f"*.tune{lost:03d}.*.parquet")
    path.unlink()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run_cell(tiny.assignment(cells[1], tmp_path / "median"))
    tiny.assert_same_numbers(pruned, rows_of(tmp_path / "median"))


@pytest.mark.slow
def test_a_failed_trial_is_retried_under_its_number_and_beta(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its row is stored, the study leaves it running, and the next run is as if it never failed."""
    cell = tiny.tiny_cell("l2", trials=4, epochs=1)
    run_cell(tiny.assignment(cell, tmp_path / "whole"))
    journal = tmp_path / "broken" / "tiny" / "_journal" / f"{cell.id}.log"
    with monkeypatch.context() as patch, pytest.raises(CellFailed, match="RuntimeError: no luck"):
        run = harness.cell.Attempt.run

        def broken(self: Any) -> dict[str, Any]:
            if (self.stage, self.number) == ("tune", 3):
                raise RuntimeError("no luck")
            return run(self)

        patch.setattr(harness.cell.Attempt, "run", broken)
        run_cell(tiny.assignment(cell, tmp_path / "broken"))
    failed = rows_of(tmp_path / "broken")
    assert failed["status"].tolist() == ["ok"] * 3 + ["failed"]
    assert failed["cause"].tolist()[-1] == "RuntimeError: no luck"
    assert [t.state.name for t in trials_of(journal, cell.id)] == ["COMPLETE"] * 3 + ["RUNNING"]
    run_cell(tiny.assignment(cell, tmp_path / "broken"))
    rows = rows_of(tmp_path / "broken")
    retried = rows[rows["trial"] == 3]
    assert retried["status"].tolist() == ["ok"]  # its failure is set aside
    assert retried["beta"].tolist() == failed["beta"].tolist()[-1:]
    tiny.assert_same_numbers(rows_of(tmp_path / "whole"), rows)
    assert {t.state.name for t in trials_of(journal, cell.id)} == {"COMPLETE"}
