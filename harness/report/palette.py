"""Colours, marks and line styles of losses: one look per name on all figures of a page."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

# Okabe and Ito (2008), "Color Universal Design": black, orange, sky blue, bluish green, yellow,
# blue, vermilion, reddish purple. Black is drawn in the reader's ink, so it shows on dark pages.
# #010101 stands for black because SVG leaves out the fill of shapes that are #000000.
BLACK, ORANGE, SKY, GREEN = "#010101", "#e69f00", "#56b4e9", "#009e73"
YELLOW, BLUE, VERMILION, PURPLE = "#f0e442", "#0072b2", "#d55e00", "#cc79a7"

# Yellow last: it is faint on white, so only the eighth loss of a report gets it.
HUES = (SKY, ORANGE, GREEN, VERMILION, PURPLE, BLUE, YELLOW)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DASHES = (
    (),
    (4.0, 1.5),
    (1.2, 1.2),
    (6.0, 1.5, 1.2, 1.5),
    (9.0, 2.0),
    (2.2, 1.0),
    (6.0, 1.2, 1.2, 1.2, 1.2, 1.2),
    (1.2, 2.6),
)

REFERENCE = "l2"  # alone in black
# The hues of these, where the report leaves a choice, and their order: the first to choose.
KNOWN = {
    REFERENCE: BLACK,
    "l1": SKY,
    "ce": ORANGE,
    "ssim": GREEN,
    "blur": VERMILION,
    "l2 + ffl": PURPLE,
    "vgg": BLUE,
    "watson-dft": SKY,
    "dft": ORANGE,
    "stft": BLUE,
    "ffl": PURPLE,
    "sigma": BLUE,
    "watson": SKY,
    "barron": GREEN,
    "continuous-bernoulli": ORANGE,
    "ms-ssim": GREEN,
    "lpips": VERMILION,
    "dists": PURPLE,
    "squeeze": BLUE,
    "dfc": SKY,
    "vae-gan": GREEN,
    "l2 + sharpness": PURPLE,
    "sharpness": ORANGE,
}


@dataclass(frozen=True)
class Look:
    """How a loss is drawn: `colour` is a hex string, `dash` an on-off pattern in line widths."""

    colour: str
    marker: str
    dash: tuple[float, ...]

    def line(self) -> dict[str, Any]:
        """Return what Matplotlib's `plot` needs to draw a line of this loss."""
        return {"color": self.colour, "dashes": self.dash or (None, None)}


def family(label: str) -> str:
    """Return a loss's name without options, weights and what a label adds in round brackets.

    Its variants are one family: `blur[c=0.1]` is `blur`. A sum is a family of its own, and
    `l2 + 50*ffl` is `l2 + ffl`.
    """
    bare = re.sub(r"\[[^\]]*\]|\s+\([^()]*\)$", "", label)
    return re.sub(r"(?:^|(?<=\+ ))[^\s*+]+\*", "", bare)


def looks(labels: Iterable[str]) -> dict[str, Look]:
    """Return the look of every loss, by its label.

    A family has one hue, and its members differ in mark and dash. `l2` alone is black; the other
    families differ in hue while there are no more than seven, then they share hues with other
    marks and dashes. A known family chooses before the others and has a hue that it prefers, that
    of another comes from its hash. The order of `labels` is of no account; looks repeat after 64
    of one hue.
    """
    members: dict[str, list[str]] = {}
    for label in sorted(set(labels), key=lambda label: (label != family(label), label)):
        members.setdefault(family(label), []).append(label)
    order = [*(name for name in KNOWN if name in members), *sorted(set(members) - set(KNOWN))]
    families: Counter[str] = Counter()  # per hue
    used: Counter[str] = Counter()
    found = {}
    for name in order:
        hue = _hue(name, families)
        families[hue] += 1
        for label in members[name]:
            found[label] = Look(hue, *_style(used[hue]))
            used[hue] += 1
    return found


def _hue(name: str, families: Counter[str]) -> str:
    """Of the hues that the fewest families have, the next from the preferred one on."""
    if name == REFERENCE:
        return BLACK
    wanted = HUES.index(KNOWN[name]) if name in KNOWN else _hashed(name) % (len(HUES) - 1)
    *bright, faint = HUES
    order = [*bright[wanted:], *bright[:wanted], faint]
    return min(order, key=lambda hue: families[hue])


def _hashed(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")


def _style(place: int) -> tuple[str, tuple[float, ...]]:
    """The first of a hue differ in mark and in dash, for a figure may show only one of both."""
    turn, mark = divmod(place, len(MARKERS))
    return MARKERS[mark], DASHES[(mark + turn) % len(DASHES)]
