"""Losses held against perturbed images of a dataset, and what comes of it as rows."""

import hashlib
import json
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from harness import components, provenance, seeds, weights
from harness.components import Term
from harness.errors import HarnessError, StoreError
from harness.probe import measure, table
from harness.probe.bench import LATENT, Bench, threads
from harness.probe.ladder import LEVELS, Rungs
from harness.probe.perturbations import NOISE, PERTURBATIONS
from harness.specs import slug

log = logging.getLogger(__name__)

ALL = "all"
LATENT_NOTE = f"standard normal noise, {LATENT} units"

Losses = dict[str, tuple[Term, ...]]  # by canonical spec


@dataclass(frozen=True)
class Probed:
    """Everything a probe found, one row per loss, perturbation and level."""

    name: str
    rows: list[dict[str, Any]] = field(repr=False)

    @property
    def frame(self) -> pd.DataFrame:
        """The rows as they are stored."""
        return table.frame(self.rows)


def read_losses(texts: Iterable[str]) -> Losses:
    """Read specs of losses and sums, each loss once; `all` stands for every registered one.

    Raises:
        HarnessError: unknown name or option.
    """
    names = [n for t in texts for n in (components.registry("loss") if t == ALL else [t])]
    terms = [components.resolve_loss(name) for name in names]
    return {components.loss_spec(each): each for each in terms}


def probe(losses: Losses, bench: Bench, tell: Callable[[str], None] = lambda spec: None) -> Probed:
    """Hold every loss against the perturbed images.

    A loss whose weights are missing is a row `unavailable`, one that refuses such images a row
    `refused`, one that breaks a row `failed`.

    Args:
        losses: from `read_losses`.
        bench: from `bench.set_up`.
        tell: told each loss's spec before it is asked.

    Raises:
        HarnessError: no loss could be asked.
    """
    rows = []
    for spec, terms in losses.items():
        tell(spec)
        rows += [_about(bench) | {"loss": spec} | row for row in _rows(spec, terms, bench)]
    causes = [row["cause"] for row in rows if row["status"] != "ok" and not row.get("perturbation")]
    if len(causes) == len(losses):
        raise HarnessError(f"nothing to show: {next(iter(losses))}: {causes[0]}")
    return Probed(_name(losses, bench), rows)


def _rows(spec: str, terms: tuple[Term, ...], bench: Bench) -> list[dict[str, Any]]:
    try:
        return _asked(terms, bench)
    except (HarnessError, ValueError) as error:  # written for the user: grey, too small, …
        return [{"status": "refused", "cause": str(error).removeprefix(f"{spec}: ")}]
    except Exception as error:
        log.info("%s failed", spec, exc_info=True)
        return [{"status": "failed", "cause": f"{type(error).__name__}: {error}"}]


def _asked(terms: tuple[Term, ...], bench: Bench) -> list[dict[str, Any]]:
    missing = weights.missing(components.required_weights(terms, bench.targets.shape[1]))
    if missing:
        return [{"status": "unavailable", "cause": missing}]
    channels, height, width = bench.targets.shape[1:]
    loss = components.build_loss(
        terms,
        (channels, height, width),
        LATENT,
        generator=seeds.generator("probe", "loss", bench.dataset.spec),
        weights=weights.available(),
    )
    with threads(bench.targets, loss):
        reactions = measure.react(loss, bench.targets, bench.latent, bench.rungs)
    same = {"native_scale": float(loss.native_scale), "note": untrained(loss, terms)}
    return [same | row for row in _with_gaps(reactions, bench.rungs)]


def _with_gaps(
    reactions: tuple[measure.Reaction, ...], rungs: dict[str, Rungs]
) -> list[dict[str, Any]]:
    """Return a row per perturbation and level, also for those that too few images reach."""
    known = {(each.perturbation, each.level): each for each in reactions}
    rows = []
    for each in PERTURBATIONS:
        for number, level in enumerate(LEVELS):
            place = {"perturbation": each.name, "level": level, "unit": each.unit}
            found = known.get((each.name, level))
            if found is None:
                which = rungs[each.name].reached[number] & rungs[NOISE].reached[number]
                cause = f"{int(which.sum())} of {len(which)} images can be spoilt so far"
                rows.append(place | {"status": "left out", "cause": cause})
            else:
                values = vars(found) | {"gradient_power": found.power}
                del values["power"]
                rows.append(place | {"status": "ok"} | values)
    return rows


def untrained(loss: Any, terms: tuple[Term, ...]) -> str | None:
    """Return what of a loss training would change, which a probe sees as it begins."""
    if loss.companion is not None:
        return "its companion network is untrained, as drawn from the seed"
    if list(loss.main_parameters()):
        return "its learned parameters have their initial values"
    if loss.state_dict() and not components.required_weights(terms, 3):
        return "its running statistics have their initial values"
    return None


def _about(bench: Bench) -> dict[str, Any]:
    return {
        "dataset": bench.dataset.spec,
        "data_hash": bench.data_hash,
        "split": "test",
        "image_shape": "x".join(map(str, bench.targets.shape[1:])),
        "latent": LATENT_NOTE,
        **provenance.versions(),
    }


def _name(losses: Losses, bench: Bench) -> str:
    """Return a name that the same question always gets, so that asking again replaces it."""
    text = json.dumps([sorted(losses), bench.dataset.options, len(bench.targets)])
    return f"{slug(bench.dataset.spec)[:40]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def keep(found: Probed, rows: Path, figures: Path) -> list[Path]:
    """Write the rows and the figure with its numbers; return the paths, the rows' first.

    Raises:
        StoreError: the disk is full or a folder cannot be written.
    """
    from harness.report.drawing import save
    from harness.report.figures_probe import probe_figure
    from harness.report.fonts import light_font

    parquet = rows / f"{found.name}.parquet"
    table.write(found.rows, parquet)
    try:
        figures.mkdir(parents=True, exist_ok=True)
        with light_font():
            written, _ = save(probe_figure(found.frame, found.name), figures)
    except OSError as error:
        raise StoreError(
            f"cannot write to {figures} ({error.strerror}): choose another folder with --out"
        ) from error
    return [parquet, *written]
