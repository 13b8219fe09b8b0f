from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ritz.compute.fields.dimensions import NODE
from ritz.tasks.report.figures.lines import draw_group, group_name, grouped, lines
from ritz.tasks.report.figures.sheet import Box, Sheet
from ritz.tasks.report.figures.shown import Drawn, Shown, axis_name, band, is_log, named, positions, span
from ritz.tasks.report.figures.theme import WIDE, dress
from ritz.tasks.report.material import Material

if TYPE_CHECKING:
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

ROWS = 4
"""At most so many samples are shown."""

_ABOVE, _LINE, _TITLE, _BELOW = 0.3, 0.15, 0.24, 0.16
_LEFT, _GAP, _SCALE = 0.55, 0.3, 0.66
"""Inches around the panels of a row; ``_SCALE`` is the room for a scale beside a panel."""

_LEAST = 3
"""Panels that there is room for in a row with fewer of them."""


def samples(material: Material, output: str) -> Figure:
    """Draw samples: inputs, truth, prediction, error and band, a row per sample.

    Fields in one dimension are lines, in two images, on a mesh its triangles; of more the part that `shown.cut`
    takes. Truth and prediction share a scale. Of an output without a prediction there is the truth alone.
    """
    shown = [Shown.of(material, output, row) for row in range(min(ROWS, len(material.truth[output])))]
    if shown[0].truth.ndim == 1 and shown[0].dims != (NODE,):
        return lines(material, shown, WIDE)
    return _images(material, shown)


@dataclass(frozen=True)
class Field:
    """A field in colours; without ``scale`` the next one to the right has the same.

    ``smooth`` is that of `Sheet.field`.
    """

    title: str
    drawn: Drawn
    colours: str
    norm: Normalize
    scale: bool = True
    smooth: bool = True


@dataclass(frozen=True)
class _Lines:
    """Inputs that are lines."""

    title: str
    group: dict[str, Drawn]
    scale: bool = True


def _images(material: Material, shown: list[Shown]) -> Figure:
    rows = [_panels(material, sample) for sample in shown]
    left, right, bottom, top = outer_edges(material, shown[0].dims, shown[0].truth.shape)
    width = _width(len(rows[0]))
    height = width * height_over_width((left, right, bottom, top))
    above = _ABOVE + _LINE * shown[0].heading(material).count("\n")
    upper = total = len(rows) * (above + _TITLE + height + _BELOW) + 0.34
    sheet = Sheet(WIDE, total)
    for sample, panels in zip(shown, rows, strict=True):
        sheet.heading(0.05, upper - 0.06, sample.heading(material))
        x, y, last = _LEFT, upper - above - _TITLE - height, sample is shown[-1]
        vertical, horizontal = (axis_name(material, d) for d in (("y", "x") if sample.dims == (NODE,) else sample.dims))
        for panel in panels:
            if isinstance(panel, _Lines):
                _draw_lines(sheet, Box(x, y, width, height), material, panel, last)
            else:
                extent = outer_edges(material, panel.drawn.dims, panel.drawn.values.shape)
                box = Box(x, y, width, height, extent[:2], extent[2:])
                draw_field(sheet, box, material, panel)
                sheet.below(box, horizontal if last else None)
                sheet.beside(box, vertical if panel is panels[0] else None)
            x += width + (_SCALE if panel.scale else _GAP)
        upper = y - _BELOW
    return sheet.finish()


def draw_field(sheet: Sheet, box: Box, material: Material, panel: Field) -> None:
    """Draw a field with its title and its scale: an image, or on a mesh its triangles."""
    if panel.drawn.dims == (NODE,):
        x, y = (np.asarray(material.coordinates[axis], float) for axis in ("x", "y"))
        triangles = material.coordinates.get("triangle")
        sheet.mesh(box, (x, y), triangles, panel.drawn.values, panel.colours, panel.norm)
    else:
        sheet.field(box, panel.drawn.values, panel.colours, panel.norm, smooth=panel.smooth)
    sheet.title(box, panel.title)
    if panel.scale:
        sheet.scale(box, panel.colours, panel.norm)


def _draw_lines(sheet: Sheet, box: Box, material: Material, panel: _Lines, last: bool) -> None:
    axes = sheet.panel(box)
    draw_group(axes, material, panel.group)
    axes.set_title(panel.title, pad=4)
    dress(axes)
    for spine in axes.spines.values():
        spine.set_visible(True)
    axes.locator_params(nbins=3)
    axes.tick_params(labelbottom=last)
    axes.yaxis.tick_right()
    if last:
        along = sorted({drawn.dims[0] for drawn in panel.group.values()})
        axes.set_xlabel(", ".join(axis_name(material, dim) for dim in along))


def _width(panels: int) -> float:
    """Return the width of a panel in inches; two of them share a scale."""
    panels = max(_LEAST, panels)
    return (WIDE - _LEFT - _GAP - _SCALE * (panels - 1)) / panels


def _panels(material: Material, sample: Shown) -> list[Field | _Lines]:
    from matplotlib.colors import LogNorm, Normalize

    groups = [{name: one for name, one in group.items() if one.dims != (NODE,)} for group in grouped(material, sample)]
    groups = [group for group in groups if group]
    maps = {name: one for name, one in sample.inputs.items() if one.values.ndim == 2 or one.dims == (NODE,)}
    count = len(maps) + len(groups) + (3 if sample.predicted else 1) + (sample.half_width is not None)
    # About so many characters fit above a panel and its scale.
    limit = min(32, int(16 * (_width(count) + _SCALE)))

    def field(title: str, values: np.ndarray, colours: str, norm: Normalize, scale: bool = True) -> Field:
        return Field(title, Drawn(sample.dims, values), colours, norm, scale)

    panels: list[Field | _Lines] = []
    for name, drawn in maps.items():
        norm = (LogNorm if is_log(material, name, drawn.values) else Normalize)(*span(drawn.values))
        panels.append(Field(named(material, name, limit), drawn, "cividis", norm))
    panels += [_Lines(group_name(material, group), group) for group in groups]
    if not sample.predicted:
        title = named(material, sample.output, limit)
        return [*panels, field(title, sample.truth, "viridis", Normalize(*span(sample.truth)))]
    error = sample.prediction - sample.truth
    shared = Normalize(*span(sample.truth, sample.prediction))
    spread = span(np.zeros(1), np.abs(error))[1]
    panels += [
        field(f"{named(material, sample.output, limit - 7)}: truth", sample.truth, "viridis", shared, scale=False),
        field("prediction", sample.prediction, "viridis", shared),
        field("prediction − truth", error, "RdBu_r", Normalize(-spread, spread)),
    ]
    if sample.half_width is not None:
        with np.errstate(divide="ignore", invalid="ignore"):
            distance = np.abs(sample.centre - sample.truth) / sample.half_width
        panels.append(field(f"distance over {band(material)}", distance, "RdBu_r", Normalize(0, 2)))
    return panels


def outer_edges(material: Material, dims: tuple[str, ...], shape: tuple[int, ...]) -> tuple[float, float, float, float]:
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


def height_over_width(extent: tuple[float, float, float, float]) -> float:
    """Return height over width, true to the coordinates unless that would be a strip."""
    left, right, bottom, top = extent
    ratio = abs((top - bottom) / (right - left)) if right != left else 1.0
    return ratio if 1 / 3 <= ratio <= 3 else 1.0
