"""What a probe found, as a table of numbers and one sentence per loss."""

import math
from typing import Any

import pandas as pd

from harness.probe.ladder import SHOWN
from harness.probe.perturbations import NOISE, PERTURBATIONS

_LABELS = {each.name: each.label for each in PERTURBATIONS}
# Ratios that near to 1 are those of the MSE, or nearly so; under the last one a loss is blind.
SAME, NEARLY, BLIND = 0.01, 0.1, 0.05
NO_ANSWER = ("unavailable", "refused", "failed")


def shown(frame: pd.DataFrame, column: str = "ratio") -> pd.DataFrame:
    """Return a column at the level shown, losses by perturbations, both in their order."""
    asked = frame[frame["perturbation"].notna()]
    rows = asked[asked["level"] == SHOWN].pivot(index="loss", columns="perturbation", values=column)
    return rows.reindex(index=asked["loss"].unique(), columns=list(_LABELS))


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return one record per loss that could be asked: its ratios at the level shown."""
    return [
        {"loss": loss} | {str(name): number(value) for name, value in row.items()}
        for loss, row in shown(frame).iterrows()
    ]


def number(ratio: float) -> str:
    """Return a ratio with two significant digits, `–` where there is none."""
    if not math.isfinite(ratio):
        return "–"
    text = f"{ratio:.0f}" if abs(ratio) >= 9.95 else f"{ratio:.{1 if abs(ratio) >= 0.995 else 2}f}"
    return "0.00" if float(text) == 0 else text.replace("-", "−")


def sentences(frame: pd.DataFrame) -> list[tuple[str, str]]:
    """Return each loss with one plain sentence on what it sees and what not."""
    ratios = shown(frame)
    found = []
    for loss, rows in frame.groupby("loss", sort=False):
        first = rows.iloc[0]
        if first["status"] in NO_ANSWER:
            found.append((str(loss), f"{first['status']}: {first['cause']}"))
            continue
        text = _sentence(ratios.loc[loss])
        note = f" ({first['note']})" if isinstance(first["note"], str) else ""
        found.append((str(loss), text + note))
    return found


def _sentence(ratios: pd.Series) -> str:
    known = ratios.dropna()
    if known.empty:
        return "noise costs no more than a perfect reconstruction, or nothing finite: no ratios"
    furthest = float((known - 1).abs().max())
    if furthest <= SAME:
        return "sees the mean squared error alone: at equal MSE everything costs the same"
    if furthest <= NEARLY:
        return f"sees little but the mean squared error: costs differ by {furthest:.0%} at most"
    most, least = str(known.idxmax()), str(known.idxmin())
    if NOISE in known and known[most] <= known[NOISE] + NEARLY:
        most = NOISE
    return (
        f"most sensitive to {_named(most, known[most])}, {_seen(known[least])} "
        f"{_named(least, known[least])}"
    )


def _seen(ratio: float) -> str:
    return "rewards" if ratio < -0.005 else "nearly blind to" if ratio < BLIND else "least to"


def _named(name: str, ratio: float) -> str:
    return _LABELS[name] if name == NOISE else f"{_LABELS[name]} ({number(ratio)} × noise)"


def gaps(frame: pd.DataFrame) -> str:
    """Return in one sentence which levels too few images reach, empty where all are reached."""
    asked = frame[frame["perturbation"].notna()]
    rows = asked[(asked["loss"] == asked["loss"].iloc[0]) & (asked["status"] == "left out")]
    parts = [
        f"{_LABELS[str(name)]} at {', '.join(f'{level:g}' for level in group['level'])}"
        for name, group in rows.groupby("perturbation", sort=False)
    ]
    return f"left out, too few images reach the MSE: {'; '.join(parts)}" if parts else ""


def plain(frame: pd.DataFrame) -> dict[str, Any]:
    """Return what the terminal shows as plain data, ratios in full."""
    ratios = shown(frame)
    return {
        "dataset": frame["dataset"].iloc[0],
        "level": SHOWN,
        "losses": [
            {
                "loss": loss,
                "status": frame[frame["loss"] == loss]["status"].iloc[0],
                "sentence": sentence,
                "ratios": ratios.loc[loss].to_dict() if loss in ratios.index else {},
            }
            for loss, sentence in sentences(frame)
        ],
        "left_out": gaps(frame),
    }
