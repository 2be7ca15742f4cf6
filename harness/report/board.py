"""Many small pictures in one figure: one pair of axes in inches instead of one for each.

Axes of their own cost Matplotlib ten times what their picture does.
"""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike

from harness.report.drawing import panel

_POINT = 1 / 72  # inches


class Board:
    """The whole of a figure in inches from its lower left corner, to pin pictures and words on."""

    def __init__(self, figure: Figure) -> None:
        across, up = (float(side) for side in figure.get_size_inches())
        self.axes: Axes = panel(figure, 0, 0, across, up)
        self.axes.set_axis_off()
        self.axes.set(xlim=(0, across), ylim=(0, up))  # which no picture changes from now on

    def picture(
        self, image: ArrayLike, left: float, bottom: float, width: float, height: float, **how: Any
    ) -> None:
        """Pin an image; `how` are `imshow`'s colours."""
        extent = (left, left + width, bottom, bottom + height)
        self.axes.imshow(image, interpolation="none", extent=extent, aspect="auto", **how)

    def edge(self, left: float, bottom: float, width: float, height: float, colour: str) -> None:
        """Draw a thin line around a place."""
        line = Rectangle((left, bottom), width, height, fill=False, edgecolor=colour, linewidth=0.4)
        self.axes.add_patch(line)

    def above(self, middle: float, top: float, text: str, **how: Any) -> None:
        """Write a title above a picture whose upper edge is at `top`."""
        self.axes.text(middle, top + 3 * _POINT, text, ha="center", va="baseline", **how)

    def below(self, middle: float, bottom: float, text: str) -> None:
        """Write a label below a picture whose lower edge is at `bottom`."""
        self.axes.text(middle, bottom - 2 * _POINT, text, ha="center", va="top")

    def within(self, middle: float, centre: float, text: str) -> None:
        """Write where a picture would stand."""
        self.axes.text(middle, centre, text, ha="center", va="center")

    def beside(self, left: float, centre: float, text: str) -> None:
        """Write upwards, left of a row whose pictures begin at `left`."""
        self.axes.text(
            left - 3 * _POINT, centre, text, ha="right", va="center", rotation="vertical"
        )
