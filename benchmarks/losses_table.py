"""The table of `benchmarks.losses`, made of its figures."""

from typing import Any

HEAD = (
    "| loss | 64×64 ms | × l2 | MiB | ours / package | 256×256 ms | × l2 | MiB | ours / package "
    "| step 64×64 × l2 | memory × l2 | step 256×256 × l2 | memory × l2 |"
)

# Their step trains a network of theirs too: what they cost alone says too little.
COMPANIONS = ("blur", "vae-gan")


def markdown(figures: dict[str, Any]) -> str:
    """Return one row per loss; an empty field was not measured."""
    machine = figures["machine"]
    lines = [
        "# What the losses cost",
        "",
        f"{machine['cpu']}, {machine['threads']} threads, torch {machine['torch']}, Python "
        f"{machine['python']}. Made by `python -m benchmarks.losses`. Forward and backward of the "
        "loss alone (64 images of 3×64×64, 16 of 3×256×256), medians, in turn with `l2` and the "
        "package; MiB beyond what was there. Step: one training step of architecture A "
        "(43.6 million parameters), companion included, over the same step under `l2`; in "
        "parentheses, not measured as a step: the step under `l2` plus what the loss alone costs "
        "more than `l2`. The row of `l2` itself shows how far such a ratio is from 1 by chance.",
        "",
        HEAD,
        "|---|" + "---:|" * (HEAD.count("|") - 2),
    ]
    energies, steps = figures.get("energies", {}), figures.get("steps", {})
    for spec in dict.fromkeys([*energies, *steps]):
        fields = [f"`{spec}`"]
        for size in ("64", "256"):
            fields += _energy(energies.get(spec, {}).get(size, {}))
        for size in ("64", "256"):
            measured = steps.get(spec, {}).get(size, {})
            alone = energies.get(spec, {}).get(size, {})
            base = next(
                (each[size] for each in steps.values() if "l2_ms" in each.get(size, {})), {}
            )
            if measured or spec.startswith(COMPANIONS):
                fields += _step(measured)
            else:
                fields += _expected(alone, base)
        lines.append("| " + " | ".join(fields) + " |")
    return "\n".join(lines) + "\n"


def _energy(found: dict[str, Any]) -> list[str]:
    if "ours_ms" not in found:
        return ["unavailable" if found else "", "", "", ""]
    ours, package = found["ours_ms"], found.get("package_ms")
    return [
        f"{ours:.1f}",
        f"{ours / found['l2_ms']:.1f}",
        f"{found['ours_mib']:.0f}",
        f"{ours / package:.2f}" if package else "",
    ]


def _step(found: dict[str, Any]) -> list[str]:
    if "ours_ms" not in found:
        return ["unavailable" if found else "", ""]
    memory = found["ours_mib"] / found["l2_mib"] if found["l2_mib"] else float("nan")
    return [f"{found['ours_ms'] / found['l2_ms']:.2f}", f"{memory:.2f}"]


def _expected(alone: dict[str, Any], base: dict[str, Any]) -> list[str]:
    """Return the time a step would take: that under `l2` plus what the loss alone costs more."""
    if "ours_ms" not in alone or "l2_ms" not in base:
        return ["", ""]
    more = (alone["ours_ms"] - alone["l2_ms"]) / base["l2_ms"]
    return [f"({1 + more:.2f})", ""]
