"""Many small panels on one figure, placed in inches.

A pair of axes with its ticks takes matplotlib 50 ms, and a picture of samples would have up to forty: here all fields
are drawn on one pair.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ritz.tasks.report.figures.theme import INK, MUTED, NORMAL, SMALL, figure, log_scale, written_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure
    from matplotlib.ticker import Locator

POINT = 1 / 72
"""In inches."""

LINE, TICK, PAD = 0.6, 3.0, 3.5
"""Width of frames, length of ticks and the room between a tick and its label, in points."""

SCALE = 0.08
"""Width of a scale of colours, in inches."""


@dataclass(frozen=True)
class Box:
    """A panel's place in inches, from the lower left corner of the sheet, and the ends of its axes."""

    left: float
    bottom: float
    width: float
    height: float
    x: tuple[float, float] = (0.0, 1.0)
    y: tuple[float, float] = (0.0, 1.0)

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Left, right, bottom and top."""
        return self.left, self.left + self.width, self.bottom, self.bottom + self.height

    def across(self, x: Any) -> Any:
        """Return where values of ``x`` lie on the sheet."""
        return self.left + self.width * (np.asarray(x, float) - self.x[0]) / (self.x[1] - self.x[0])

    def up(self, y: Any) -> Any:
        """Return where values of ``y`` lie on the sheet."""
        return self.bottom + self.height * (np.asarray(y, float) - self.y[0]) / (self.y[1] - self.y[0])


class Sheet:
    """A figure of ``width`` × ``height`` inches; `finish` it after everything is on it."""

    def __init__(self, width: float, height: float) -> None:
        self.width, self.height = width, height
        self.figure = figure(width, height)
        self._axes: Axes = self.figure.add_axes((0, 0, 1, 1))
        self._axes.set_axis_off()
        self._axes.set(xlim=(0, width), ylim=(0, height))
        self._axes.set_autoscale_on(False)
        self._segments: list[list[tuple[float, float]]] = []
        self._widths: list[float] = []

    def panel(self, box: Box) -> Axes:
        """Return axes of their own at a place, for what is no field."""
        return self.figure.add_axes(
            (box.left / self.width, box.bottom / self.height, box.width / self.width, box.height / self.height)
        )

    def field(self, box: Box, values: np.ndarray, colours: str, norm: Normalize, *, smooth: bool = True) -> None:
        """Draw a field ``(rows, columns)``, the first row below, in a frame.

        If it is not smooth, each value is an area of one colour.
        """
        self._image(box, values, colours, norm, smooth=smooth)
        self.frame(box)

    def line(self, box: Box, x: np.ndarray, y: np.ndarray, colour: str, style: str = "-") -> None:
        """Draw a line in a panel; what is above or below it lies on its edge."""
        low, high = min(box.y), max(box.y)
        self._axes.plot(box.across(x), box.up(np.clip(y, low, high)), color=colour, linestyle=style, linewidth=1.2)

    def frame(self, box: Box) -> None:
        """Draw the frame of a panel."""
        left, right, bottom, top = box.extent
        corners = [(left, bottom), (right, bottom), (right, top), (left, top)]
        for start, end in zip(corners, corners[1:] + corners[:1], strict=True):
            self._line(start, end)

    def mesh(
        self, box: Box, nodes: tuple[Any, Any], triangles: Any, values: np.ndarray, colours: str, norm: Normalize
    ) -> None:
        """Draw values at the nodes of a mesh, in a frame; without its triangles the mesh is that of Delaunay."""
        from matplotlib.tri import Triangulation

        x, y = nodes
        whole = Triangulation(box.across(x), box.up(y), triangles)
        self._axes.tripcolor(whole, values, shading="gouraud", cmap=colours, norm=norm)
        self.frame(box)

    def title(self, box: Box, text: str) -> None:
        """Write a title above a panel."""
        middle, above = box.left + box.width / 2, box.bottom + box.height + 4 * POINT
        self._text(middle, above, text, NORMAL, INK, ha="center", va="baseline")

    def heading(self, left: float, top: float, text: str) -> None:
        """Write a heading, its upper left corner at a place."""
        self._text(left, top, text, NORMAL, INK, ha="left", va="top", weight="bold")

    def below(self, box: Box, name: str | None) -> None:
        """Draw the ticks of the horizontal axis; with numbers and its name where that is given."""
        values, labels, offset = _numbers(*box.x, _coordinates())
        for at, label in zip(box.across(values), labels, strict=True):
            self._line((at, box.bottom), (at, box.bottom - TICK * POINT))
            if name is not None:
                self._text(at, box.bottom - (TICK + PAD) * POINT, label, SMALL, MUTED, ha="center", va="top")
        if name is not None:
            under = box.bottom - (TICK + PAD + SMALL + 5) * POINT
            self._text(box.left + box.width / 2, under, f"{name} {offset}".rstrip(), NORMAL, INK, ha="center", va="top")

    def beside(self, box: Box, name: str | None) -> None:
        """Draw the ticks of the vertical axis; with numbers and its name where that is given."""
        values, labels, offset = _numbers(*box.y, _coordinates())
        for at, label in zip(box.up(values), labels, strict=True):
            self._line((box.left, at), (box.left - TICK * POINT, at))
            if name is not None:
                self._text(box.left - (TICK + PAD) * POINT, at, label, SMALL, MUTED, ha="right", va="center_baseline")
        if name is not None:
            room = TICK + PAD + SMALL * max(map(written_width, labels), default=0.0) + 3
            at, middle = box.left - room * POINT, box.bottom + box.height / 2
            self._text(at, middle, f"{name} {offset}".rstrip(), NORMAL, INK, ha="right", va="center", rotation=90)

    def scale(self, box: Box, colours: str, norm: Normalize) -> None:
        """Draw what the colours of a panel stand for, to its right."""
        from matplotlib.colors import LogNorm, Normalize
        from matplotlib.ticker import MaxNLocator

        low, high = float(norm.vmin or 0), float(norm.vmax or 0)
        left = box.left + box.width + 0.06
        beside = Box(left, box.bottom, SCALE, box.height)
        self._image(beside, np.linspace(0, 1, 256)[:, None], colours, Normalize(0, 1))
        if isinstance(norm, LogNorm):
            values, labels, minor = _decades(low, high)
            offset = ""
        else:
            (values, labels, offset), minor = _numbers(low, high, MaxNLocator(5), (-2, 3)), np.empty(0)
        size, edge = SMALL - 0.5, left + SCALE
        for at in beside.up(norm(minor)):
            self._line((edge, at), (edge + POINT, at), 0.5)
        for at, label in zip(beside.up(norm(values)), labels, strict=True):
            self._line((edge, at), (edge + 2 * POINT, at), 0.5)
            self._text(edge + 4 * POINT, at, label, size, MUTED, ha="left", va="center_baseline")
        if offset:
            self._text(left, box.bottom + box.height + 3 * POINT, offset, size, MUTED, ha="left", va="baseline")

    def finish(self) -> Figure:
        """Draw the frames and ticks, and return the figure."""
        from matplotlib.collections import LineCollection

        lines = LineCollection(self._segments, colors=MUTED, linewidths=self._widths, capstyle="projecting")
        self._axes.add_collection(lines, autolim=False)
        return self.figure

    def _image(self, box: Box, values: np.ndarray, colours: str, norm: Normalize, *, smooth: bool = True) -> None:
        how = None if smooth else "nearest"
        self._axes.imshow(
            values, cmap=colours, norm=norm, origin="lower", aspect="auto", extent=box.extent, interpolation=how
        )

    def _text(self, x: float, y: float, text: str, size: float, colour: str, **look: Any) -> None:
        self.figure.text(x / self.width, y / self.height, text, fontsize=size, color=colour, **look)

    def _line(self, start: tuple[float, float], end: tuple[float, float], width: float = LINE) -> None:
        self._segments.append([start, end])
        self._widths.append(width)


def _coordinates() -> Locator:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(3, steps=[1, 2, 2.5, 5, 10])


def _numbers(
    low: float, high: float, locator: Locator, limits: tuple[int, int] = (-5, 6)
) -> tuple[np.ndarray, list[str], str]:
    """Return where a linear axis has its ticks, their labels, and by what all labels are to be multiplied, or nothing.

    Beyond the powers of ten in ``limits`` a common one is split off.
    """
    from matplotlib.ticker import ScalarFormatter

    low, high = min(low, high), max(low, high)
    values = _within(locator, low, high)
    formatter = ScalarFormatter()
    formatter.set_powerlimits(limits)
    formatter.create_dummy_axis()
    if formatter.axis is not None:
        formatter.axis.set_view_interval(low, high)
    labels = formatter.format_ticks(values.tolist())
    # A formula takes matplotlib 20 ms: the labels are none.
    formatter.set_useMathText(True)
    return values, labels, formatter.get_offset()


def _decades(low: float, high: float) -> tuple[np.ndarray, list[str], np.ndarray]:
    """Return where a logarithmic axis has its ticks, their labels, and its minor ticks."""
    from matplotlib.ticker import LogLocator

    scale = log_scale(low, high)
    if scale is None:
        values = _within(LogLocator(numticks=5), low, high)
        return values, [f"$10^{{{round(np.log10(value))}}}$" for value in values], np.empty(0)
    major, minor, formatter = scale
    values = _within(major, low, high)
    return values, [formatter(value) for value in values.tolist()], _within(minor, low, high)


def _within(locator: Locator, low: float, high: float) -> np.ndarray:
    """Return the ticks from ``low`` to ``high``."""
    values, slack = np.asarray(locator.tick_values(low, high), float), 1e-9 * (high - low)
    return values[(values >= low - slack) & (values <= high + slack)]
