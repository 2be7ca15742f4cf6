"""Direct labels: the reader should not have to hunt through a legend."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.transforms import Bbox

from harness.report.abbreviations import shortened
from harness.report.drawing import POINTS, QUIET
from harness.report.palette import Look

LETTER = 0.62 * POINTS  # points: the width of an average letter, rounded up
HEIGHT = 1.25 * POINTS
RINGS = (5.0, 12.0, 20.0, 30.0, 42.0, 56.0, 72.0)  # points from a point to its name
# Beside a point first, then above and below; between these where a leader has to find its way.
_NEAR = ((1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1), (-1, 0), (0, 1), (0, -1))
_STEEP = tuple((x, y) for x in (1, -1) for y in (0.5, -0.5, 2, -2))


@dataclass(frozen=True)
class Label:
    """A name to be written beside a point in data coordinates."""

    text: str
    x: float
    y: float
    look: Look


def room(names: list[str]) -> float:
    """Return the inches that end labels of these names need."""
    longest = max(map(len, shortened(names).values()), default=0)
    return 0.22 + longest * LETTER / 72


def end_labels(axes: Axes, labels: list[Label]) -> None:
    """Write the names at the right of the axes at their lines' ends, pushed apart where needed."""
    _settle(axes)
    height = axes.get_window_extent().height / axes.figure.dpi * 72
    to_axes = axes.transData + axes.transAxes.inverted()
    ordered = sorted(labels, key=lambda label: label.y)
    names = shortened(label.text for label in labels)
    ends = [float(to_axes.transform((label.x, label.y))[1]) * height for label in ordered]
    for label, end, place in zip(ordered, ends, spread_out(ends, HEIGHT, height), strict=True):
        x = float(to_axes.transform((label.x, label.y))[0])
        axes.plot(
            [x, 1.03, 1.06],
            [end / height, place / height, place / height],
            transform=axes.transAxes,
            color=label.look.colour,
            linewidth=0.6,
            linestyle=(0, (1, 2)),  # dots: no data
            clip_on=False,
        )
        axes.text(
            1.075,
            place / height,
            names[label.text],
            transform=axes.transAxes,
            va="center_baseline",
        )


def spread_out(places: list[float], gap: float, top: float) -> list[float]:
    """Move sorted places apart to at least `gap`, keeping the whole within 0 and `top` if it fits.

    Neighbours that collide are centred on their mean (pool adjacent violators).
    """
    blocks: list[list[float]] = []  # centre, count
    for place in places:
        blocks.append([place, 1])
        while len(blocks) > 1 and _overlap(blocks[-2], blocks[-1], gap):
            (a, n), (b, m) = blocks[-2:]
            blocks[-2:] = [[(a * n + b * m) / (n + m), n + m]]
    moved = [
        centre + gap * (index - (count - 1) / 2)
        for centre, count in blocks
        for index in range(int(count))
    ]
    # Shifting the ends inside may close a gap; one pass in each direction mends that.
    for index in range(len(moved)):
        moved[index] = max(moved[index], moved[index - 1] + gap if index else 0.0)
    for index in reversed(range(len(moved))):
        last = index == len(moved) - 1
        moved[index] = min(moved[index], top if last else moved[index + 1] - gap)
    return moved


def _overlap(lower: list[float], upper: list[float], gap: float) -> bool:
    (a, n), (b, m) = lower, upper
    return a + gap * (n - 1) / 2 + gap > b - gap * (m - 1) / 2


def _settle(axes: Axes) -> None:
    """Let the axes take their final limits: until someone asks, Matplotlib puts that off."""
    axes.get_xlim()
    axes.get_ylim()


def point_labels(
    axes: Axes,
    labels: list[Label],
    line: list[tuple[float, float]],
    others: Sequence[tuple[float, float]] = (),
    bars: Sequence[tuple[tuple[float, float], tuple[float, float]]] = (),
) -> None:
    """Write each name beside its point, where it covers no name, no point, no line and no bar.

    `line` is a polyline of horizontal and vertical pieces in data coordinates, `bars` are such
    pieces by their ends, `others` are points without a name. A name that is not beside its point
    has a leader to it, which crosses nothing either where there is such a place.
    """
    _settle(axes)
    figure = axes.figure
    scale = figure.dpi / 72
    frame = axes.bbox
    anchors = [axes.transData.transform((label.x, label.y)) / scale for label in labels]
    taken = [Bbox.from_bounds(x - 3, y - 3, 6, 6) for x, y in anchors]
    bare = [axes.transData.transform(point) / scale for point in others]
    taken += [Bbox.from_bounds(x - 2, y - 2, 4, 4) for x, y in bare]
    pieces = [*itertools.pairwise(line), *bars]
    for (x0, y0), (x1, y1) in (axes.transData.transform(ends) / scale for ends in pieces):
        low, high = (min(x0, x1), min(y0, y1)), (max(x0, x1), max(y0, y1))
        taken.append(Bbox([[low[0] - 1, low[1] - 1], [high[0] + 1, high[1] + 1]]))
    inside = Bbox([[frame.x0 / scale, frame.y0 / scale], [frame.x1 / scale, frame.y1 / scale]])
    names = shortened(label.text for label in labels)
    for label, (x, y) in zip(labels, anchors, strict=True):
        text = names[label.text]
        box, leader = _place(x, y, len(text) * LETTER, taken, inside)
        taken += [box, *leader]
        side = _side(x, box)
        edge = {"left": box.x0, "right": box.x1, "center": (box.x0 + box.x1) / 2}[side]
        place: dict[str, Any] = {
            "xy": (label.x, label.y),
            "textcoords": "offset points",
            "annotation_clip": False,
        }
        axes.annotate(text, xytext=(edge - x, box.y0 + 0.25 * HEIGHT - y), ha=side, **place)
        if leader:
            end = _nearest(x, y, box)
            arrow = {"arrowstyle": "-", "linewidth": 0.5, "color": QUIET, "shrinkA": 0}
            axes.annotate("", xytext=(end[0] - x, end[1] - y), arrowprops=arrow, **place)


def _side(x: float, box: Bbox) -> Literal["left", "center", "right"]:
    """The side of a name that is nearest to its point."""
    return "left" if box.x0 > x else "right" if box.x1 < x else "center"


def _nearest(x: float, y: float, box: Bbox) -> tuple[float, float]:
    """The point of a name's box where its leader ends."""
    return min(max(x, box.x0), box.x1), min(max(y, box.y0 + 0.2 * HEIGHT), box.y1 - 0.2 * HEIGHT)


def _place(
    x: float, y: float, width: float, taken: list[Bbox], inside: Bbox
) -> tuple[Bbox, list[Bbox]]:
    """The nearest free box around a point, and the leader to it, empty where none is needed."""
    best, least = None, float("inf")
    for ring in RINGS:
        for dx, dy in _NEAR if ring == RINGS[0] else (*_NEAR, *_STEEP):
            left = x + (dx * ring if dx > 0 else dx * ring - width if dx < 0 else -width / 2)
            box = Bbox.from_bounds(left, y + dy * ring - HEIGHT / 2, width, HEIGHT)
            leader = _leader(x, y, box) if ring > RINGS[0] else []
            cost = 4 * _outside(box, inside)
            cost += sum(_shared(box, other) for other in taken)
            # A line through a name is worse than the few points that it covers.
            cost += 8 * sum(_shared(piece, other) for piece in leader for other in taken)
            if cost < least:
                best, least = (box, leader), cost
            if cost == 0:
                return box, leader
    if best is None:
        raise ValueError(f"no place for a label at a point that is not finite: ({x}, {y})")
    return best


def _leader(x: float, y: float, box: Bbox) -> list[Bbox]:
    """The line from a point's edge to a box, as a chain of small boxes."""
    end = _nearest(x, y, box)
    across, up = end[0] - x, end[1] - y
    steps = max(2, int(math.hypot(across, up) / 1.5))
    places = [(x + across * k / steps, y + up * k / steps) for k in range(1, steps)]
    return [
        Bbox.from_bounds(px - 0.5, py - 0.5, 1, 1)
        for px, py in places
        if max(abs(px - x), abs(py - y)) > 3.5 and not box.contains(px, py)
    ]


def _shared(a: Bbox, b: Bbox) -> float:
    width = min(a.x1, b.x1) - max(a.x0, b.x0)
    height = min(a.y1, b.y1) - max(a.y0, b.y0)
    return max(width, 0.0) * max(height, 0.0)


def _outside(box: Bbox, inside: Bbox) -> float:
    return float(box.width * box.height) - _shared(box, inside)
