"""What a person sees: words for numbers, tables, and progress on a terminal and in a pipe."""

import io
import re
import time
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from shell import make_cell, make_grid, make_row

from harness.estimate import Estimate
from harness.plan import Checked, Progress
from harness.run import Todo
from harness.schema import arrow_schema
from harness.store import Store
from harness.terminal import screens, wording
from harness.terminal.board import Board, make_board
from harness.terminal.progress import Bars, Lines

NO_ROWS = arrow_schema().empty_table().to_pandas()


def console(width: int = 120) -> Console:
    return Console(record=True, width=width, force_terminal=True, file=io.StringIO())


def checked(loss: str = "l2", **keys: Any) -> Checked:
    cell = make_cell(loss, **keys)
    return Checked(cell, (1, 16, 16), (64, 64, 64), "d", "s", (0.01, 3.0), 1234, None)


def fresh(trials: int = 0, seeds: int = 0, **rest: Any) -> Progress:
    return Progress(trials, seeds, 3, 2, rest.get("failed"), rest.get("stale"))


def board_of(*losses: str, before: Progress | None = None, anew: bool = False) -> Board:
    items = [checked(loss) for loss in losses]
    return make_board(items, {i.cell.id: before or fresh() for i in items}, NO_ROWS, anew=anew)


def stored(stage: str, number: int, **rest: Any) -> dict[str, Any]:
    axes = {
        "trial": number if stage == "tune" else None,
        "seed": number if stage == "final" else None,
    }
    told = {"objective": "frd_gen", "direction": "minimize", "cause": None, "status": "ok"}
    scores = {"beta": 0.0123, "psnr": 20.25, "ssim": 0.5, "frd_gen": 1.5}
    return {"event": "stored", "stage": stage, **axes, **told, **scores, **rest}  # fmt: skip


def epoch(number: int, of: int, speed: float = 4100.0) -> dict[str, Any]:
    return {"event": "epoch", "epoch": number, "epochs": of, "images_per_second": speed}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (100, "1 min 40 s"),
        (3599, "59 min 59 s"),
        (3599.6, "1 h 00 min"),
        (11_100, "3 h 05 min"),
        (360_000, "100 h 00 min"),
    ],
)
def test_times(seconds: float, text: str) -> None:
    assert wording.duration(seconds) == text


def test_sizes_rates_counts_and_metrics() -> None:
    assert [wording.size(n) for n in (0, 1023, 1024, 3.2 * 2**20, 5000 * 2**30)] == [
        "0 B", "1023 B", "1.0 KiB", "3.2 MiB", "5000.0 GiB",
    ]  # fmt: skip
    assert [wording.rate(n) for n in (12.4, 999, 4100)] == ["12 img/s", "999 img/s", "4.1k img/s"]
    counts = [(1, "cell"), (0, "cell"), (2, "loss"), (1, "loss")]
    assert [wording.plural(*count) for count in counts] == [
        "1 cell",
        "0 cells",
        "2 losses",
        "1 loss",
    ]
    assert [wording.beta(b) for b in (None, 0.0123, 1.0, 1234.0)] == [
        "",
        "β 0.012",
        "β 1",
        "β 1.2e+03",
    ]
    assert wording.metric("psnr", 20.257).startswith("PSNR 20.2")
    assert wording.metric("mystery", 1.23456) == "mystery 1.235"
    assert wording.metric("psnr", None) == wording.metric("psnr", float("nan")) == ""


def test_short_names_stay_distinct() -> None:
    assert wording.short_names(["a-l2-1111", "a-l1-2222"]) == {
        "a-l2-1111": "a-l2",
        "a-l1-2222": "a-l1",
    }
    assert wording.short_names(["a-l2-1111", "a-l2-2222"]) == {
        n: n for n in ("a-l2-1111", "a-l2-2222")
    }


def test_the_board_counts_epochs_trials_and_the_best() -> None:
    board = board_of("l2", "l1")
    name = next(iter(board.cells))
    view = board.cells[name]
    assert view.epochs_total == 3 * 2 + 2 * 4
    board.update(name, {"event": "began", "device": "cpu"})
    assert board.remaining() is None
    for number, score in enumerate((2.0, 1.0, 3.0)):
        board.update(name, {"event": "start", "stage": "tune", "number": number})
        board.update(name, epoch(1, 2))
        board.update(name, epoch(2, 2))
        board.update(name, stored("tune", number, frd_gen=score, beta=score))
    assert (view.trials_done, view.epochs_done) == (3, 6)
    assert view.best is not None
    assert view.best["beta"] == 1.0
    assert board.share == pytest.approx(6 / 28)
    board.started = time.monotonic() - 60
    assert board.remaining() == pytest.approx(60 * 22 / 6, rel=0.01)
    board.update(name, {"event": "ended", "code": 0, "seconds": 7.0})
    assert (board.done, board.share) == (1, 0.5)


def test_the_board_maximises_where_more_is_better_and_passes_over_failures() -> None:
    board = board_of("l2")
    name, view = next(iter(board.cells.items()))
    told = {"objective": "psnr", "direction": "maximize"}
    for number, value in enumerate((20.0, 22.0, 21.0)):
        board.update(name, stored("tune", number, psnr=value, **told))
    board.update(name, stored("tune", 2, psnr=None, status="diverged", cause="NaN", **told))
    assert view.best is not None
    assert view.best["psnr"] == 22.0
    board.update(name, stored("tune", 2, status="out_of_memory", cause="killed", **told))
    assert view.failure == "out of memory: killed"
    assert view.trials_done == 4


def test_what_was_done_before_counts_unless_all_starts_anew() -> None:
    before = fresh(3, 1)
    view = next(iter(board_of("l2", before=before).cells.values()))
    assert (view.trials_done, view.seeds_done, view.epochs_total) == (3, 1, 4)
    for anew, progress in ((True, before), (False, fresh(3, 1, stale="its data"))):
        view = next(iter(board_of("l2", before=progress, anew=anew).cells.values()))
        assert (view.trials_done, view.seeds_done, view.epochs_total) == (0, 0, 14)
    more_seeds_stored = next(iter(board_of("l2", before=fresh(2, 5)).cells.values()))
    assert more_seeds_stored.epochs_total == 2


def run_through(shown: Any) -> None:
    name = next(iter(shown.board.cells))
    shown.tell(name, {"event": "began", "device": "cpu"})
    shown.tell(name, {"event": "start", "stage": "tune", "number": 0})
    shown.tell(name, epoch(1, 2))
    shown.tell(name, stored("tune", 0))
    shown.tell(name, stored("tune", 1, status="diverged", cause="not finite [at] 3", frd_gen=None))
    shown.tell(name, stored("final", 0))
    shown.tell(name, {"event": "ended", "code": 0, "seconds": 100.0})


def test_a_pipe_gets_one_dated_line_per_event() -> None:
    screen = console(width=40)  # lines are never folded
    with Lines(screen, board_of("l2", "l1")) as shown:
        run_through(shown)
    lines = screen.export_text().splitlines()
    assert len(lines) == 4
    assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ  digits16-", line) for line in lines)
    parts = [line.split("  ", 2)[2] for line in lines]
    assert parts[0].startswith("tune 1/3  β 0.012  PSNR 20.2")
    assert parts[1] == "tune 2/3  β 0.012  diverged: not finite [at] 3"
    assert parts[2].startswith("final 1/2  β 0.012  PSNR 20.2")
    assert parts[3].startswith("tune 2/3  β 0.012  FRD")
    assert "→ final 1/2" in parts[3]
    assert parts[3].endswith("1 min 40 s  (1/2 cells)")


@pytest.mark.parametrize("resumed", [False, True])
def test_a_finished_cell_shows_the_mean_over_its_seeds_and_its_beta(
    tmp_path: Path, resumed: bool
) -> None:
    """Also of trials and seeds that an interrupted run had stored before."""
    item, store = checked(), Store(tmp_path / "g")
    for number, beta in enumerate((0.5, 0.25, 0.125)):
        store.write(make_row(item.cell, "tune", number, beta=beta, frd_gen=1.0 + beta))
    store.write(make_row(item.cell, "final", 0, beta=0.125, psnr=20.0, frd_gen=1.0))
    # a seed of a longer grid that this one does not ask for
    store.write(make_row(item.cell, "final", 7, beta=0.125, psnr=99.0, frd_gen=9.0))
    rows, before = (store.rows(), fresh(3, 1)) if resumed else (NO_ROWS, fresh())
    screen = console(width=200)
    with Lines(screen, make_board([item], {item.cell.id: before}, rows)) as shown:
        if not resumed:
            for number, beta in enumerate((0.5, 0.25, 0.125)):
                shown.tell(item.cell.id, stored("tune", number, beta=beta, frd_gen=1.0 + beta))
            shown.tell(item.cell.id, stored("final", 0, beta=0.125, psnr=20.0, frd_gen=1.0))
        shown.tell(item.cell.id, stored("final", 1, beta=0.125, psnr=22.0, frd_gen=2.0))
        shown.tell(item.cell.id, {"event": "ended", "code": 0, "seconds": 1.0})
    last = screen.export_text().splitlines()[-1]
    assert "tune 3/3  β 0.12  FRD gen. 1.125  → final 2/2  PSNR 21.00" in last
    assert last.count("FRD gen. 1.500") == 1


def test_a_fixed_beta_is_shown_too() -> None:
    screen, item = console(), checked(beta=0.5)
    board = make_board([item], {item.cell.id: fresh()}, NO_ROWS)
    with Lines(screen, board) as shown:
        shown.tell(item.cell.id, stored("final", 0, beta=0.5))
        shown.tell(item.cell.id, {"event": "ended", "code": 0, "seconds": 1.0})
    assert "→ final 1/2  β 0.5  PSNR 20.25" in screen.export_text().splitlines()[-1]


def test_a_terminal_gets_a_line_per_finished_cell_and_bars() -> None:
    screen = console()
    shown = Bars(screen, board_of("l2", "l1"))
    with shown:
        run_through(shown)
    finished = [line for line in screen.export_text().splitlines() if "→ final 1/2" in line]
    assert len(finished) == 1
    assert finished[0].rstrip().endswith("1 min 40 s")


def test_a_cell_of_another_grid_counts_as_done_and_says_so() -> None:
    for view in (Bars, Lines):
        screen, board = console(), board_of("l2", "l1")
        with view(screen, board) as shown:
            shown.tell(next(iter(board.cells)), {"event": "adopted"})
        assert "trained before in another grid" in screen.export_text()
        assert (board.done, board.share) == (1, 0.5)


def test_bars_show_only_cells_that_run() -> None:
    board = board_of("l2", "l1")
    shown, name = Bars(console(), board), next(iter(board.cells))

    def rendered() -> list[str]:
        screen = console()
        screen.print(shown._render())
        return screen.export_text().splitlines()

    assert [line.split()[0] for line in rendered()] == ["total"]
    assert "0/2 cells" in rendered()[0]
    board.update(name, {"event": "began", "device": "cpu"})
    assert "starting" in rendered()[0]
    board.update(name, {"event": "start", "stage": "tune", "number": 1})
    board.update(name, epoch(1, 2))
    board.started = time.monotonic() - 60
    assert "tune 2/3 · epoch 1/2 · 4.1k img/s · " in rendered()[0]
    assert rendered()[-1].rstrip().endswith("left")
    board.update(name, {"event": "ended", "code": 0, "seconds": 1.0})
    assert "1/2 cells" in rendered()[0]
    assert len(rendered()) == 1


def test_a_failed_cell_says_why() -> None:
    screen = console()
    shown = Lines(screen, board_of("l2"))
    name = next(iter(shown.board.cells))
    shown.tell(name, stored("tune", 0, status="failed", cause="ValueError: no"))
    shown.tell(name, {"event": "ended", "code": 3, "seconds": 1.0})
    assert screen.export_text().count("failed: ValueError: no") == 2


def test_a_cell_with_nothing_new_says_so() -> None:
    screen = console()
    shown = Lines(screen, board_of("l2"))
    shown.tell(next(iter(shown.board.cells)), {"event": "ended", "code": 0, "seconds": 1.0})
    assert "nothing new" in screen.export_text()


def test_tables_show_every_value_and_no_markup() -> None:
    screen = console()
    screens.table(screen, [{"name": "l2[a=1]", "x": 0.123456, "b": True, "n": None}], title="T")
    screens.table(screen, [])
    text = screen.export_text()
    assert "l2[a=1]" in text
    assert "0.1235" in text
    assert "yes" in text
    assert "nothing here" in text


def test_the_first_line_of_a_run() -> None:
    items = [checked("l2"), checked("l1")]
    progress = {items[0].cell.id: fresh(3, 2), items[1].cell.id: fresh()}
    todo = Todo(
        make_grid(["l2", "l1"]),
        Store(Path("nowhere")),
        items,
        progress,
        items[1:],
        ["cpu"] * 2,
        1,
        NO_ROWS,
    )
    line = screens.headline(todo, Estimate(100, 1, {}))
    assert line == (
        "g · 2 cells · 2 losses × 1 dataset × 1 model · 3 trials + 2 seeds each · "
        "cpu, 2 cells at once, 1 thread each · about 1 min 40 s"
    )
    done, left = screens.dry_run(todo, Estimate(1, 1, {items[1].cell.id: 50.0}))
    assert (done["state"], done["runs"], done["images/s"]) == ("done", False, None)
    assert (left["state"], left["runs"], left["images/s"]) == ("missing", True, 50.0)
    assert left["β"] == "0.01 … 3"


def test_what_a_plain_run_leaves_alone_is_said() -> None:
    progress = {
        "a": fresh(3, 2),
        "b": fresh(3, 2),
        "c": fresh(1, 0, failed="x"),
        "d": fresh(3, 2, stale="its data changed since"),
        "e": fresh(),
    }
    assert screens.already(progress) == [
        "2 cells done before",
        "1 cell failed before: try again with --rerun failed",
        "1 cell stale (its data changed since): train again with --rerun stale",
    ]
