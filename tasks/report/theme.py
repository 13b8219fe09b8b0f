from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

SMALL, NORMAL = 7.5, 8.5
"""Font sizes of ticks and of everything else, in points."""

DPI = 150


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


LIGHT = Theme("#ffffff", "#1b2026", "#59636e", "#e4e8ec", ("#0072b2", "#d55e00", "#009e73", "#b05f93"))
DARK = Theme("#161b21", "#e6e9ec", "#9aa5b0", "#2c343d", ("#56b4e9", "#f0a04b", "#3ccf9f", "#e39bc7"))


def figure(theme: Theme, width: float, height: float, layout: Literal["constrained"] | None = "constrained") -> Figure:
    """Return an empty figure of ``width`` × ``height`` inches that belongs to no window and no global state."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=DPI, layout=layout, facecolor=theme.background)


def dress(axes: Axes, theme: Theme, *, grid: Literal["x", "y", "both"] | None = None) -> None:
    """Give axes the look of the theme; ``grid`` is ``"x"``, ``"y"`` or ``"both"`` where lines help reading."""
    axes.set_facecolor(theme.background)
    axes.tick_params(which="both", colors=theme.muted, labelsize=SMALL, width=0.6, length=3)
    axes.tick_params(which="minor", length=1.5)
    for side, spine in axes.spines.items():
        spine.set_color(theme.muted)
        spine.set_linewidth(0.6)
        spine.set_visible(side in ("left", "bottom"))
    for text in (axes.xaxis.label, axes.yaxis.label, axes.title):
        text.set_color(theme.ink)
        text.set_fontsize(NORMAL)
    axes.set_axisbelow(True)
    if grid is not None:
        axes.grid(visible=True, axis=grid, color=theme.grid, linewidth=0.6)


def legend(axes: Axes, theme: Theme, **where: Any) -> None:
    """Add a legend without a box."""
    axes.legend(frameon=False, fontsize=SMALL, labelcolor=theme.ink, **where)


def plain(text: str, limit: int = 150) -> str:
    """Cut a text that would not fit, and escape what would be read as a formula."""
    return (text if len(text) <= limit else text[: limit - 1] + "…").replace("$", r"\$")


def log_axis(axis: Axis, low: float, high: float) -> None:
    """Label a logarithmic axis from ``low`` to ``high`` sparsely, over few decades with plain numbers."""
    from matplotlib.ticker import LogLocator, NullFormatter, NullLocator

    decades = np.log10(high / low)
    if decades > 3.5:
        axis.set_minor_formatter(NullFormatter())
        return
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if decades > 0.6 else tuple(range(1, 10))))
    axis.set_minor_locator(LogLocator(subs=tuple(range(1, 10))) if decades > 0.6 else NullLocator())
    axis.set_major_formatter(lambda value, _: f"{value:g}" if value < 1e4 else f"{value:.0e}")
    axis.set_minor_formatter(NullFormatter())


def png(figure: Figure) -> bytes:
    """Draw a figure; the same figure always gives the same bytes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas, engine, buffer = FigureCanvasAgg(figure), figure.get_layout_engine(), io.BytesIO()
    if engine is not None:
        # Laid out here: `savefig` would draw it once more for that.
        engine.execute(figure)
        figure.set_layout_engine("none")
    canvas.print_png(buffer, metadata={"Software": None})
    return buffer.getvalue()
