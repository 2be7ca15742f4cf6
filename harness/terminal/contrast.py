"""The words and numbers of a comparison of two grids, as lines and tables show them."""

import math
import re

from harness.comparing import Comparison
from harness.metrics import METRICS
from harness.report.changes import CHANGED, DIFFER, JUDGED, Change
from harness.report.circumstances import Circumstance
from harness.report.collect import SEEDS_FOR_INTERVAL
from harness.report.outcomes import Cost
from harness.report.table import ARROWS, MISSING, number, significant
from harness.terminal.wording import plural

# The verdicts with a number to tell; the others are told in a line for many metrics and cells.
NUMBERED = (*JUDGED, DIFFER, "cannot tell")
_LONGEST = 60  # characters of a value: options and weights are long, a difference need not be
_CELLS_NAMED = 3

Record = dict[str, str]


def sentences(found: Comparison) -> list[str]:
    """Return what changed in a few sentences, with what they rest on."""
    pairs = found.pairing.pairs
    if not pairs:
        return ["No cell is in both: neither an id, nor a dataset with model and loss."]
    renamed = sum(pair.by != "id" for pair in pairs)
    other = f", {renamed} of them by dataset, model and loss alone" if renamed else ""
    lines = [f"{plural(len(pairs), 'cell')} in both{other}."]
    if not found.changes:
        return [*lines, "None of these metrics was measured in them."]
    counts = found.counts()
    told = [f"{count} {word}" for word, count in counts.items() if word in CHANGED]
    rest = [f"{count} {word}" for word, count in counts.items() if word not in CHANGED]
    of = plural(len(found.changes), "comparison")
    open_ones = counts.keys() & {DIFFER, "cannot tell"} and not counts.keys() & {*JUDGED}
    nothing = "no change could be tested" if open_ones else "nothing changed beyond noise"
    what = f"{', '.join(told)}, B against A" if told else nothing
    lines.append(f"Of {of}: {what}{'; ' + ', '.join(rest) if rest else ''}.")
    return [*lines, *_tests(found)]


def _tests(found: Comparison) -> list[str]:
    """What was tested, over what, and what was not."""
    lines = []
    if found.tested:
        many = ", at 5 % for all of them together (Holm)" if found.tested > 1 else ", at 5 %"
        tested = plural(found.tested, "difference")
        lines.append(
            f"{tested} of metrics and step times tested over trainings, {SEEDS_FOR_INTERVAL} seeds "
            f"or more of each{many}; intervals are each its own."
        )
    if any(each.word == DIFFER for each in found.changes):
        lines.append(
            f"Below {SEEDS_FOR_INTERVAL} seeds test images alone tell two models apart, as they do "
            "most models that were trained twice: that is no change."
        )
    return lines


def unnumbered(found: Comparison, names: dict[str, str]) -> dict[str, list[str]]:
    """Return the metrics without a difference to judge: by verdict, a line for cells alike."""
    told: dict[str, dict[str, list[str]]] = {}
    for each in found.changes:
        if each.word not in NUMBERED:
            label = METRICS[each.metric].label
            told.setdefault(each.verdict, {}).setdefault(each.cell, []).append(label)
    pairs = len(found.pairing.pairs)
    lines: dict[str, list[str]] = {}
    for verdict, cells in told.items():
        alike: dict[str, list[str]] = {}
        for cell, labels in cells.items():
            alike.setdefault(", ".join(labels), []).append(cell)
        lines[verdict] = [
            f"{labels}  ({where(tuple(bearers), names, pairs)})"
            for labels, bearers in alike.items()
        ]
    return lines


def difference(each: Circumstance) -> str:
    """Return what is how in A and how in B; of digests the beginning."""
    return f"{each.name}: {_shortened(each.a)} → {_shortened(each.b)}"


def _shortened(text: str) -> str:
    if re.fullmatch(r"[0-9a-f]{16,}", text):
        return text[:8]
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def where(cells: tuple[str, ...], names: dict[str, str], pairs: int) -> str:
    """Return the cells by name: all, or the first few and how many more."""
    if len(cells) == pairs:
        return "every cell"
    shown = ", ".join(names[cell] for cell in cells[:_CELLS_NAMED])
    more = len(cells) - _CELLS_NAMED
    return f"{shown} and {more} more" if more > 0 else shown


def metric_record(each: Change, names: dict[str, str]) -> Record:
    """Return a metric of a cell as a table shows it."""
    metric = METRICS[each.metric]
    unit = f" {metric.unit}" if metric.unit else ""
    half = (each.high - each.low) / 2
    decimals = _decimals(half, metric.decimals)
    inner = math.isfinite(each.low)
    ends = f"[{_signed(each.low, decimals)}, {_signed(each.high, decimals)}]"
    return {
        "cell": names[each.cell],
        "metric": f"{metric.label}{unit} {ARROWS[metric.direction]}".strip(),
        "A": number(each.a, metric.decimals),
        "B": number(each.b, metric.decimals),
        "B − A": _signed(each.difference, decimals),
        "95 % interval": ends if inner else MISSING,
        "over": each.over,
        "p": _chance(each.p),
        "": each.verdict,
    }


def _chance(p: float) -> str:
    if math.isnan(p):
        return MISSING
    return "<.001" if p < 0.001 else f"{p:.3f}".removeprefix("0")


def _decimals(half: float, least: int) -> int:
    """Decimals that give half an interval two significant digits, at least the metric's own."""
    if not half > 0:
        return least
    return max(least, 1 - math.floor(math.log10(half)))


def _signed(value: float, decimals: int) -> str:
    text = number(value, decimals)
    return f"+{text}" if value > 0 and not math.isclose(float(f"{value:.{decimals}f}"), 0) else text


def cost_record(each: Cost, names: dict[str, str]) -> Record:
    """Return β and cost of a cell as a table shows them."""
    half = f" ± {number(each.half, 2)}" if math.isfinite(each.half) else ""
    return {
        "cell": names[each.cell],
        "β A": significant(each.beta_a, 3),
        "β B": significant(each.beta_b, 3),
        "time B / A": f"{number(each.step_time, 2)}{half}",
        "MiB A": number(each.memory_a, 0),
        "MiB B": number(each.memory_b, 0),
        "": each.word,
    }
