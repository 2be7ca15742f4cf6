"""A cell from end to end: rows, resuming, models that reproduce their numbers, scoring again."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tiny
import torch

import harness.cell
import losses
from harness import evaluate, prepared, provenance, rescore, weights
from harness.artefacts import describe_model, load_model, save_model
from harness.cell import CellFailed, run_cell
from harness.errors import HarnessError, Interrupted, StoreError
from harness.measured import Measured
from harness.metrics import pixel
from harness.schema import columns, plain
from harness.store import Store, now

CELL = tiny.tiny_cell("l2", epochs=3, tuning_epochs=2, seeds=2)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with one finished cell: three trials and two seeds."""
    folder = tmp_path_factory.mktemp("finished")
    threads = torch.get_num_threads()
    run_cell(tiny.assignment(CELL, folder))
    torch.set_num_threads(threads)
    return folder


@pytest.fixture
def copied(finished: Path, tmp_path: Path) -> Path:
    """Return a copy of the finished folder, to be changed."""
    return Path(shutil.copytree(finished, tmp_path, dirs_exist_ok=True))


def rows_of(folder: Path) -> pd.DataFrame:
    rows = Store(folder / "tiny").rows()
    return rows.sort_values(["stage", "trial", "seed", "created"]).reset_index(drop=True)


def test_a_cell_leaves_one_row_per_trial_and_seed(finished: Path) -> None:
    """Every column of the schema; identity, effort, curves and provenance filled in."""
    rows = rows_of(finished)
    assert rows.columns.tolist() == list(columns())
    assert rows["stage"].tolist() == ["final"] * 2 + ["tune"] * 3
    assert rows["seed"].tolist()[:2] == [0, 1] and rows["trial"].tolist()[2:] == [0, 1, 2]
    assert set(rows["status"]) == {"ok"} and rows["cause"].isna().all()
    assert set(rows["cell"]) == {CELL.id} and set(rows["loss"]) == {"l2"}
    assert rows["epochs"].tolist() == [3, 3, 2, 2, 2]
    assert rows["images_seen"].tolist() == [192, 192, 128, 128, 128]
    assert rows["split"].tolist() == ["test"] * 2 + ["validation"] * 3
    assert rows["curve_epoch"].map(list).tolist() == [[1, 2, 3]] * 2 + [[1.5, 3]] * 3
    assert (rows["images"] == 64).all() and (rows["generated"] == 64).all()
    assert (rows["seconds"] > 0).all() and (rows["peak_memory_mib"] > 50).all()
    net = tiny.model()
    assert (rows["parameters"] == sum(p.numel() for p in net.parameters())).all()
    assert (rows["parameters_loss"] == 0).all() and (rows["beta_source"] == rows["beta"]).all()
    assert set(rows["source_digest"]) == {provenance.source_digest(CELL)}
    assert set(rows["threads"]) == {1} and set(rows["torch_version"]) == {torch.__version__}
    assert json.loads(rows["loss_options"][0]) == [{"weight": 1.0, "name": "l2", "options": {}}]
    assert "seeds" not in json.loads(rows["protocol"][0])


def test_a_row_names_the_weights_that_its_loss_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Options and channels decide which: grey images need one network, colour another."""
    paths = {name: tmp_path / name for name in ("grey", "colour", "other")}
    for name, path in paths.items():
        path.write_text(name)

    def required(channels: int | None, **options: Any) -> tuple[str, ...]:
        return {1: ("grey",), 3: ("colour",)}[channels or 0]

    monkeypatch.setattr(losses.find("l2"), "required", required)
    monkeypatch.setattr(harness.weights, "sha256", lambda path: f"sha of {path.name}")
    cell = tiny.tiny_cell("l2", beta=0.1, epochs=1)
    run_cell(tiny.assignment(cell, tmp_path, weights=paths))
    [row] = rows_of(tmp_path).to_dict("records")
    assert json.loads(row["weights"]) == {"grey": "sha of grey"}


def test_the_final_beta_is_that_of_the_best_trial(finished: Path) -> None:
    """The lowest Fréchet distance of generations on the validation split."""
    rows = rows_of(finished)
    tuned = rows[rows["stage"] == "tune"]
    winner = tuned.loc[tuned["frd_gen"].idxmin()]
    finals = rows[rows["stage"] == "final"]
    assert set(finals["beta"]) == {winner["beta"]}
    flag = {0: "low", 1: None, 2: "high"}[int(winner["trial"])]
    assert {None if pd.isna(f) else f for f in finals["beta_flag"]} == {flag}


def test_seeds_differ_and_trials_are_no_final(finished: Path) -> None:
    """Two models of two seeds; no two rows hold the same numbers."""
    rows = rows_of(finished)
    assert rows["frd_gen"].nunique() == 5
    stored = [
        load_model(finished / "tiny" / "_models" / f"{CELL.id}.s{k}.safetensors") for k in (0, 1)
    ]
    assert not tiny.same(*map(tiny.state_of, stored))


def test_a_finished_cell_does_nothing(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No new row, no training, no event but none."""
    events: list[dict[str, Any]] = []
    monkeypatch.setattr(harness.cell.Attempt, "run", lambda self: pytest.fail("it trained"))
    before = sorted(path.name for path in copied.rglob("*"))
    run_cell(tiny.assignment(CELL, copied), tell=events.append)
    assert not events
    assert sorted(path.name for path in copied.rglob("*")) == before


def test_more_seeds_never_retune(copied: Path) -> None:
    """Only the new seed is trained, with the β found before; the old rows stay as they are."""
    before = rows_of(copied)
    more = CELL.model_copy(update={"protocol": CELL.protocol.model_copy(update={"seeds": 3})})
    assert more.id == CELL.id
    events: list[dict[str, Any]] = []
    run_cell(tiny.assignment(more, copied), tell=events.append)
    started = [(e["stage"], e["number"]) for e in events if e["event"] == "start"]
    assert started == [("final", 2)]
    rows = rows_of(copied)
    new = rows[rows["seed"] == 2]
    assert new["beta"].tolist() == [before["beta"][0]]
    tiny.assert_same_numbers(rows[rows["seed"] != 2], before)


@pytest.mark.parametrize("lost", ["tune001", "final000", "tune000"])
def test_a_lost_row_is_made_again_with_the_same_numbers(copied: Path, lost: str) -> None:
    """A file cut short by a crash is set aside, and the same numbers come back."""
    before = rows_of(copied)
    [path] = (copied / "tiny").glob(f"*.{lost}.*.parquet")
    path.write_bytes(path.read_bytes()[:1000])
    assert len(rows_of(copied)) == 4
    run_cell(tiny.assignment(CELL, copied))
    tiny.assert_same_numbers(rows_of(copied), before)


def test_events_tell_what_happens(tmp_path: Path) -> None:
    """Start, epochs and the stored row, for a trial and for a final; all can be pickled."""
    events: list[dict[str, Any]] = []
    cell = tiny.tiny_cell("l2", trials=1, epochs=2, tuning_epochs=1)
    run_cell(tiny.assignment(cell, tmp_path), tell=events.append)
    kinds = [(e["event"], e["stage"]) for e in events]
    tune, final = (
        [("start", "tune"), ("epoch", "tune")],
        [("start", "final")] + [("epoch", "final")] * 2,
    )
    assert kinds == [*tune, ("stored", "tune"), *final, ("stored", "final")]
    stored = events[-1]
    assert stored["status"] == "ok" and math.isfinite(stored["frd_gen"])
    assert (stored["objective"], stored["direction"]) == ("frd_gen", "minimize")
    assert all(isinstance(v, (str, int, float, type(None))) for e in events for v in e.values())


@pytest.mark.parametrize(("keep", "expected"), [("all", [0, 1]), ("first-seed", [0]), ("none", [])])
def test_models_are_kept_as_asked(tmp_path: Path, keep: str, expected: list[int]) -> None:
    """Pictures and scores per image are kept for every seed."""
    cell = tiny.tiny_cell("l2", beta=0.1, seeds=2, epochs=1)
    run_cell(tiny.assignment(cell, tmp_path, keep_models=keep))
    found = sorted(path.name for path in (tmp_path / "tiny" / "_models").iterdir())
    assert found == [f"{cell.id}.s{seed}.safetensors" for seed in expected]
    for kind in ("_images", "_scores"):
        assert len(list((tmp_path / "tiny" / kind).iterdir())) == 2


def test_a_stored_model_reproduces_its_numbers_in_two_lines(finished: Path) -> None:
    """Load it, decode the posterior's mean: the stored PSNR and MSE, to the last bit."""
    path = finished / "tiny" / "_models" / f"{CELL.id}.s1.safetensors"
    model = load_model(path)
    images = torch.from_numpy(np.array(images_of(finished))).float().div(255)
    with torch.inference_mode():
        recon = model.decode(model.encode(images)[0])[1]
    row = rows_of(finished).query("seed == 1").iloc[0]
    assert float(pixel.psnr(recon, images).mean()) == row["psnr"]
    assert float(pixel.mse(recon, images).mean()) == row["mse"]
    scores = pd.read_parquet(finished / "tiny" / "_scores" / f"{CELL.id}.s1.parquet")
    assert pixel.ssim(recon, images).tolist() == scores["ssim"].tolist()
    facts = describe_model(path)
    assert (facts["seed"], facts["beta"]) == (1, row["beta"])
    assert not model.training


def images_of(folder: Path) -> np.ndarray:
    return prepared.load(CELL.dataset, folder / "_data").test[:64]


def test_pictures_and_scores_agree_with_the_row(finished: Path) -> None:
    """The row's means are those of the scores; no array is a pickled object."""
    row = rows_of(finished).query("seed == 0").iloc[0]
    scores = pd.read_parquet(finished / "tiny" / "_scores" / f"{CELL.id}.s0.parquet")
    for name in ("psnr", "ssim", "mse", "kl", "elbo_sigma"):
        assert scores[name].mean() == pytest.approx(row[name], rel=1e-12)
        assert scores[name].std() == pytest.approx(row[f"{name}_std"], rel=1e-9)
    with np.load(finished / "tiny" / "_images" / f"{CELL.id}.s0.npz", allow_pickle=False) as found:
        assert np.array_equal(found["inputs"], images_of(finished)[:16])


def test_scoring_again_gives_the_same_numbers_in_new_rows(copied: Path) -> None:
    """Training columns stay, every metric repeats to the last bit, and the new rows win."""
    before = rows_of(copied)
    told: list[str] = []
    store = Store(copied / "tiny")
    found = rescore.rescore(store, device="cpu", tell=lambda cell, row: told.append(cell))
    assert (found.rows, found.skipped) == (2, {}) and told == [CELL.id] * 2
    rows = rows_of(copied)
    finals = rows[rows["stage"] == "final"]
    assert [each["psnr"] for each in found.scored] == finals["psnr"].tolist()
    assert len(rows) == 5  # one row per trial and seed; the old two are set aside
    assert len(list((copied / "tiny" / "_superseded").glob("*.final*.parquet"))) == 2
    newest = rows
    assert set(newest.query("stage == 'final'")["created"]) - set(before["created"])
    tiny.assert_same_numbers(newest, before)
    for name in ("seconds", "peak_memory_mib", "source_digest", "data_hash", "threads", "weights"):
        assert newest[name].tolist() == before[name].tolist(), name


def test_scoring_again_with_other_metrics_keeps_those_of_other_features(
    copied: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A metric that changed since is renewed; the columns of another feature space stay.

    But not those that another version of the metrics computed.
    """
    store = Store(copied / "tiny")
    whole = evaluate.evaluate

    def changed(*given: Any, **rest: Any) -> Measured:
        measured = whole(*given, **rest)
        metrics = {k: v for k, v in measured.metrics.items() if not k.startswith("frd")}
        metrics |= {"psnr": 1.25, "fsd_gen": 7.0, "fsd_gen_signature": "new"}
        return Measured(metrics, measured.scores, measured.pictures)

    monkeypatch.setattr(evaluate, "evaluate", changed)
    before = rows_of(copied).query("stage == 'final'")
    rescore.rescore(store, device="cpu")
    after = rows_of(copied).query("stage == 'final'").drop_duplicates("seed", keep="last")
    assert after["psnr"].tolist() == [1.25] * 2 and after["fsd_gen"].tolist() == [7.0] * 2
    assert after["frd_gen"].tolist() == before["frd_gen"].tolist()
    assert after["ssim"].tolist() == before["ssim"].tolist()
    monkeypatch.setattr(provenance, "evaluate_digest", lambda: "newer")
    rescore.rescore(store, device="cpu")
    last = rows_of(copied).query("stage == 'final'").drop_duplicates("seed", keep="last")
    assert last["evaluate_digest"].tolist() == ["newer"] * 2
    assert last["fsd_gen"].tolist() == [7.0] * 2 and last["frd_gen"].isna().all()
    assert "frd_gen, frd_recon came of another version" in caplog.text


def test_scoring_again_needs_models_data_and_weights(
    copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each missing thing is one sentence, and no row is written."""
    monkeypatch.setattr(weights, "find", lambda name: None)
    store = Store(copied / "tiny")
    with pytest.raises(HarnessError, match=f"'\\*vgg' matches none of the 1 cells.*{CELL.id}"):
        rescore.rescore(store, device="cpu", only="*vgg")
    with pytest.raises(HarnessError, match="squeezenet"):
        rescore.rescore(store, device="cpu", features="squeezenet")
    with pytest.raises(HarnessError, match="features"):
        rescore.rescore(store, device="cpu", features="nonsense")
    with store.lock(), pytest.raises(StoreError, match="another run"):
        rescore.rescore(Store(store.root), device="cpu")
    for path in (copied / "tiny" / "_models").iterdir():
        path.unlink()
    for only, said in ((None, ""), ("*-l2-*", "of a cell that matches .*")):
        with pytest.raises(HarnessError, match=f"{said}: run with --keep-models all"):
            rescore.rescore(store, device="cpu", only=only)
    assert len(rows_of(copied)) == 5


def test_scoring_again_skips_what_it_cannot_score_and_does_the_rest(
    copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two cells the first one's data changed, or one of its models is damaged."""
    second = tiny.tiny_cell("l1", beta=0.1)
    run_cell(tiny.assignment(second, copied))
    store = Store(copied / "tiny")
    chosen = rescore.rescore(store, device="cpu", only="*-l[13]-*")
    assert {each["cell"] for each in chosen.scored} == {second.id}
    damaged = store.artefact("models", CELL.id, 1, "safetensors")
    whole = damaged.read_bytes()
    damaged.write_bytes(b"cut")
    before = rows_of(copied)
    found = rescore.rescore(store, device="cpu")
    scored = [(each["cell"], each["seed"]) for each in found.scored]
    assert sorted(scored) == sorted([(CELL.id, 0), (second.id, 0)])
    assert list(found.skipped) == [CELL.id] and "is no model" in found.skipped[CELL.id]

    damaged.write_bytes(whole)
    load = prepared.load
    monkeypatch.setattr(
        prepared,
        "load",
        lambda component: prepared.replace(load(component), data_hash="another"),
    )
    state = {"data_hash": "another", "created": now()}
    [row] = before[before["cell"] == second.id].to_dict("records")
    path = store.artefact("models", second.id, 0, "safetensors")
    fingerprint = f"{row['source_digest']} another"
    facts = {"beta": row["beta"], "seed": 0, "fingerprint": fingerprint}
    save_model(path, load_model(path), second, facts)
    store.write(plain(row) | state)  # the second cell was trained on the new data
    found = rescore.rescore(store, device="cpu")
    assert found.rows == 1 and found.scored[0]["cell"] == second.id
    assert f"digits16 changed since {CELL.id} was trained" in found.skipped[CELL.id]
    tiny.assert_same_numbers(rows_of(copied), before)


def test_a_model_of_an_earlier_run_is_never_scored_for_a_newer_row(copied: Path) -> None:
    """A rerun that keeps no models leaves those of the run before: their numbers are not its."""
    store = Store(copied / "tiny")
    rows = rows_of(copied)
    for row in rows[rows["stage"] == "final"].to_dict("records"):
        store.write(plain(row) | {"source_digest": "other-source", "created": now()})
    with pytest.raises(HarnessError, match="no stored model"):
        rescore.rescore(store, device="cpu")


def test_features_without_weights_leave_an_unavailable_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never a silent fallback: the cell stops with the sentence that names the file."""
    monkeypatch.setattr(weights, "find", lambda name: None)
    cell = tiny.tiny_cell("l2", features="inception")
    assert cell.protocol.objective == "fid_gen"
    with pytest.raises(CellFailed):
        run_cell(tiny.assignment(cell, tmp_path))
    [row] = rows_of(tmp_path).to_dict("records")
    assert (row["stage"], row["trial"], row["status"]) == ("tune", 0, "unavailable")
    assert "pt_inception" in row["cause"] and math.isnan(row["psnr"])


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (RuntimeError("shapes do not match"), "failed"),
        (MemoryError(), "out_of_memory"),
        (torch.OutOfMemoryError("CUDA out of memory"), "out_of_memory"),
    ],
)
def test_an_error_is_a_row_with_its_cause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, status: str
) -> None:
    """Whatever training raises."""

    def broken(self: Any) -> None:
        raise error

    monkeypatch.setattr(harness.cell.Attempt, "run", broken)
    with pytest.raises(CellFailed):
        run_cell(tiny.assignment(tiny.tiny_cell("l2", beta=0.5), tmp_path))
    [row] = rows_of(tmp_path).to_dict("records")
    assert (row["stage"], row["seed"], row["beta"]) == ("final", 0, 0.5)
    assert row["status"] == status and row["cause"].startswith(type(error).__name__)
    assert row["source_digest"] and row["torch_version"]


def test_a_model_too_large_for_memory_is_out_of_memory(tmp_path: Path) -> None:
    """A real one: 10^15 bytes in one layer, refused by the allocator."""
    cell = tiny.tiny_grid("l2", model="conv4[width=4,mlp=10000000000000]").cells()[0]
    with pytest.raises(CellFailed):
        run_cell(tiny.assignment(cell, tmp_path))
    [row] = rows_of(tmp_path).to_dict("records")
    assert (row["status"], row["trial"]) == ("out_of_memory", 0)
    assert "allocate" in row["cause"]


def test_a_loss_that_cannot_be_built_is_a_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its weights vanished after the grid was checked: `unavailable` under the first trial."""

    def build(*given: Any, **rest: Any) -> None:
        from losses.base import MissingWeights

        raise MissingWeights("VGG needs the pretrained weights vgg16")

    monkeypatch.setattr(losses, "build", build)
    with pytest.raises(CellFailed):
        run_cell(tiny.assignment(tiny.tiny_cell("l2"), tmp_path))
    [row] = rows_of(tmp_path).to_dict("records")
    assert (row["status"], row["trial"]) == ("unavailable", 0)
    assert row["cause"] == "VGG needs the pretrained weights vgg16"


def test_a_row_that_cannot_be_stored_is_no_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full when the second trial's row is written: the same call goes on later."""
    cell = tiny.tiny_cell("l2")
    write = Store.write

    def full(self: Store, row: dict[str, Any]) -> Path:
        if row.get("trial") == 1:
            raise StoreError("the disk is full")
        return write(self, row)

    with monkeypatch.context() as patch, pytest.raises(StoreError):
        patch.setattr(Store, "write", full)
        run_cell(tiny.assignment(cell, tmp_path / "a"))
    assert len(rows_of(tmp_path / "a")) == 1
    run_cell(tiny.assignment(cell, tmp_path / "a"))
    run_cell(tiny.assignment(cell, tmp_path / "b"))
    tiny.assert_same_numbers(rows_of(tmp_path / "a"), rows_of(tmp_path / "b"))


def test_a_checkpoint_lives_until_its_row_is_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is there when the row is written and gone afterwards."""
    cell = tiny.tiny_cell("l2", beta=0.1)
    with pytest.raises(Interrupted):
        run_cell(tiny.assignment(cell, tmp_path), stop=tiny.stop_after(5))
    folder = tmp_path / "tiny" / "_checkpoints"
    seen: list[int] = []
    write = Store.write

    def watched(self: Store, row: dict[str, Any]) -> Path:
        seen.append(len(list(folder.iterdir())))
        return write(self, row)

    monkeypatch.setattr(Store, "write", watched)
    run_cell(tiny.assignment(cell, tmp_path))
    assert seen == [1] and not list(folder.iterdir())
