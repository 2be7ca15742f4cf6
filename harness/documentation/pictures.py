"""What each loss sees, as the probe draws it: one small picture per loss whose weights are here."""

import io
import json
from pathlib import Path
from typing import Any

import pandas as pd

from harness.documentation import loss_pages
from harness.files import write_atomically

DPI, COLOURS = 150, 256


def draw(folder: Path) -> None:
    """Probe every loss; write `NAME.png` and what stands beside it, delete pictures of others.

    Raises:
        StoreError: the folder cannot be written.
    """
    from harness.probe import bench, probing

    spoilt = bench.set_up(bench.read_dataset(None, None), bench.IMAGES)
    names = [entry.name for entry in loss_pages.entries()]
    frame = probing.probe(probing.read_losses(names), spoilt).frame
    captions: dict[str, Any] = {}
    for name, rows in frame.groupby("loss", sort=False):
        if rows["perturbation"].isna().any():  # its weights are not here, or it broke
            continue
        captions[str(name)] = _caption(rows) | {"images": len(spoilt.targets)}
        content = picture(rows, str(name))
        write_atomically(folder / f"{name}.png", lambda stream, c=content: stream.write(c))  # type: ignore[misc]
    text = json.dumps(captions, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    write_atomically(folder / loss_pages.CAPTIONS, lambda stream: stream.write(text.encode()))
    for path in folder.glob("*.png"):
        if path.stem not in captions:
            path.unlink()


def _caption(rows: pd.DataFrame) -> dict[str, str]:
    from harness.probe.words import sentences

    ((_, sentence),) = sentences(rows)
    return {"sentence": sentence, "dataset": str(rows["dataset"].iloc[0])}


def picture(rows: pd.DataFrame, name: str) -> bytes:
    """Return the probe's figure of one loss as a PNG of few colours."""
    from PIL import Image

    from harness.report.drawing import style
    from harness.report.figures_probe import probe_figure

    wide, small = io.BytesIO(), io.BytesIO()
    with style(name):
        figure = probe_figure(rows, name).figure
        figure.savefig(wide, format="png", dpi=DPI, facecolor="white")
    few = Image.open(wide).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    few.save(small, format="png", optimize=True)
    return small.getvalue()
