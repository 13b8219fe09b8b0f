from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup

from ritz.compute.fields.dimensions import NODE
from ritz.tasks.report.figures.shown import Shown, at, axis_name, band, named, place, positions
from ritz.tasks.report.figures.theme import INK, MUTED, SERIES, WIDE, dress, figure, in_a_row, legend_above, plain
from ritz.tasks.report.html import Pictures, joined, picture
from ritz.tasks.report.material import Material, RunFacts
from ritz.tasks.report.section import Draw, Section

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

POINTS = 200
"""Of a line through a mesh."""

APART = 0.01
"""A band lies around another field than the prediction where they differ by more than so much of its half width."""


@dataclass(frozen=True)
class Line:
    """One line through a sample, all of it ``(m,)``: truth, prediction, middle and half width of the band over x."""

    dim: str
    where: str
    x: np.ndarray
    truth: np.ndarray
    prediction: np.ndarray
    centre: np.ndarray
    half_width: np.ndarray

    @property
    def corrected(self) -> bool:
        """Whether the band lies around another field than the prediction."""
        apart = np.abs(self.centre - self.prediction) > APART * self.half_width
        return bool(np.mean(apart[np.isfinite(self.half_width)]) > 0.5)


class Cut(Section[RunFacts]):
    """Truth, prediction and band along one line of one sample, a figure per output; lines are among the samples."""

    name = "cut"
    title = "A cut through one sample"
    under = "coverage"
    place = 40
    needs = (
        "coverage", "truth", "prediction", "inputs", "half_width", "centre", "level", "sample_id", "labels",
        "dimensions", "coordinates", "attrs",
    )  # fmt: skip

    def figures(self, facts: RunFacts) -> Mapping[str, Draw]:
        """Return ``cut``, and ``cut_2`` … for further outputs."""
        if not facts.recorded.coverage:
            return {}
        return {name: partial(draw, facts.material, output) for name, output in _outputs(facts.material).items()}

    def html(self, facts: RunFacts, pictures: Pictures) -> Markup:
        """Return the figures with where they lie."""
        if not facts.recorded.coverage:
            return Markup()
        return joined(
            *(
                picture(pictures, name, _caption(facts.material, output), wide=True)
                for name, output in _outputs(facts.material).items()
            )
        )


def _outputs(material: Material) -> dict[str, str]:
    """Return which output each figure shows: those with bands whose samples are no lines."""
    shown = [name for name in material.truth if name in material.half_width and not _is_line(material, name)]
    return {f"cut_{number}" if number > 1 else "cut": name for number, name in enumerate(shown, 1)}


def _is_line(material: Material, output: str) -> bool:
    """Return whether the samples of an output are drawn as lines; so is what has no sample."""
    if not len(material.truth[output]):
        return True
    shown = Shown.of(material, output, 0)
    return shown.truth.ndim == 1 and shown.dims != (NODE,)


def _row(material: Material) -> int:
    """Return which sample is cut: the median one, the first where none is called so."""
    return next((row for row, label in enumerate(material.labels) if "median" in label), 0)


def _line(material: Material, output: str) -> Line:
    """Return the middle line of what is drawn of the sample; along time its last."""
    shown = Shown.of(material, output, _row(material))
    if shown.dims == (NODE,):
        return _through_mesh(material, shown)
    across, along = shown.dims
    index = len(shown.truth) - 1 if material.is_time(across) else len(shown.truth) // 2
    assert shown.half_width is not None
    fields = (shown.truth, shown.prediction, shown.centre, shown.half_width)
    there = [place(material, output, material.truth[output].shape[1:]), at(material, across, index)]
    x = positions(material, along, shown.truth.shape[1])
    return Line(along, ", ".join(filter(None, there)), x, *(field[index] for field in fields))


def _through_mesh(material: Material, shown: Shown) -> Line:
    """Return the line at half the height of a mesh, between its nodes linear; NaN where the mesh has a hole."""
    from matplotlib.tri import LinearTriInterpolator, Triangulation

    x, y = (np.asarray(material.coordinates[axis], float) for axis in ("x", "y"))
    triangulation = Triangulation(x, y, material.coordinates.get("triangle"))
    along, height = np.linspace(x.min(), x.max(), POINTS), 0.5 * (y.min() + y.max())
    assert shown.half_width is not None
    fields = (shown.truth, shown.prediction, shown.centre, shown.half_width)
    found = (
        LinearTriInterpolator(triangulation, field)(along, np.full(POINTS, height)).filled(np.nan) for field in fields
    )
    unit = f" {material.unit('y')}" if material.unit("y") else ""
    return Line("x", f"at y = {height:.4g}{unit}, linear between the nodes", along, *found)


def _caption(material: Material, output: str) -> str:
    line, row = _line(material, output), _row(material)
    label = f" ({material.labels[row]})" if row < len(material.labels) else ""
    corrected = (
        ". Right: the corrected field less the truth, with the band around it: where the band holds zero, it holds the "
        "truth"
        if line.corrected
        else ", with the band: where it holds zero, it holds the truth"
    )
    return (
        f"Sample {material.sample_id[row]}{label} along {line.dim}, {line.where}. Left: the fields. "
        f"{'Middle' if line.corrected else 'Right'}: prediction less truth{corrected}."
    )


def draw(material: Material, output: str) -> Figure:
    """Draw the fields along a line, and errors with the band; those of a corrected field in a panel of their own."""
    line = _line(material, output)
    whole = figure(WIDE, 2.7)
    panels: list[Axes] = list(whole.subplots(1, 3 if line.corrected else 2))
    fields, error = panels[:2]
    fields.plot(line.x, line.truth, color=INK, linewidth=1.2, label="truth")
    fields.plot(line.x, line.prediction, color=SERIES[1], linewidth=1.2, linestyle="--", label="prediction")
    _band(fields, line, line.centre, "" if line.corrected else band(material))
    fields.set_ylabel(named(material, output))
    error.plot(line.x, line.prediction - line.truth, color=SERIES[1], linewidth=1.2, label="prediction − truth")
    if line.corrected:
        fields.plot(line.x, line.centre, color=SERIES[0], linewidth=1, linestyle=":", label="corrected")
        panels[2].plot(line.x, line.centre - line.truth, color=SERIES[0], linewidth=1.2, label="corrected − truth")
    _band(panels[-1], line, line.centre - line.truth, band(material))
    for axes in panels:
        if axes is not fields:
            axes.axhline(0, color=MUTED, linewidth=0.6)
            _small(axes, material.unit(output))
        axes.set_xlabel(axis_name(material, line.dim))
        axes.margins(x=0)
        dress(axes)
        legend_above(axes)
    in_a_row(whole, panels)
    return whole


def _small(axes: Axes, unit: str) -> None:
    """Name an axis of errors; a power of ten that all its numbers share stands beside the unit."""
    from matplotlib.ticker import FuncFormatter

    largest = max(map(abs, axes.get_ylim()))
    exponent = int(np.floor(np.log10(largest))) if largest else 0
    if -2 <= exponent <= 3:
        axes.set_ylabel(plain(f"error ({unit})" if unit else "error", 24))
        return
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / 10.0**exponent:.3g}".replace("-", "−")))
    axes.set_ylabel(plain(f"error / 1e{exponent} {unit}".rstrip(), 24))


def _band(axes: Axes, line: Line, middle: np.ndarray, label: str) -> None:
    ends = (middle - line.half_width, middle + line.half_width)
    axes.fill_between(line.x, *ends, color=SERIES[0], alpha=0.25, linewidth=0, label=label)
