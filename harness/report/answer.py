"""The answer: two or three sentences with numbers and doubt in them."""

import math
from collections.abc import Sequence

from harness.metrics import METRICS
from harness.report.advantage import optimised
from harness.report.collect import Cell, Group
from harness.report.main_table import REFERENCE, floor
from harness.report.means import Estimate, estimate, step_ratio, timed
from harness.report.notes import label
from harness.report.state import sentence
from harness.report.table import number, plural, with_spread
from harness.report.ties import Ranking, mixed, rank

SHOWN = 6  # names in a list before the rest is counted


def answer(group: Group) -> list[str]:
    """Return up to three paragraphs for one group: winner and cost, pixel metrics, troubles."""
    if not group.measured:
        return [" ".join([f"On {group.title} no loss has a final model yet.", *_troubles(group)])]
    ranking = rank(group.measured, group.objective)
    paragraphs = (
        [_winner(group, ranking), _cost(group, ranking)],
        [*_beaten_by_floor(group), _per_image(group)],
        _troubles(group),
    )
    return [text for each in paragraphs if (text := " ".join(filter(None, each)))]


def names(cells: Sequence[Cell]) -> str:
    """Return the losses in backquotes: `a`, `b` and `c`; a long list ends in a count."""
    quoted = [f"`{cell.label}`" for cell in cells]
    if len(quoted) > SHOWN:
        return f"{', '.join(quoted[:SHOWN])} and {len(quoted) - SHOWN} more"
    return _listed(quoted)


def value(cell: Cell, metric: str) -> str:
    """Return the printed estimate with its spread and unit."""
    found = estimate(cell, metric)
    known = METRICS[metric]
    mean, spread = with_spread(found.mean, found.spread, known.decimals)
    spread = f"\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}{spread}" if spread else ""
    return f"{mean}{spread}{' ' + known.unit if known.unit else ''}"


def _winner(group: Group, ranking: Ranking) -> str:
    metric = group.objective
    where = f"On {group.title}"
    if ranking.best is None:
        only = [cell for cell in group.measured if estimate(cell, metric).known]
        if not only:
            return f"{where} no loss has a finite {label(metric)}."
        values = ", ".join(f"`{cell.label}` {value(cell, metric)}" for cell in only[:SHOWN])
        why = "there is nothing to rank"
        if mixed(group.measured, metric):
            why = "losses were not measured alike (see the signatures), so none is best"
        return f"{where} {why} on {label(metric)}: {values}."
    best = ranking.best
    if ranking.tied:
        values = ", ".join(value(cell, metric) for cell in ranking.winners[:SHOWN])
        return (
            f"{where}, {names(ranking.winners)} are tied best on {label(metric)} ({values}; "
            f"{_ground(ranking, tied=True)}{_untested(ranking)})."
        )
    second = ranking.rivals[0].cell
    lead = f"before {names([second])} ({value(second, metric)})"
    head = f"{where}, {names([best])} has the best {label(metric)}: {value(best, metric)}, {lead}"
    if not ranking.judged:
        seeds = plural(len(best.finals), "seed")
        return f"{head}; with {seeds} that lead cannot be tested (from `--seeds 3` on it can)."
    return f"{head}; {_ground(ranking, tied=False)}."


def _ground(ranking: Ranking, *, tied: bool) -> str:
    """What tells whether the best differs from those tied with it, or from the others."""
    tested = [each for each in ranking.rivals if each.comparison is not None]
    found = next((each.comparison for each in tested if each.tied is tied), None)
    if found is None:
        return "equal numbers, not tested"
    seeds = plural(len(ranking.best.finals) if ranking.best else 0, "seed")
    where = f"over the test images ({seeds}), "
    if "seeds" in found.over:
        images = " and the test images" if found.over == "images and seeds" else ""
        where = f"{plural(found.seeds, 'seed')}{images}, "
    if len(tested) == 1:
        verb = "contains" if tied else "excludes"
        return f"{where}the 95 % interval of the difference {verb} 0"
    side = "above" if tied else "below"
    return f"{where}p {side} 0.05 after Holm's correction for {len(tested)} comparisons"


def _untested(ranking: Ranking) -> str:
    """Those of whom nothing tells whether they are tied too."""
    cells = [each.cell for each in ranking.rivals if math.isnan(each.p)]
    return f"; {names(cells)} cannot be tested" if cells else ""


def _cost(group: Group, ranking: Ranking) -> str:
    """What the winners cost over the reference; what the others cost where it won alone."""
    reference = group.cell(REFERENCE)
    others = [cell for cell in ranking.winners if cell is not reference]
    shown = others or [cell for cell in group.measured if cell is not reference]
    ratios = {cell.label: step_ratio(cell, reference) for cell in shown}
    ratios = {name: ratio for name, ratio in ratios.items() if ratio.known}
    doubt = _doubt(shown, reference)
    if len(ratios) > (SHOWN if others else 1):
        low, high = (end(ratios, key=lambda name: ratios[name].mean) for end in (min, max))
        return (
            f"A step costs from {_times(ratios[low])} (`{low}`) to {_times(ratios[high])} "
            f"(`{high}`) that of `{REFERENCE}`{doubt}."
        )
    parts = [f"`{name}` costs {_times(ratio)}" for name, ratio in ratios.items()]
    return f"{_listed(parts)} a step of `{REFERENCE}`{doubt}." if parts else ""


def _doubt(shown: Sequence[Cell], reference: Cell | None) -> str:
    """How far the times of single seeds may be trusted; those of several have their spread."""
    if reference is None or any(len(cell.finals) > 1 for cell in shown):
        return ""
    timings = 1 + min((len(cell.tunes) for cell in shown), default=0)
    if timings == 1:
        return " (one timing each)"
    ranges = [timed(cell, cell)[1] for cell in (*shown, reference)]
    return (
        f" (fastest of {timings} timings each; one loss's own timings lie up to "
        f"{number(max(ranges), 2)}× apart, and no ratio nearer to 1 than that means anything)"
    )


def _listed(parts: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(parts[:-1]), parts[-1]]))


def _times(ratio: Estimate) -> str:
    spread = f" ± {number(ratio.spread, 2)}" if math.isfinite(ratio.spread) else ""
    return f"{number(ratio.mean, 2)}{spread}×"


def _per_image(group: Group) -> str:
    """The best on the pixel metrics, in one sentence."""
    wins: dict[str, list[str]] = {}
    for metric in ("psnr", "ssim"):
        ranking = rank(group.measured, metric)
        if ranking.best is None or metric == group.objective:
            continue
        verb = "is best" if len(ranking.winners) == 1 else "are tied best"
        score = f"on {label(metric)} ({value(ranking.best, metric)})"
        score += _own(ranking.winners, metric)
        wins.setdefault(f"{names(ranking.winners)} {verb}", []).append(score)
    parts = [f"{who} {' and '.join(scores)}" for who, scores in wins.items()]
    return f"{'; '.join(parts)}." if parts else ""


def _own(winners: Sequence[Cell], metric: str) -> str:
    """Say where a winner was trained on the very formula that it wins."""
    own = [cell for cell in winners if optimised(cell, metric)]
    if len(own) == len(winners):
        return f", which {'it optimises' if len(own) == 1 else 'they optimise'}"
    return f", which {names(own)} {'optimises' if len(own) == 1 else 'optimise'}" if own else ""


def _beaten_by_floor(group: Group) -> list[str]:
    lines = []
    for metric in ("psnr", "ssim"):
        bound = floor(group, metric)
        below = [cell for cell in group.measured if estimate(cell, metric).mean <= bound]
        if below:
            verb = "does" if len(below) == 1 else "do"
            lines.append(
                f"{names(below)} {verb} no better on {label(metric)} than predicting the mean "
                f"image ({number(bound, METRICS[metric].decimals)})."
            )
    return lines


def _troubles(group: Group) -> list[str]:
    """Cells that failed, are stale or did not run, gathered by what happened to them."""
    states: dict[str, list[Cell]] = {}
    for cell in group.cells:
        if cell.state:
            states.setdefault(cell.state, []).append(cell)
    lines = [sentence(state, names(cells), len(cells)) for state, cells in states.items()]
    bound = [cell for cell in group.measured if cell.finals["beta_flag"].notna().any()]
    if bound:
        lines.append(f"The tuned β of {names(bound)} lies at the end of its range.")
    return lines
