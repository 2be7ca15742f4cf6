"""A probe on the terminal: a table of ratios and a sentence per loss."""

import pandas as pd
from rich.console import Console
from rich.text import Text

from harness.probe import words
from harness.probe.ladder import SHOWN
from harness.terminal import screens


def show(console: Console, frame: pd.DataFrame) -> None:
    """Print what was found at the level shown, then what that means."""
    first = frame.iloc[0]
    shape = str(first["image_shape"]).replace("x", "×")
    console.print(
        f"{first['dataset']}, images {shape}: energy at MSE {SHOWN:g}, over that of white noise",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    screens.table(console, words.records(frame))
    console.print()
    for loss, sentence in words.sentences(frame):
        line = Text.assemble((loss, "bold"), f": {sentence}")
        console.print(line, soft_wrap=not console.is_terminal)
    if gaps := words.gaps(frame):
        console.print(gaps, style="dim", highlight=False)
    console.print()
