from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ritz.compute.fields.dimensions import NODE
from ritz.tasks.report.lines import draw_group, group_name, grouped, lines
from ritz.tasks.report.material import Material
from ritz.tasks.report.shown import Drawn, Shown, axis_name, band, is_log, named, positions, span
from ritz.tasks.report.theme import NORMAL, SMALL, Theme, dress, figure, log_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

ROWS = 4
"""At most so many samples are shown."""

WIDTH = 10.6
"""Of the figure, in inches."""

_ABOVE, _LINE, _TITLE, _BELOW = 0.3, 0.15, 0.24, 0.16
_LEFT, _GAP, _SCALE = 0.55, 0.3, 0.66
"""Inches around the panels of a row; ``_SCALE`` is the room for a scale beside a panel."""


def samples(material: Material, output: str, theme: Theme) -> Figure:
    """Draw samples: inputs, truth, prediction, error and band, a row a sample.

    Fields in one dimension are lines, in two images, on a mesh its triangles; of more the part that `shown.cut`
    takes. Truth and prediction share a scale, error and half width too.
    """
    shown = [Shown.of(material, output, row) for row in range(min(ROWS, len(material.truth[output])))]
    if shown[0].truth.ndim == 1 and shown[0].dims != (NODE,):
        return lines(material, shown, theme, WIDTH)
    return _images(material, shown, theme)


@dataclass(frozen=True)
class _Panel:
    """One field, or lines over the dimension ``along``; without ``scale`` the next one to the right has the same."""

    title: str
    draw: Callable[[Axes], ScalarMappable | None]
    scale: bool = True
    along: str | None = None


def _images(material: Material, shown: list[Shown], theme: Theme) -> Figure:
    rows = [_panels(material, sample, theme) for sample in shown]
    extent = _extent(material, shown[0].dims, shown[0].truth.shape)
    width = _width(len(rows[0]))
    height = width * _aspect(extent)
    above = _ABOVE + _LINE * shown[0].heading(material).count("\n")
    top = total = len(rows) * (above + _TITLE + height + _BELOW) + 0.34
    whole = figure(theme, WIDTH, total, layout=None)
    for sample, panels in zip(shown, rows, strict=True):
        text: dict[str, Any] = {"ha": "left", "va": "top", "fontsize": NORMAL, "color": theme.ink, "weight": "bold"}
        whole.text(0.05 / WIDTH, (top - 0.06) / total, sample.heading(material), **text)
        x, bottom, last = _LEFT, top - above - _TITLE - height, sample is shown[-1]
        names = [axis_name(material, dim) for dim in (("y", "x") if sample.dims == (NODE,) else sample.dims)]
        for panel in panels:
            ax = whole.add_axes((x / WIDTH, bottom / total, width / WIDTH, height / total))
            found = panel.draw(ax)
            ax.set_title(panel.title, pad=4)
            dress(ax, theme)
            for spine in ax.spines.values():
                spine.set_visible(True)
            ax.locator_params(nbins=3)
            ax.tick_params(labelbottom=last)
            if panel.along is None:
                ax.tick_params(labelleft=panel is panels[0])
                ax.set_ylabel(names[0] if panel is panels[0] else "")
            else:
                ax.yaxis.tick_right()
            ax.set_xlabel((names[1] if panel.along is None else panel.along) if last else "")
            x += width + (_SCALE if panel.scale else _GAP)
            if found is not None and panel.scale:
                beside = (x - _SCALE + 0.06) / WIDTH, bottom / total, 0.08 / WIDTH, height / total
                _scale(found, whole.add_axes(beside), theme)
        top = bottom - _BELOW
    return whole


def _width(panels: int) -> float:
    """Return the width of a panel in inches; two of them share a scale."""
    return (WIDTH - _LEFT - _GAP - _SCALE * (panels - 1)) / panels


def _panels(material: Material, sample: Shown, theme: Theme) -> list[_Panel]:
    from matplotlib.colors import LogNorm, Normalize

    groups = [{name: one for name, one in group.items() if one.dims != (NODE,)} for group in grouped(material, sample)]
    groups = [group for group in groups if group]
    maps = {name: one for name, one in sample.inputs.items() if one.values.ndim == 2 or one.dims == (NODE,)}
    count = len(maps) + len(groups) + 3 + (sample.half_width is not None)
    # About so many characters fit above a panel and its scale.
    limit = min(32, int(16 * (_width(count) + _SCALE)))

    def field(
        title: str, values: np.ndarray, colours: str, norm: Normalize, dims: tuple[str, ...] = (), scale: bool = True
    ) -> _Panel:
        drawn = Drawn(dims or sample.dims, values)
        return _Panel(title, lambda ax: _field(ax, material, drawn, colours, norm), scale)

    def lines_of(drawn: dict[str, Drawn]) -> _Panel:
        dims = sorted({one.dims[0] for one in drawn.values()})
        along = ", ".join(axis_name(material, dim) for dim in dims)
        return _Panel(group_name(material, drawn), lambda ax: draw_group(ax, material, drawn, theme), along=along)

    error = sample.prediction - sample.truth
    shared = Normalize(*span(sample.truth, sample.prediction))
    spread = span(np.zeros(1), np.abs(error), *([] if sample.half_width is None else [sample.half_width]))[1]
    panels = [
        field(
            named(material, name, limit),
            drawn.values,
            "cividis",
            (LogNorm if is_log(material, name, drawn.values) else Normalize)(*span(drawn.values)),
            drawn.dims,
        )
        for name, drawn in maps.items()
    ]
    panels += [lines_of(group) for group in groups]
    panels += [
        field(f"{named(material, sample.output, limit - 7)}: truth", sample.truth, "viridis", shared, scale=False),
        field("prediction", sample.prediction, "viridis", shared),
        field("prediction − truth", error, "RdBu_r", Normalize(-spread, spread)),
    ]
    if sample.half_width is not None:
        panels.append(field(f"{band(material)}: half width", sample.half_width, "magma", Normalize(0, spread)))
    return panels


def _field(ax: Axes, material: Material, drawn: Drawn, colours: str, norm: Normalize) -> ScalarMappable:
    """Draw one field and return what its scale is of."""
    extent = _extent(material, drawn.dims, drawn.values.shape)
    if drawn.dims != (NODE,):
        return ax.imshow(drawn.values, cmap=colours, norm=norm, origin="lower", aspect="auto", extent=extent)
    from matplotlib.tri import Triangulation

    # Without its triangles the mesh is that of Delaunay, which spans slots and bays too.
    x, y = (np.asarray(material.coordinates[axis], float) for axis in ("x", "y"))
    image = ax.tripcolor(
        Triangulation(x, y, material.coordinates.get("triangle")), drawn.values, shading="gouraud", cmap=colours,
        norm=norm,
    )  # fmt: skip
    ax.set(xlim=extent[:2], ylim=extent[2:])
    return image


def _scale(found: ScalarMappable, ax: Axes, theme: Theme) -> None:
    from matplotlib.colors import LogNorm
    from matplotlib.ticker import MaxNLocator, ScalarFormatter

    bar = ax.figure.colorbar(found, cax=ax)
    bar.outline.set_visible(False)
    if isinstance(found.norm, LogNorm):
        log_axis(ax.yaxis, *found.get_clim())
    else:
        number = ScalarFormatter(useMathText=True)
        number.set_powerlimits((-2, 3))
        bar.locator, bar.formatter = MaxNLocator(5), number
        bar.update_ticks()
    ax.tick_params(which="both", colors=theme.muted, labelsize=SMALL - 0.5, width=0.5, length=2, pad=2)
    ax.tick_params(which="minor", length=1)
    ax.yaxis.get_offset_text().set(color=theme.muted, fontsize=SMALL - 0.5, ha="left")


def _extent(material: Material, dims: tuple[str, ...], shape: tuple[int, ...]) -> tuple[float, float, float, float]:
    """Return the outer edges of the cells, or of the mesh, (left, right, bottom, top)."""
    if dims == (NODE,):
        left, right, bottom, top = (float(end) for axis in ("x", "y") for end in _ends(material.coordinates[axis]))
        return left, right, bottom, top
    edges: list[float] = []
    for name, points in zip(reversed(dims), reversed(shape), strict=True):
        x = positions(material, name, points)
        half = (x[-1] - x[0]) / (2 * (points - 1)) if points > 1 else 0.5
        edges += [float(x[0] - half), float(x[-1] + half)]
    return edges[0], edges[1], edges[2], edges[3]


def _ends(values: np.ndarray) -> tuple[float, float]:
    return float(np.min(values)), float(np.max(values))


def _aspect(extent: tuple[float, float, float, float]) -> float:
    """Return height over width, true to the coordinates unless that would be a strip."""
    left, right, bottom, top = extent
    ratio = abs((top - bottom) / (right - left)) if right != left else 1.0
    return ratio if 1 / 3 <= ratio <= 3 else 1.0
