"""A page per loss: what it is, its options, what the probe shows."""

import inspect
import json
from pathlib import Path
from typing import Any

import losses
from harness import weights
from harness.documentation.markdown import GENERATED, code, command, plain, prose, table
from harness.documentation.options import options_table
from harness.loss_facts import facts
from harness.metrics import METRICS
from harness.report.advantage import FORMULA, LOSS_NETWORK, METRIC_NETWORK
from harness.weight_files import TABLE

CAPTIONS = "captions.json"


def pages(folder: Path) -> dict[str, str]:
    """Return the page of each loss; the probe's pictures are those that lie in `folder`."""
    captions = _captions(folder / "pictures" / CAPTIONS)
    return {f"losses/{entry.name}.md": page(entry, captions) for entry in entries()}


def entries() -> list[losses.Entry]:
    """Return the losses of this package, without those of plugins."""
    return [each for each in losses.REGISTRY.values() if each.module.startswith("losses.")]


def _captions(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def page(entry: losses.Entry, captions: dict[str, Any]) -> str:
    """Return the page of a loss."""
    cls = losses.find(entry.name)
    parts = [
        GENERATED,
        f"# {entry.name}",
        table(("", ""), _facts(entry, cls).items()),
        prose(inspect.getdoc(cls) or ""),
        "## Options",
        options_table("loss", entry.name),
        "## What it sees",
        _seen(entry.name, cls, captions),
        "[All losses](../index.md#losses) · [the protocol](../protocol.md) · "
        "[the metrics](../metrics.md)",
    ]
    return "\n\n".join(parts) + "\n"


def _facts(entry: losses.Entry, cls: Any) -> dict[str, str]:
    """Return what is true of the loss with its default options."""
    own = facts(entry.name)
    head = {
        "family": entry.family,
        "source": plain(entry.source),
        "needs": _needs(cls),
        **own,
        "home advantage": _advantage(entry.name),
    }
    return {key: value for key, value in head.items() if value}


def _needs(cls: Any) -> str:
    names = dict.fromkeys(name for channels in (3, 1) for name in cls.required(channels))
    if not names:
        return "nothing"
    return f"the weights {', '.join(map(code, names))}; {_preparing(cls)}"


def _preparing(cls: Any) -> str:
    """Return how to get what no installed package brings."""
    return command(weights.how(n for n in cls.required(3) if not TABLE[n].package))


def _advantage(name: str) -> str:
    network = LOSS_NETWORK.get(name)
    home = [m for m, net in METRIC_NETWORK.items() if net == network]
    home += ["fsd_recon", "fsd_gen"] if network == "squeezenet" else []
    formula = [m for m in FORMULA.get(name, ()) if m not in home]
    parts = [f"not ranked by {_labels(home)}: its network is the loss's own"] if home else []
    parts += [f"optimises {_labels(formula)} directly, or nearly so"] if formula else []
    return "; ".join(parts)


def _labels(names: list[str]) -> str:
    return ", ".join(plain(METRICS[name].label) for name in names)


def _seen(name: str, cls: Any, captions: dict[str, Any]) -> str:
    if name not in captions:
        first = f" after {_preparing(cls)}" if cls.required(3) else ""
        return f"No picture here: `harness probe {name}`{first} draws it."
    shown = captions[name]
    return (
        f"![Energies of {name} for spoilt images, and the spectrum of its gradient]"
        f"(../pictures/{name}.png)\n\n"
        f"{plain(shown['sentence'][0].upper() + shown['sentence'][1:])}. Without training, on "
        f"{shown['images']} images of {code(shown['dataset'])} spoilt to the same mean squared "
        f"error: `harness probe {name}`."
    )
