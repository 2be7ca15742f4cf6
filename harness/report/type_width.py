"""How wide text is in Computer Modern, without running LaTeX.

Source of the widths: the font metrics of cmr10, cmr8, cmr7, cmr5 and cmbx10 (Knuth 1986). Kerns are
left out, which make text narrower, as a rule by less than 2 %.
"""

import functools
import unicodedata
from dataclasses import dataclass

# Thousandths of a quad of cmr10; a sign that latex_escape sets as mathematics has its own width.
_WIDTHS = {
    "\N{NARROW NO-BREAK SPACE}": 167,
    "!',.:;[]`il|·’": 278,
    "fj": 306,
    " \N{NO-BREAK SPACE}-‑I′": 340,
    "()t_": 389,
    "rs²³°": 394,
    "cezγικτ": 450,
    "†‡§": 465,
    '$*/0123456789\\^ago{}~"“”–↑↓‖½': 500,
    "?Jkqvxyδεζηλνπρσυχ": 528,
    "Sbdhnpu¶αβθμξφψω": 600,
    "EFLPZΓ⁻": 680,
    "BCRTw": 736,
    "ADGHKNOQUVXY&+=@<>±×−≥≤ΔΘΛΞΠΣΥΦΨΩ": 785,
    "#%m√": 833,
    "M—∞→≈W": 1028,
    "…": 1340,
}
_BY_CHARACTER = {character: width for text, width in _WIDTHS.items() for character in text}
BOLD = 1.16  # over the regular type


@dataclass(frozen=True)
class Size:
    """A size of type in a document of 10 pt: its command, and in points its quad and `tabcolsep`.

    The quad is that which makes the widths of cmr10 the widths at this size.
    """

    command: str
    quad: float
    gap: float


FOOTNOTE = Size(r"\footnotesize", 8.5, 3.0)
SCRIPT = Size(r"\scriptsize", 8.0, 3.0)
TINY = Size(r"\tiny", 7.0, 1.5)


@functools.lru_cache(maxsize=1 << 14)
def ems(text: str) -> float:
    """Return the width of a text as `latex_escape` sets it, in quads of cmr10."""
    return sum(map(_thousandths, text)) / 1000


def _thousandths(character: str) -> int:
    known = _BY_CHARACTER.get(character) or _BY_CHARACTER.get(
        unicodedata.normalize("NFD", character)[0]
    )
    # What LaTeX has no font for is set as its code point, as U+1F600; a rare Latin letter as m.
    return known or (833 if unicodedata.name(character, "").startswith("LATIN") else 3900)


def words(text: str) -> list[str]:
    """Return the parts of a text between which a line may end: an arrow stays with its word."""
    for arrow in "↑↓":
        text = text.replace(f" {arrow}", f"\N{NO-BREAK SPACE}{arrow}")
    return text.split(" ")


def wrapped(text: str, room: float) -> list[str]:
    """Return a text in lines of at most `room` quads; a word wider than that is broken.

    There is at least one line.
    """
    lines: list[str] = []
    for word in words(text):
        joined = f"{lines[-1]} {word}" if lines else word
        if lines and ems(joined) <= room:
            lines[-1] = joined
        else:
            lines += _pieces(word, room)
    return lines


def _pieces(word: str, room: float) -> list[str]:
    """Return a word in pieces of at most `room` quads, rather ending after a sign than a letter."""
    pieces = []
    while ems(word) > room and len(word) > 1:
        fitting = next(n for n in range(len(word), 0, -1) if n == 1 or ems(word[:n]) <= room)
        signs = [n for n in range(1, fitting + 1) if not word[n - 1].isalnum()]
        cut = signs[-1] if signs else fitting
        pieces.append(word[:cut])
        word = word[cut:]
    return [*pieces, word]
