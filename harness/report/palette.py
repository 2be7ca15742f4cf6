"""Colours and line styles of losses: one per name, everywhere, stable between reports."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

# Okabe and Ito (2008), "Color Universal Design": black, orange, sky blue, bluish green, yellow,
# blue, vermilion, reddish purple. Black is drawn in the reader's ink, so it shows on dark pages.
# #010101 stands for black because SVG leaves out the fill of shapes that are #000000.
BLACK, ORANGE, SKY, GREEN = "#010101", "#e69f00", "#56b4e9", "#009e73"
YELLOW, BLUE, VERMILION, PURPLE = "#f0e442", "#0072b2", "#d55e00", "#cc79a7"

# Yellow last: it is faint on white, so only the eighth loss of a style gets it.
HUES = (BLACK, SKY, ORANGE, GREEN, PURPLE, BLUE, VERMILION, YELLOW)
MARKERS = ("o", "s", "^", "D")
DASHES = ((), (4.0, 1.5), (1.2, 1.2), (6.0, 1.5, 1.2, 1.5))
SLOTS = len(HUES) * len(MARKERS)

# Slot = hue + 8 × style; a name that is not here is hashed to a slot.
KNOWN = {
    "l2": 0,
    "l1": 1,
    "ce": 2,
    "ssim": 3,
    "sigma": 4,
    "ffl": 5,
    "blur": 6,
    "watson": 7,
    "barron": 8,
    "stft": 9,
    "continuous-bernoulli": 10,
    "ms-ssim": 11,
    "lpips": 12,
    "dists": 13,
    "vgg": 14,
    "squeeze": 15,
    "dfc": 17,
    "vae-gan": 18,
    "sharpness": 19,
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


def looks(labels: Iterable[str]) -> dict[str, Look]:
    """Return the look of every loss, by its label.

    A known name keeps its slot in every report; of several cells with one loss, whose labels end
    in `(hash)`, the first has it. Another name, such as a sum or a loss with options, gets the
    first free slot from that of its hash on, of those that no known name has and then of all, and
    of a colour that the report does not use yet while there is one. Slots repeat after 32 losses.
    """
    names = sorted(set(labels))
    slots: dict[str, int] = {}
    for name in names:
        slot = KNOWN.get(name.partition(" (")[0])
        if slot is not None and slot not in slots.values():
            slots[name] = slot
    for name in names:
        if name not in slots:
            slots[name] = _free(_hashed(name), set(slots.values()))
    return {name: _look(slots[name]) for name in names}


def _hashed(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") % SLOTS


def _free(slot: int, taken: set[int]) -> int:
    every = [(slot + step) % SLOTS for step in range(SLOTS)]
    unknown = [each for each in every if each not in KNOWN.values()]
    left = [each for each in (*unknown, *every) if each not in taken] or [slot]
    hues = {each % len(HUES) for each in taken}
    return next((each for each in left if each % len(HUES) not in hues), left[0])


def _look(slot: int) -> Look:
    style, hue = divmod(slot, len(HUES))
    return Look(HUES[hue], MARKERS[style], DASHES[style])
