"""A sample over time: frames one below the other, which a page shows one after the other."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from ritz.compute.fields.dimensions import NODE
from ritz.tasks.report.figures.maps import Field, draw_field, height_over_width, outer_edges
from ritz.tasks.report.figures.sheet import Box, Sheet
from ritz.tasks.report.figures.shown import Drawn, axis_name, named, positions, span, with_time
from ritz.tasks.report.figures.theme import INK, SERIES
from ritz.tasks.report.material import Material

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FRAMES = 16
"""Frames of a film at most."""

TOGETHER = 32
"""Frames of the films of all outputs at most, unless there are too many outputs for `LEAST` frames each: with `POINTS`
they bound the size of a page."""

LEAST = 4
"""Times without which there is no film."""

POINTS = 64
"""Points at most along an axis of a field in colours; of more, every second, third … is drawn."""

WIDTH = 8.0
"""Of a frame, in inches."""

DPI = 100
"""Pixels per inch: as wide as a page shows it, and a third of the size of other figures."""

LINES = 1.7
"""Height of a panel of lines, in inches."""

_LEFT, _BELOW, _ABOVE, _GAP, _SCALE = 0.62, 0.5, 0.3, 0.35, 0.7
"""Inches around the panels of a frame; ``_SCALE`` is the room for a scale beside a panel."""

_ROOM = 0.2
"""Room above and below the truth, in heights of it, beyond which a prediction lies on the edge."""


@dataclass(frozen=True)
class Film:
    """What of an output is shown over time.

    Attributes
    ----------
    row
        Of the sample that is shown.
    dims
        Of ``truth`` and ``prediction`` after the time: one of space, or two.
    truth, prediction
        ``(frames, *dims)``.
    times
        Of the frames, as they are written.
    size
        Width and height of a panel in inches.
    """

    output: str
    row: int
    dims: tuple[str, ...]
    truth: np.ndarray
    prediction: np.ndarray
    times: tuple[str, ...]
    size: tuple[float, float]

    @staticmethod
    def of(material: Material, output: str) -> Film | None:
        """Return the film of the sample of median error, or of the first; None on a mesh, and of too few times.

        The more outputs there are, the fewer frames each film has.
        """
        if output not in material.prediction or not len(material.truth[output]):
            return None
        row = next((at for at, label in enumerate(material.labels) if label.startswith("median")), 0)
        true, predicted = (
            with_time(material, output, np.asarray(fields[output][row]))
            for fields in (material.truth, material.prediction)
        )
        if true is None or predicted is None or NODE in true.dims or len(true.values) < LEAST:
            return None
        time, *space = true.dims
        moments = positions(material, time, len(true.values))
        frames = min(FRAMES, max(LEAST, TOGETHER // len(material.truth)), len(moments))
        chosen = np.unique(np.linspace(0, len(moments) - 1, frames).round().astype(int))
        return Film(
            output,
            row,
            tuple(space),
            true.values[chosen],
            predicted.values[chosen],
            tuple(f"{time} = {moments[step]:.4g} {material.unit(time)}".rstrip() for step in chosen),
            _size(material, tuple(space), true.values.shape[1:]),
        )

    @property
    def height(self) -> float:
        """Height of a frame in inches, a whole number of pixels."""
        return round(50 * (_ABOVE + self.size[1] + _BELOW)) / 50

    @property
    def ratio(self) -> tuple[int, int]:
        """Width and height of a frame, as they relate."""
        return round(100 * WIDTH), round(100 * self.height)

    def draw(self, material: Material) -> Figure:
        """Draw the frames, the first above."""
        count = len(self.times)
        sheet = Sheet(WIDTH, self.height * count)
        sheet.figure.set_dpi(DPI)
        for frame in range(count):
            draw = self._lines if len(self.dims) == 1 else self._images
            draw(sheet, material, frame, self.height * (count - 1 - frame) + _BELOW)
        return sheet.finish()

    def _lines(self, sheet: Sheet, material: Material, frame: int, bottom: float) -> None:
        """Draw truth and prediction over the one dimension of space."""
        x = positions(material, self.dims[0], self.truth.shape[1])
        low, high = span(self.truth)
        room = _ROOM * (high - low)
        box = Box(_LEFT, bottom, *self.size, (float(x[0]), float(x[-1])), (low - room, high + room))
        sheet.line(box, x, self.truth[frame], INK)
        sheet.line(box, x, self.prediction[frame], SERIES[1], "--")
        sheet.frame(box)
        sheet.title(box, self.times[frame])
        sheet.below(box, axis_name(material, self.dims[0]))
        sheet.beside(box, named(material, self.output, 24))

    def _images(self, sheet: Sheet, material: Material, frame: int, bottom: float) -> None:
        """Draw truth, prediction and error in colours, on scales that are those of all frames."""
        from matplotlib.colors import Normalize

        rows, columns = (slice(None, None, -(-points // POINTS)) for points in self.truth.shape[1:])
        true, predicted = self.truth[frame, rows, columns], self.prediction[frame, rows, columns]
        shared = Normalize(*span(self.truth))
        spread = span(np.zeros(1), np.abs(self.prediction - self.truth))[1]
        # Areas of one colour take a third of the bytes of smooth ones.
        draw = partial(Field, smooth=False)
        panels = (
            draw(f"truth, {self.times[frame]}", Drawn(self.dims, true), "viridis", shared, scale=False),
            draw("prediction", Drawn(self.dims, predicted), "viridis", shared),
            draw("prediction − truth", Drawn(self.dims, predicted - true), "RdBu_r", Normalize(-spread, spread)),
        )
        extent = outer_edges(material, self.dims, self.truth.shape[1:])
        left = _LEFT
        for panel in panels:
            box = Box(left, bottom, *self.size, extent[:2], extent[2:])
            draw_field(sheet, box, material, panel)
            sheet.below(box, axis_name(material, self.dims[1]))
            sheet.beside(box, axis_name(material, self.dims[0]) if panel is panels[0] else None)
            left += box.width + (_SCALE if panel.scale else _GAP)


def _size(material: Material, dims: tuple[str, ...], shape: tuple[int, ...]) -> tuple[float, float]:
    """Return width and height of a panel: of lines over the whole width, of three images no higher than wide."""
    if len(dims) == 1:
        return WIDTH - _LEFT - 0.15, LINES
    side, ratio = (WIDTH - _LEFT - _GAP - 2 * _SCALE) / 3, height_over_width(outer_edges(material, dims, shape))
    return (side, side * ratio) if ratio <= 1 else (side / ratio, side)
