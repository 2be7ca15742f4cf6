"""Checks before a run, the state of cells, what a run takes, and grids made of options."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from shell import DATA, DIGEST, make_cell, make_grid, make_row

from harness import components, estimate, launch, plan, prepared, provenance, run, weights
from harness.errors import HarnessError
from harness.grid import Cell
from harness.plan import Checked, Progress
from harness.store import Store
from losses.pointwise import L2


@pytest.fixture(scope="module")
def splits() -> prepared.Splits:
    return prepared.read(components.resolve("dataset", "digits16"))


@pytest.fixture
def check(splits: prepared.Splits) -> Any:
    """Check one cell on digits that were read once."""
    return lambda cell: plan.check([cell], {cell.dataset.spec: splits.outline})[0]


def test_a_checked_cell_knows_its_data_and_model(check: Any, splits: prepared.Splits) -> None:
    found = check(make_cell("3*l2"))
    model = components.build_model(found.cell.model, (1, 16, 16), 4)
    assert found.image_shape == (1, 16, 16)
    assert found.images == (64, 64, 64)
    assert found.data_hash == splits.data_hash
    assert found.parameters == sum(p.numel() for p in model.parameters())
    alone = components.build_loss(components.resolve_loss("l2"), (1, 16, 16), 4).beta_range
    assert found.beta_range == tuple(3 * bound for bound in alone)
    assert (found.trials, found.missing) == (3, None)
    assert check(make_cell(beta_range=[0.5, 2.0])).beta_range == (0.5, 2.0)
    assert check(make_cell(beta=1.0)).beta_range is None
    assert check(make_cell(beta=1.0)).trials == 0
    assert check(make_cell(limit=5000)).images == (1078, 359, 360)


def test_checking_reads_each_dataset_once(
    splits: prepared.Splits, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def outline(dataset: components.Component) -> prepared.Outline:
        asked.append(dataset.spec)
        return splits.outline

    monkeypatch.setattr(prepared, "outline", outline)
    found: dict[str, prepared.Outline] = {}
    plan.check(make_grid(["l2", "l1"]).cells(), found)
    assert asked == list(found) == ["digits16"]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (
            {"batch": 65},
            "batch = 65 is larger than the training split of 64 images: lower batch or",
        ),
        ({"limit": 1, "batch": 2}, "batch = 2 is larger than the training split of 1"),
        ({"generated": 1}, "generated = 1 is too few for a Fréchet distance"),
        ({"schedule": "step[every=4]"}, "never starts"),
        ({"optimizer": "adam[b=1]"}, "unknown option 'b' of optimizer 'adam'"),
        ({"schedule": "stepp"}, "unknown schedule 'stepp' (did you mean 'step'?)"),
    ],
)
def test_one_sentence_for_a_cell_that_cannot_run(
    check: Any, keys: dict[str, Any], message: str
) -> None:
    with pytest.raises(HarnessError) as caught:
        check(make_cell(**keys))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def of_shape(splits: prepared.Splits, side: int, count: int = 64) -> prepared.Splits:
    images = np.zeros((count, 1, side, side), np.uint8)
    return replace(splits, train=images, validation=images, test=images)


def test_images_that_model_or_ssim_cannot_take_are_refused(splits: prepared.Splits) -> None:
    cell = make_cell()
    with pytest.raises(HarnessError, match=r"conv4\[mlp=16,width=4\]: .*20.*divisible by 16"):
        plan.check([cell], {"digits16": of_shape(splits, 20).outline})
    with pytest.raises(HarnessError, match="images of 8×8 are too small for SSIM's window"):
        plan.check([cell], {"digits16": of_shape(splits, 8).outline})
    tiny = replace(of_shape(splits, 16), test=np.zeros((1, 1, 16, 16), np.uint8))
    with pytest.raises(HarnessError, match="64 validation and 1 test images, at least 2"):
        plan.check([cell], {"digits16": tiny.outline})


def test_a_loss_that_never_starts_is_refused(check: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(L2, "starts_at", 4.0)
    with pytest.raises(HarnessError, match="part begins at epoch 4, the budget has 4: raise epo"):
        check(make_cell())
    assert check(make_cell(epochs=5)).missing is None


def test_a_loss_is_built_once_for_all_cells_that_have_it(
    splits: prepared.Splits, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not by the protocol, but by its options and by the images: its network may be large."""
    built: list[tuple[str, tuple[int, ...]]] = []
    build = components.build_loss

    def counted(terms: Any, shape: Any, latent: int, **rest: Any) -> Any:
        built.append((components.loss_spec(terms), shape))
        return build(terms, shape, latent, **rest)

    monkeypatch.setattr(components, "build_loss", counted)
    cells = [make_cell("l2", lr=k / 100) for k in range(1, 9)]
    cells += [make_cell("l1", epochs=k) for k in (4, 5)] + [make_cell("2*l2")]
    found = {cells[0].dataset.spec: splits.outline}
    ranges = [item.beta_range for item in plan.check(cells, found)]
    assert built == [(spec, (1, 16, 16)) for spec in ("l2", "l1", "2*l2")]
    assert len(set(ranges[:8])) == 1 and ranges[10] == tuple(2 * bound for bound in ranges[0] or ())


def test_missing_weights_make_a_cell_unavailable(
    check: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HARNESS_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    found = check(make_cell(features="inception"))
    assert found.missing is not None and found.beta_range is None
    assert "inception are not on this machine: harness prepare --weights inception" in found.missing
    path = tmp_path / "pt_inception-2015-12-05-6726825d.pth"
    path.write_bytes(b"")
    other = check(make_cell(features="inception")).missing
    assert other is not None and "is not the inception weights" in other
    monkeypatch.setattr(weights, "missing", lambda names: None)
    assert check(make_cell(features="inception")).missing is None


def test_the_state_of_a_cell_follows_from_its_rows() -> None:
    cell = make_cell()  # three trials, two seeds

    def state(*rows: dict[str, Any], of: Cell = cell) -> Progress:
        absent = {"trial": np.nan, "seed": np.nan}
        frame = pd.DataFrame([absent | row | {"created": f"{k}"} for k, row in enumerate(rows)])
        return plan.progress(of, frame, DIGEST, DATA)

    empty = pd.DataFrame(columns=["cell", "created"])
    assert plan.progress(cell, empty).state == "missing"
    present = provenance.evaluate_digest()
    trials = [make_row(cell, "tune", k) for k in range(3)]
    seeds = [make_row(cell, "final", k) for k in range(2)]
    assert state(*trials).state == "partial"
    assert state(*trials, *seeds).state == "done"
    assert state(*trials, *seeds, of=make_cell(seeds=3)).state == "partial"
    assert state(*trials, *seeds, of=make_cell(seeds=1)).state == "done"
    # A seed too many is none of those that are asked for.
    assert state(*trials, seeds[1], of=make_cell(seeds=1)).state == "partial"
    diverged = make_row(cell, "final", 1, status="diverged")
    assert state(*trials, seeds[0], diverged).state == "done"
    failed = state(*trials, seeds[0], make_row(cell, "final", 1, status="failed", cause="why"))
    assert (failed.state, failed.failed) == ("failed", "failed in final 1: why")
    stale = state(*trials, make_row(cell, "final", 0, source_digest="2"))
    assert stale.stale == "the source that trains it changed since"
    both = state(make_row(cell, "final", 0, source_digest="2", data_hash="2"))
    rescore = state(*trials, make_row(cell, "final", 0, evaluate_digest="old"))
    assert rescore.state == "stale" and "harness evaluate" in str(rescore.stale)
    half = (make_row(cell, "final", k, evaluate_digest=d) for k, d in ((0, "old"), (1, present)))
    assert state(*trials, *half).state == "stale"  # evaluate was stopped between two seeds
    unscored = state(make_row(cell, "tune", 0, evaluate_digest="old"))
    assert unscored.stale == "the source that scores it changed since"
    scored = (make_row(cell, "final", k, evaluate_digest=present) for k in range(2))
    old = (make_row(cell, "tune", k, evaluate_digest="old") for k in range(3))
    assert state(*old, *scored).state == "done"
    assert both.stale == "the source that trains it and its data changed since"
    assert state(make_row(make_cell("l1"), "tune", 0)).state == "missing"


def test_what_a_rerun_takes() -> None:
    wanted = {
        rerun: [
            s for s in ("missing", "partial", "failed", "stale", "done") if plan.wanted(s, rerun)
        ]
        for rerun in plan.RERUN
    }
    assert wanted == {
        "missing": ["missing", "partial"],
        "failed": ["missing", "partial", "failed"],
        "stale": ["missing", "partial", "stale"],
        "all": ["missing", "partial", "failed", "stale", "done"],
    }


# --- what a run does with cells that others trained -------------------------------------------


def ready(tmp_path: Path, check: Any, name: str, cell: Cell, rerun: str = "missing") -> run.Todo:
    """A run's list of one cell, its state taken from the rows stored."""
    store, found = Store(tmp_path / name), check(cell)
    store.prepare()
    progress = plan.progress(cell, store.rows(), found.source_digest, found.data_hash)
    chosen = [found] if plan.wanted(progress.state, rerun) else []
    grid = make_grid([cell.loss_spec], name=name)
    return run.Todo(grid, store, [found], {cell.id: progress}, chosen, ["cpu"], 1, store.rows())


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Stand in for the engine: note the cells it was given."""
    from harness.engines import local

    ran: list[str] = []

    class Noted:
        def __init__(self, *rest: object) -> None: ...

        def run(self, assignments: list[Any]) -> None:
            ran.extend(item.cell.id for item in assignments)

    monkeypatch.setattr(local, "LocalEngine", Noted)
    return ran


def store_rows(store: Store, found: Checked, seeds: int = 2, **columns: Any) -> None:
    state = {"source_digest": found.source_digest, "data_hash": found.data_hash}
    places = [("tune", k) for k in range(3)] + [("final", k) for k in range(seeds)]
    for stage, number in places:
        store.write(make_row(found.cell, stage, number, **(state | columns)))


def test_a_cell_of_another_grid_is_adopted_not_trained(
    tmp_path: Path, check: Any, engine: list[str]
) -> None:
    cell = make_cell()
    first = ready(tmp_path, check, "first", cell)
    store_rows(first.store, first.cells[0])
    second = ready(tmp_path, check, "second", cell)
    rows = run.execute(second, run.Options(tmp_path), lambda name, event: None)
    assert engine == []
    assert len(rows) == 5
    third = ready(tmp_path, check, "third", make_cell(seeds=3))
    rows = run.execute(third, run.Options(tmp_path), lambda name, event: None)
    assert engine == [cell.id]  # one more seed is left to train
    assert len(rows) == 5


def store_places(store: Store, found: Checked, *places: tuple[str, int], **columns: Any) -> None:
    """Store rows as two runs of one cell would: the same numbers wherever they ran."""
    state = {"source_digest": found.source_digest, "data_hash": found.data_hash}
    for stage, number in places:
        beta = {"beta": 0.2} if stage == "final" else {}
        store.write(make_row(found.cell, stage, number, **(state | beta | columns)))


TUNED = (("tune", 0), ("tune", 1), ("tune", 2))


@pytest.mark.parametrize(
    ("here", "there", "places"),
    [
        (TUNED[:1], (*TUNED, ("final", 0), ("final", 1)), 5),  # all that is missing
        ((*TUNED, ("final", 0)), (*TUNED, ("final", 1)), 5),  # a seed each
        (TUNED[:2], TUNED[:1], 2),  # nothing new
        (TUNED[:1], TUNED[:2], 2),
        ((), TUNED[:2], 2),
    ],
)
def test_what_another_grid_knows_joins_what_is_here(
    tmp_path: Path, check: Any, engine: list[str], here: Any, there: Any, places: int
) -> None:
    cell = make_cell()
    store_places(ready(tmp_path, check, "other", cell).store, check(cell), *there)
    store_places(Store(tmp_path / "g"), check(cell), *here)
    rows = run.execute(ready(tmp_path, check, "g", cell), run.Options(tmp_path), lambda *_: None)
    assert len(rows) == places and not rows.duplicated(["stage", "trial", "seed"]).any()
    assert engine == ([] if places == 5 else [cell.id])


def test_of_two_kinds_of_numbers_the_further_is_taken_whole(
    tmp_path: Path, check: Any, engine: list[str]
) -> None:
    """Trials of another device: β must not be chosen by a mixture."""
    cell, other = make_cell(), Store(tmp_path / "other")
    ready(tmp_path, check, "other", cell)
    store_places(Store(tmp_path / "g"), check(cell), *TUNED[:2], frd_gen=7.0)
    store_places(other, check(cell), TUNED[0], frd_gen=8.0)
    run_it = lambda: run.execute(  # noqa: E731
        ready(tmp_path, check, "g", cell), run.Options(tmp_path), lambda *_: None
    )
    assert run_it()["frd_gen"].tolist() == [7.0, 7.0]  # ours is further
    store_places(other, check(cell), *TUNED[1:], ("final", 0), frd_gen=8.0)
    assert run_it()["frd_gen"].tolist() == [8.0] * 4
    assert len(list((tmp_path / "g" / "_superseded").glob("*.parquet"))) == 2
    assert len(other.rows()) == 4


@pytest.mark.parametrize("columns", [{"source_digest": "old"}, {"status": "failed", "cause": "x"}])
def test_stale_or_failed_cells_are_not_adopted(
    tmp_path: Path, check: Any, engine: list[str], columns: dict[str, Any]
) -> None:
    first = ready(tmp_path, check, "first", make_cell())
    store_rows(first.store, first.cells[0], **columns)
    second = ready(tmp_path, check, "second", make_cell())
    assert run.execute(second, run.Options(tmp_path), lambda name, event: None).empty
    assert len(engine) == 1


def test_trying_failed_cells_again_also_adopts_what_is_missing(
    tmp_path: Path, check: Any, engine: list[str]
) -> None:
    first = ready(tmp_path, check, "first", make_cell())
    store_rows(first.store, first.cells[0])
    second = ready(tmp_path, check, "second", make_cell(), "failed")
    options = run.Options(tmp_path, rerun="failed")
    assert len(run.execute(second, options, lambda name, event: None)) == 5
    assert engine == []


def test_a_grid_of_another_schema_is_passed_over(
    tmp_path: Path, check: Any, engine: list[str]
) -> None:
    first = ready(tmp_path, check, "first", make_cell())
    store_rows(first.store, first.cells[0])
    (first.store.root / "_schema.json").write_text('{"schema_version": 99}')
    second = ready(tmp_path, check, "second", make_cell())
    run.execute(second, run.Options(tmp_path), lambda name, event: None)
    assert len(engine) == 1


@pytest.mark.parametrize(
    ("rerun", "columns", "left"),
    [("all", {}, 0), ("stale", {"source_digest": "old"}, 0), ("stale", {}, 4), ("failed", {}, 4)],
)
def test_a_rerun_sets_aside_what_it_replaces_and_no_more(
    tmp_path: Path, check: Any, engine: list[str], rerun: str, columns: dict[str, Any], left: int
) -> None:
    todo = ready(tmp_path, check, "g", make_cell())
    store_rows(todo.store, todo.cells[0], seeds=1, **columns)
    todo = ready(tmp_path, check, "g", make_cell(), rerun)
    rows = run.execute(todo, run.Options(tmp_path, rerun=rerun), lambda name, event: None)
    assert engine == [make_cell().id]
    assert len(rows) == left


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_cell_runs_once_its_weights_have_come(
    tmp_path: Path, check: Any, engine: list[str], elsewhere: bool
) -> None:
    """Or is taken from a grid that had them."""
    grid, options = make_grid(["l2"]), run.Options(tmp_path, device="cpu")
    [cell] = grid.cells()
    store, told = Store(tmp_path / "g"), []
    store.prepare()
    state = {"source_digest": check(cell).source_digest, "data_hash": check(cell).data_hash}
    store.write(make_row(cell, "tune", 0, status="unavailable", cause="no weights", **state))
    if elsewhere:
        first = ready(tmp_path, check, "first", cell).store
        store_places(first, check(cell), *TUNED, ("final", 0), ("final", 1))
    todo = run.prepare(grid, options)
    rows = run.execute(todo, options, lambda name, event: told.append(event["event"]))
    assert (engine, told) == (([], ["adopted"]) if elsewhere else ([cell.id], []))
    assert len(rows) == (6 if elsewhere else 1)


def test_an_unavailable_cell_is_a_row_not_a_run(
    tmp_path: Path, check: Any, engine: list[str]
) -> None:
    todo = ready(tmp_path, check, "g", make_cell())
    missing = replace(todo.cells[0], missing="no weights")
    todo = replace(todo, cells=[missing], chosen=[missing])
    options = run.Options(tmp_path)
    rows = run.execute(todo, options, lambda name, event: None)
    assert rows[["status", "cause", "stage", "trial"]].values.tolist() == [
        ["unavailable", "no weights", "tune", 0]
    ]
    assert engine == []
    summary = launch.summarise([c.known for c in todo.cells], todo.store, rows, options)
    assert summary.exit_code == 1
    assert summary.failed == {missing.cell.id: "unavailable in tune 0: no weights"}


# --- what a run takes -------------------------------------------------------------------------


def stored_speed(checked: Checked, speed: float, **columns: Any) -> pd.DataFrame:
    row = make_row(checked.cell, "tune", 0, device="cpu", images_per_second=speed)
    return pd.DataFrame([row | columns])


def test_the_estimate_from_stored_rows_is_arithmetic(
    check: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimate, "_timed_speed", lambda *rest: pytest.fail("timed"))
    found = check(make_cell(epochs=4, tuning_epochs=2, trials=3, seeds=2))
    rows = stored_speed(found, 100.0)
    # training: (3·2 + 2·4)·64 images; scoring: 3·64 validation and 2·(64 + 64)
    seconds = 1.0 + (14 * 64 + 3 * 64 + 2 * 128) / 100
    assert estimate.estimate([found], rows, ["cpu"], 1).seconds == pytest.approx(seconds)
    three = estimate.estimate([found] * 3, rows, ["cpu"] * 2, 1)
    assert three.seconds == pytest.approx(1.5 * seconds)
    assert estimate.estimate([found], rows, ["cpu"] * 2, 1).seconds == pytest.approx(seconds)
    assert three.memory_mib == pytest.approx(2 * estimate.memory_mib(found))
    assert three.speeds == {found.cell.id: 100.0}
    assert estimate.estimate([], rows, ["cpu"], 1) == estimate.Estimate(0.0, 0.0, {})


def test_the_estimate_without_rows_is_timed_once_for_like_cells(
    check: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    timed: list[str] = []

    def time_steps(item: Checked, device: str, threads: int) -> float:
        timed.append(device)
        return 50.0

    monkeypatch.setattr(estimate, "_timed_speed", time_steps)
    cells = [check(make_cell("l2")), check(make_cell("l1"))]
    unlike = stored_speed(cells[0], 100.0, device="cuda:0")
    assert set(estimate.estimate(cells, unlike, ["cpu"], 1).speeds.values()) == {50.0}
    assert timed == ["cpu"]


def test_timing_steps_gives_a_speed_and_leaves_the_threads(check: Any) -> None:
    before = torch.get_num_threads()
    assert estimate._timed_speed(check(make_cell()), "cpu", before) > 0
    assert torch.get_num_threads() == before


def test_memory_grows_with_the_batch_and_the_weights(check: Any) -> None:
    small, large = check(make_cell(batch=16)), check(make_cell(batch=32))
    activations = estimate.memory_mib(large) - estimate.memory_mib(small)
    # the output of every layer for one image: convolution, norm and activation of each block
    down = 3 * (4 * 64 + 8 * 16 + 16 * 4 + 32 * 1)
    up = 3 * (32 * 4 + 16 * 16 + 8 * 64 + 4 * 256)
    linear = (16 + 16 + 8) + (16 + 16 + 32) + 2 * 32  # two perceptrons, flatten and unflatten
    outputs = down + linear + up + 256  # and the last convolution
    assert activations == pytest.approx(16 * 2 * 4 * outputs / 2**20)
    fixed = (16 * small.parameters + 3 * 64 * 256) / 2**20
    assert estimate.memory_mib(small) == pytest.approx(450 + activations + fixed)


# --- the command line's grids and summaries ---------------------------------------------------


def axes(**given: Any) -> launch.Axes:
    return launch.Axes(**({"datasets": [], "models": [], "losses": [], "size": None} | given))


def test_a_grid_made_of_options() -> None:
    found = launch.make_grid(None, "quick", axes(losses=["l2", "l1"]), {"trials": 2}, [])
    cells = found.cells()
    assert found.name == "quick"
    assert [(c.dataset.spec, c.model.spec, c.loss_spec) for c in cells] == [
        ("photos32", "conv4", "l2"),
        ("photos32", "conv4", "l1"),
    ]
    assert {(c.protocol.seeds, c.protocol.trials) for c in cells} == {(1, 2)}


def test_options_replace_the_axes_and_keys_of_a_grid(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        "protocol = {epochs = 8, trials = 3}\n[[block]]\nlosses = ['l2', 'l1']\n"
        "datasets = ['photos', 'digits[size=16]']\nmodels = ['conv4']\n"
    )
    given = {"trials": None, "seeds": 4, "epochs": None}
    pairs = ["lr=0.5", "schedule=step[every=3]", "beta_range=[0.1, 1]", "precision = 'bfloat16'"]
    found = launch.make_grid(str(path), "x", axes(losses=["3*l2"], size=48), given, pairs)
    cells = found.cells()
    assert [(c.dataset.spec, c.loss_spec) for c in cells] == [
        ("photos48", "3*l2"),
        ("digits16", "3*l2"),
    ]
    keys = cells[0].protocol
    assert (keys.seeds, keys.trials, keys.lr, keys.precision) == (4, 3, 0.5, "bfloat16")
    assert (keys.schedule, keys.beta_range) == ("step[every=3]", (0.1, 1.0))


TWO_BLOCKS = """
protocol = {trials = 3, epochs = 8}
[[block]]
losses = ["l2", {loss = "l1", protocol = {lr = 0.5}}]
datasets = ["photos"]
models = ["conv4"]
[[block]]
losses = ["l2", "l1"]
datasets = ["digits"]
models = ["conv4"]
protocol = {epochs = 4}
"""


def test_options_that_make_two_blocks_one_dataset_are_refused(tmp_path: Path) -> None:
    """Unless the protocols agree, or the grid itself compares protocols."""
    path = tmp_path / "mine.toml"
    path.write_text(TWO_BLOCKS)

    def make(*pairs: str, **given: Any) -> list[Any]:
        return launch.make_grid(str(path), "x", axes(**given), {}, list(pairs)).cells()

    with pytest.raises(HarnessError) as caught:
        make(datasets=["photos"])
    assert str(caught.value) == (
        "blocks 1 and 2 of grid 'mine' both become photos32 × conv4 × l2 under different "
        "protocols: add --set epochs=… --set tuning_epochs=…, or leave out --grid"
    )
    assert len(make(losses=["ssim"])) == 2  # still two datasets
    alike = make("epochs=4", "tuning_epochs=2", "lr=0.1", datasets=["photos"])
    assert [(c.loss_spec, c.protocol.epochs) for c in alike] == [("l2", 4), ("l1", 4)]
    path.write_text(TWO_BLOCKS.replace("digits", "photos"))
    assert len(make()) == len(make(models=["conv4[width=8]"])) == 4


@pytest.mark.parametrize(
    ("text", "sized"),
    [
        ("photos", "photos[size=48]"),
        ("photos32", "photos32"),
        ("photos[seed=1]", "photos[seed=1,size=48]"),
        ("folder:a b", "folder:a b[size=48]"),
        ("folder:x[size=8]", "folder:x[size=8]"),
    ],
)
def test_a_size_is_added_where_there_is_none(text: str, sized: str) -> None:
    block = launch.make_grid(None, "q", axes(losses=["l2"], datasets=[text], size=48), {}, []).block
    assert block[0].datasets == [sized]


def test_one_sentence_for_options_that_make_no_grid() -> None:
    with pytest.raises(HarnessError, match="nothing to run: give --grid NAME or --loss NAME"):
        launch.make_grid(None, "quick", axes(), {}, [])
    with pytest.raises(HarnessError, match="--set 'lr' is not KEY=VALUE"):
        launch.make_grid("smoke", "x", axes(), {}, ["lr"])
    with pytest.raises(HarnessError, match="unknown key 'rate'"):
        launch.make_grid("smoke", "x", axes(), {}, ["rate=1"]).cells()


def test_the_summary_counts_what_stands(tmp_path: Path, check: Any) -> None:
    todo = ready(tmp_path, check, "g", make_cell())
    found = todo.cells[0]
    # it diverged with an older source, and no longer does
    todo.store.write(make_row(found.cell, "final", 0, status="diverged", source_digest="old"))
    store_rows(todo.store, found)
    other = run.Options(tmp_path)
    summary = launch.summarise([found.known], todo.store, todo.store.rows(), other)
    assert (summary.done, summary.cells, summary.diverged, summary.exit_code) == (1, 1, [], 0)
    assert summary.lines[-1] == f"next: harness report --grid g --results {tmp_path}"
    assert summary.plain()["done"] == 1
    todo.store.write(
        make_row(
            found.cell, "final", 1, status="diverged",
            source_digest=found.source_digest, data_hash=found.data_hash,
        )
    )  # fmt: skip
    diverged = launch.summarise([found.known], todo.store, todo.store.rows(), other)
    assert (diverged.diverged, diverged.exit_code) == ([found.cell.id], 0)
