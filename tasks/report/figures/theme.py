from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
    from matplotlib.ticker import Formatter, Locator

SMALL, NORMAL = 7.5, 8.5
"""Font sizes of ticks and of everything else, in points."""

WIDE, HALF = 10.6, 5.2
"""Widths of a figure that fills the page and of one that fills half of it, in inches."""

DPI = 150

BELOW, BESIDE = 0.43, 0.1
"""Room below axes for numbers and a label, and between them and what comes next, in inches."""

FORMULA = re.compile(r"[\\${}^]|mathdefault")


@dataclass(frozen=True)
class Theme:
    """Colours of a figure; the background is opaque, so that a picture can be put anywhere.

    ``series`` can be told apart with every common form of colour blindness (Okabe and Ito, "Color universal
    design", 2008; lightened for the dark theme).
    """

    background: str
    ink: str
    muted: str
    grid: str
    series: tuple[str, ...]

    @property
    def colours(self) -> tuple[str, ...]:
        """All of them, each at the same place in every theme."""
        return self.background, self.ink, self.muted, self.grid, *self.series


LIGHT = Theme("#ffffff", "#1b2026", "#59636e", "#e4e8ec", ("#0072b2", "#d55e00", "#009e73", "#b05f93"))
DARK = Theme("#161b21", "#e6e9ec", "#9aa5b0", "#2c343d", ("#56b4e9", "#f0a04b", "#3ccf9f", "#e39bc7"))

BACKGROUND, INK, MUTED, GRID, SERIES = LIGHT.background, LIGHT.ink, LIGHT.muted, LIGHT.grid, LIGHT.series
"""What a figure is drawn with; `Picture.of` translates these colours for the dark one."""


def figure(width: float, height: float, layout: Literal["constrained"] | None = None) -> Figure:
    """Return an empty figure of ``width`` × ``height`` inches that belongs to no window and no global state."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=DPI, layout=layout, facecolor=BACKGROUND)


def dress(axes: Axes, *, grid: Literal["x", "y", "both"] | None = None) -> None:
    """Give axes the look of the report; ``grid`` is ``"x"``, ``"y"`` or ``"both"`` where lines help reading."""
    axes.set_facecolor(BACKGROUND)
    axes.tick_params(which="both", colors=MUTED, labelsize=SMALL, width=0.6, length=3)
    axes.tick_params(which="minor", length=1.5)
    for side, spine in axes.spines.items():
        spine.set_color(MUTED)
        spine.set_linewidth(0.6)
        spine.set_visible(side in ("left", "bottom"))
    for text in (axes.xaxis.label, axes.yaxis.label, axes.title):
        text.set_color(INK)
        text.set_fontsize(NORMAL)
    axes.set_axisbelow(True)
    if grid is not None:
        axes.grid(visible=True, axis=grid, color=GRID, linewidth=0.6)


def legend(axes: Axes, **where: Any) -> None:
    """Add a legend without a box."""
    axes.legend(frameon=False, fontsize=SMALL, labelcolor=INK, **where)


def legend_above(axes: Axes) -> None:
    """Put the legend in one row above the axes, where it hides nothing."""
    legend(
        axes,
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=5,
        borderaxespad=0.2,
        handlelength=1.8,
        columnspacing=1.4,
    )


def in_a_row(
    whole: Figure,
    panels: Sequence[Axes],
    *,
    ratios: Sequence[float] = (),
    twins: Mapping[Axes, Axes] | None = None,
    above: float = 0.28,
) -> None:
    """Place the axes of a figure side by side, each with room for its numbers and its label.

    A constrained layout comes to the same and measures every text twice, half of the time that such a figure takes.

    Parameters
    ----------
    ratios
        Widths of the axes beside each other; equal ones by default.
    twins
        What has an axis of its own on the right, by the axes that it lies over.
    above
        Room for a legend above them, in inches.
    """
    over = twins or {}
    width, height = whole.get_size_inches()
    left = [_room(axes) for axes in panels]
    right = [_room(over[axes]) if axes in over else 0.0 for axes in panels]
    free = width - sum(left) - sum(right) - BESIDE * len(panels)
    parts = np.array(ratios or [1.0] * len(panels))
    x = 0.0
    for axes, before, after, share in zip(panels, left, right, free * parts / parts.sum(), strict=True):
        place = ((x + before) / width, BELOW / height, share / width, 1 - (BELOW + above) / height)
        for placed in (axes, over.get(axes, axes)):
            placed.set_position(place)
        x += before + share + after + BESIDE


def _room(axes: Axes) -> float:
    """Return how wide the numbers and the label of a vertical axis are, in inches."""
    axis = axes.yaxis
    sides = axis.get_tick_params()
    longest = 0.0
    if sides.get("labelleft", True) or sides.get("labelright", False):
        low, high = sorted(axes.get_ylim())
        shown = [value for value in axis.get_majorticklocs() if low <= value <= high]
        # What makes a formula of a text is not seen.
        longest = max(
            (len(FORMULA.sub("", text)) for text in axis.get_major_formatter().format_ticks(shown)), default=0
        )
    # A digit is 0.64 of the size of the font wide.
    points = 6.5 + 0.64 * SMALL * longest + (4 + 1.3 * NORMAL if axis.label.get_text() else 0)
    return points / 72


def written_width(text: str) -> float:
    """Return about how wide a text is, in sizes of its font."""
    digits = sum(map(str.isdigit, text))
    return 0.64 * digits + 0.52 * (len(text) - digits)


def plain(text: str, limit: int = 150) -> str:
    """Cut a text that would not fit, and escape what would be read as a formula."""
    return (text if len(text) <= limit else text[: limit - 1] + "…").replace("$", r"\$")


def log_axis(axis: Axis, low: float, high: float) -> None:
    """Label a logarithmic axis from ``low`` to ``high`` sparsely, over few decades with plain numbers."""
    from matplotlib.ticker import NullFormatter

    scale = log_scale(low, high)
    if scale is not None:
        major, minor, formatter = scale
        axis.set_major_locator(major)
        axis.set_minor_locator(minor)
        axis.set_major_formatter(formatter)
    axis.set_minor_formatter(NullFormatter())


def log_scale(low: float, high: float) -> tuple[Locator, Locator, Formatter] | None:
    """Return where a logarithmic scale over few decades has its ticks and how they are labelled; None over many."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    decades = np.log10(high / low)
    if decades > 3.5:
        return None
    return (
        LogLocator(subs=(1.0, 2.0, 5.0) if decades > 0.6 else tuple(range(1, 10))),
        LogLocator(subs=tuple(range(1, 10))) if decades > 0.6 else NullLocator(),
        FuncFormatter(lambda value, _: f"{value:g}" if value < 1e4 else f"{value:.0e}"),
    )
