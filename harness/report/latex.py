"""Text in LaTeX: what a table says in characters that any installation sets."""

import re
import unicodedata

SIGNS = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "±": r"$\pm$",
    "×": r"$\times$",
    "−": r"$-$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "†": r"$\dagger$",
    "‡": r"$\ddagger$",
    "§": r"\S{}",
    "¶": r"\P{}",
    "½": r"$\frac12$",
    "∞": r"$\infty$",
    "≈": r"$\approx$",
    "√": r"$\surd$",
    "‖": r"$\|$",
    "′": r"$'$",
    "‑": "-",
    "’": "'",
    "“": "``",
    "”": "''",
    "²": r"$^2$",
    "³": r"$^3$",
    "⁻": r"$^-$",
    "°": r"$^\circ$",
    "·": r"$\cdot$",
    "—": "---",
    "–": "--",
    "…": r"\ldots{}",
    "→": r"$\to$",
    "\N{NARROW NO-BREAK SPACE}": r"\,",
    "\N{NO-BREAK SPACE}": "~",
    "\n": " ",
}

# Characters of a word of running text that need no place where it may be broken.
LONG = 24

_GREEK = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau "
    "upsilon phi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega"
)
_LETTERS = "αβγδεζηθικλμνξπρστυφχψωΓΔΘΛΞΠΣΥΦΨΩ"
SIGNS |= {letter: rf"$\{name}$" for letter, name in zip(_LETTERS, _GREEK.split(), strict=True)}


def latex_escape(text: str) -> str:
    """Return `text` safe in LaTeX text mode; signs and Greek become mathematics, quotes stay.

    Accented Latin letters stay as they are, which LaTeX reads since 2018; any other character is
    named by its code point, because without a font for it LaTeX would stop there.
    """
    return "".join(SIGNS.get(character) or _other(character) for character in text)


def latex_prose(text: str) -> str:
    """Return running text as `latex_escape` does, with places where a long name may be broken.

    LaTeX breaks no word that is not one: `celeba64[split=80/20]`, a signature.
    """
    return " ".join(
        latex_escape(word)
        if len(word) <= LONG
        else r"\allowbreak{}".join(map(latex_escape, _parts(word)))
        for word in text.split(" ")
    )


def _parts(word: str) -> list[str]:
    """Return a long word in parts that end in signs, letters in parts no longer than that."""
    return re.findall(rf"\w{{1,{LONG}}}[^\w]*|[^\w]+", word)


def readable(text: str) -> str:
    """Return a quotation with its formulas in plain characters: `$\\Sigma(z)$` as Σ(z)."""
    return re.sub(r"\$([^$]*)\$", lambda formula: re.sub(r"\\(\w+)", _letter, formula[1]), text)


def _letter(command: re.Match[str]) -> str:
    names = dict(zip(_GREEK.split(), _LETTERS, strict=True))
    return names.get(command[1], command[0])


def _other(character: str) -> str:
    if character.isascii() or unicodedata.name(character, "").startswith("LATIN"):
        return character
    return f"U+{ord(character):04X}"
