"""Stored rows -> groups of cells: what ran, what did not and why, what may be compared."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from harness.metrics import METRICS
from harness.report.album import Album
from harness.report.artefacts import Pictures
from harness.report.scores import Scores
from harness.report.state import causes_of, describe
from harness.store import Store, newest

# From three seeds on, a metric of whole sets has an interval over seeds.
SEEDS_FOR_INTERVAL = 3


@dataclass(frozen=True)
class Cell:
    """One loss on one dataset with one model: `finals` are its ok rows, one per seed."""

    id: str
    dataset: str
    model: str
    loss: str
    label: str  # the loss, with its β or the cell's hash where one group has the loss twice
    seeds: int
    trials: int
    protocol: dict[str, Any]
    finals: pd.DataFrame
    tunes: pd.DataFrame
    attempts: pd.DataFrame  # all final rows, whatever their status
    state: str  # "" when every planned seed is ok, otherwise words for the table
    causes: tuple[str, ...]
    stale: bool
    scores: Scores | None  # of every test image, read when asked for
    pictures: Sequence[Pictures]  # one per seed that stored them, read when asked for
    # ok rows of the full-budget models over the range of β, one per β, the smallest first
    curves: pd.DataFrame = field(default_factory=pd.DataFrame)

    @property
    def measured(self) -> bool:
        """Whether there are numbers to show."""
        return not self.stale and len(self.finals) > 0

    @property
    def whole(self) -> bool:
        """Whether no attempt failed, so that the numbers are not those of the survivors."""
        return self.measured and len(self.attempts) == len(self.finals)


@dataclass(frozen=True)
class Group:
    """All losses of one dataset and model, in the grid's order."""

    dataset: str
    model: str
    slug: str
    cells: tuple[Cell, ...]

    @property
    def title(self) -> str:
        """The group's name in running text."""
        return f"{self.dataset} with {self.model}"

    @property
    def protocol(self) -> dict[str, Any]:
        """The protocol of the first cell; `provenance` tells where others differ."""
        return self.cells[0].protocol

    @property
    def objective(self) -> str:
        """The metric column that losses are compared by first."""
        name = str(self.protocol.get("objective"))
        return name if name in METRICS else "frd_gen"

    @property
    def measured(self) -> tuple[Cell, ...]:
        """The cells with numbers."""
        return tuple(cell for cell in self.cells if cell.measured)

    def cell(self, loss: str) -> Cell | None:
        """Return the measured cell of a loss, or None."""
        return next((cell for cell in self.measured if cell.loss == loss), None)


def collect(store: Store, grid: dict[str, Any]) -> list[Group]:
    """Return the groups of the stored grid in its order; rows of other cells are left out."""
    rows = _finite(newest(store.rows()))
    by_cell = dict(list(rows.groupby("cell", sort=False))) if len(rows) else {}
    members: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for description in grid.get("cells", []):
        key = (str(description["dataset"]), str(description["model"]))
        members.setdefault(key, []).append(description)
    slugs: set[str] = set()
    return [
        _group(store, *key, _slug("-".join(key), slugs), cells, by_cell, rows.iloc[:0])
        for key, cells in members.items()
    ]


def _group(
    store: Store,
    dataset: str,
    model: str,
    slug: str,
    descriptions: list[dict[str, Any]],
    by_cell: dict[Any, pd.DataFrame],
    nothing: pd.DataFrame,
) -> Group:
    frames = {each["id"]: by_cell.get(each["id"], nothing) for each in descriptions}
    current = _newest_state(list(frames.values()))
    cells = []
    for each, label in zip(descriptions, _labels(descriptions), strict=True):
        rows = frames[each["id"]]
        cell = _cell(store, each, label, rows, stale=_differs(rows, current))
        cells.append(replace(cell, curves=_curves(rows, cell.protocol, current)))
    return Group(dataset, model, slug, tuple(cells))


def _labels(descriptions: list[dict[str, Any]]) -> list[str]:
    """Return the losses; of one that stands there twice, what tells its cells apart."""
    losses = [str(each["loss"]) for each in descriptions]
    by_beta = [f"{loss} ({_beta(each)})" for loss, each in zip(losses, descriptions, strict=True)]
    found = []
    for each, loss, label in zip(descriptions, losses, by_beta, strict=True):
        if losses.count(loss) == 1:
            found.append(loss)
        elif by_beta.count(label) == 1:
            found.append(label)
        else:
            found.append(f"{loss} ({str(each['id'])[-8:]})")
    return found


def _beta(description: dict[str, Any]) -> str:
    beta = (description.get("protocol") or {}).get("beta")
    return "β tuned" if beta is None else f"β = {beta:g}"


def _cell(
    store: Store, description: dict[str, Any], label: str, rows: pd.DataFrame, *, stale: bool
) -> Cell:
    attempts = rows[rows["stage"] == "final"].sort_values("seed", kind="stable")
    planned, trials = (int(description.get(key) or 0) for key in ("seeds", "trials"))
    attempts = attempts[~(attempts["seed"] >= planned)] if planned else attempts
    finals = attempts[attempts["status"] == "ok"]
    tunes = rows[rows["stage"] == "tune"].sort_values("trial", kind="stable")
    shown = [] if stale else [int(seed) for seed in finals["seed"]]
    cell = str(description["id"])
    return Cell(
        id=cell,
        dataset=str(description["dataset"]),
        model=str(description["model"]),
        loss=str(description["loss"]),
        label=label,
        seeds=planned,
        trials=trials,
        protocol=dict(description.get("protocol") or {}),
        finals=finals,
        tunes=tunes,
        attempts=attempts,
        state="stale" if stale else describe(attempts, tunes, planned, trials),
        causes=causes_of(attempts, tunes),
        stale=stale,
        scores=Scores.stored(store, cell, shown),
        pictures=Album(store, cell, shown),
    )


def _curves(rows: pd.DataFrame, protocol: dict[str, Any], current: "State") -> pd.DataFrame:
    """The points of the curve that the grid asks for, without those that another source scored."""
    points = rows[(rows["stage"] == "curve") & (rows["status"] == "ok")]
    points = points[points["trial"] < int(protocol.get("curve_points") or 0)]
    if current[2]:
        points = points[points["evaluate_digest"].fillna(current[2]) == current[2]]
    return points.sort_values("beta", kind="stable").drop_duplicates("beta", keep="last")


def _finite(rows: pd.DataFrame) -> pd.DataFrame:
    """An infinite metric is no number to average or to plot: it prints as a dash."""
    metrics = [name for name in METRICS if name in rows.columns]
    found = rows.copy()
    found[metrics] = rows[metrics].replace([np.inf, -np.inf], np.nan)
    return found.copy()  # its hundreds of columns in few blocks: every later selection is faster


State = tuple[str, str, str]
_STATE = ["stage", "source_digest", "data_hash", "evaluate_digest"]


def _state_of(row: pd.Series) -> State:
    """The shared source, the data and, of a final model, the source that scored it."""
    names = ("source_digest", "data_hash", "evaluate_digest")
    digest, data, scored_by = (row[n] if isinstance(row[n], str) else "" for n in names)
    return digest.partition("-")[0], data, scored_by if row["stage"] == "final" else ""


def _newest_state(frames: list[pd.DataFrame]) -> State:
    """The state of the group's newest row that names its source and data."""
    known = [
        (str(row["created"]), _state_of(row))
        for frame in frames
        for _, row in frame[frame["stage"] != "curve"].tail(1).iterrows()
        if all(_state_of(row)[:2])
    ]
    return max(known, default=("", ("", "", "")))[1]


def _differs(rows: pd.DataFrame, current: State) -> bool:
    """A cell is stale when what it names differs; a row without a state (not run) is not."""
    for _, row in rows[_STATE].drop_duplicates().iterrows():
        pairs = zip(_state_of(row), current, strict=True)
        if any(own and other and own != other for own, other in pairs):
            return True
    return False


def _slug(text: str, taken: set[str]) -> str:
    """A file name for a group, unlike those already given."""
    base = re.sub(r"[^A-Za-z0-9._]+", "-", text).strip("-.") or "group"
    number, slug = 2, base
    while slug in taken:
        slug, number = f"{base}-{number}", number + 1
    taken.add(slug)
    return slug
