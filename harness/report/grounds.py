"""What comparisons were tested over, in words."""

from collections.abc import Sequence

from harness.report.paired import Comparison
from harness.report.resampling import RESAMPLES
from harness.report.table import spanned
from harness.report.ties import Ranking

_GROUNDS = {
    "images and seeds": "bootstrap, {resamples} resamples of test images and of {seeds}",
    "images": "bootstrap, {resamples} resamples of test images, which tells how far these models "
    "differ and not what other seeds would give",
    "seeds": "Student's t over {seeds}",
    "unpaired images": "standard errors over test images, unpaired, where no scores are stored",
}


def grounds(rankings: Sequence[Ranking]) -> str:
    """Return what the comparisons of some columns were tested over, "" without any."""
    found: dict[str, list[Comparison]] = {}
    for rival in (rival for each in rankings for rival in each.rivals):
        if rival.comparison is not None:
            found.setdefault(rival.comparison.over, []).append(rival.comparison)
    return "; ".join(_ground(over, found[over]) for over in _GROUNDS if over in found)


def _ground(over: str, comparisons: list[Comparison]) -> str:
    seeds = f"{spanned(each.seeds for each in comparisons)} seeds"
    return _GROUNDS[over].format(resamples=f"{RESAMPLES:,}", seeds=seeds)
