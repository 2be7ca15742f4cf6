"""Names of losses in the width of a figure: short, and each still another's than its neighbour."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial

LONGEST = 26  # characters of a loss in a figure; the data beside it has the whole name

Form = Callable[[str], str]


def shortened(names: Iterable[str], letters: int = LONGEST) -> dict[str, str]:
    """Return every name as a figure shows it that shows them all: no two are the same.

    Up to `letters` letters a name stays whole. A longer one keeps its beginning and its end, since
    the last options of `blur[kernel=gaussian,variance=4]` tell it from its relatives; where others
    of the set have both in common, a piece of its middle, and at last a number. Only numbers too
    long for `letters` make a name longer. The order of `names` is of no account.
    """
    every = sorted(set(names))
    found = {name: name for name in every if len(name) <= letters}
    for form in _forms(letters, max(map(len, every), default=0)):
        left = [name for name in every if name not in found]
        if not left:
            break
        tried = {name: form(name) for name in left}
        counts, taken = Counter(tried.values()), set(found.values())
        found |= {x: text for x, text in tried.items() if counts[text] == 1 and text not in taken}
    for name in every:
        if name not in found:
            found[name] = _numbered(name, letters, set(found.values()))
    return found


def _forms(letters: int, longest: int) -> Iterator[Form]:
    head = max(1, letters // 2 - 1)
    tail = letters - 1 - head
    yield partial(_ends, head=head, tail=tail, whole=True)
    yield partial(_ends, head=head, tail=tail)
    if letters < 8:
        return
    piece = (letters - 2) // 3
    for start in range(piece, longest - piece):
        yield partial(_middle, piece=piece, start=start, tail=letters - 2 - 2 * piece)


def _ends(name: str, head: int, tail: int, *, whole: bool = False) -> str:
    end = name[-tail:] if tail else ""
    # Whole options rather than the end of a word.
    mark = re.search(r"[\[,+*]", end[:5]) if whole else None
    return f"{name[:head]}…{end[mark.start() :] if mark else end}"


def _middle(name: str, piece: int, start: int, tail: int) -> str:
    return f"{name[:piece]}…{name[start : start + piece]}…{name[-tail:]}"


def _numbered(name: str, letters: int, taken: set[str]) -> str:
    number = 1
    while True:
        number += 1
        text = f"{name[: max(1, letters - 1 - len(str(number)))]}…{number}"
        if text not in taken:
            return text


def in_two_lines(name: str, letters: int) -> str:
    """Break a name of up to twice `letters` letters into two lines, where an option begins or ends.

    If neither line would fit then, before an equals sign or a plus, and at last anywhere.
    """
    if len(name) <= letters:
        return name
    fit = range(max(1, len(name) - letters), min(letters, len(name) - 1) + 1)
    options = [place for place in fit if name[place - 1] in "[,… "]
    signs = [place for place in fit if name[place] in "=+*…"]
    places = options or signs or list(fit) or [letters]
    place = min(places, key=lambda each: abs(2 * each - len(name)))
    return f"{name[:place].rstrip()}\n{name[place:].lstrip()}"
