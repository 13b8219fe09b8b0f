from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import scipy
from markupsafe import Markup

from ritz.compute.fields.dimensions import NODE
from ritz.tasks.report.covered import Covered
from ritz.tasks.report.figures.maps import Field, draw_field, height_over_width, outer_edges
from ritz.tasks.report.figures.sheet import Box, Sheet
from ritz.tasks.report.figures.shown import Drawn, axis_name, cut, named, place, positions
from ritz.tasks.report.figures.theme import INK, MUTED, SERIES, WIDE, dress, figure, in_a_row, legend
from ritz.tasks.report.html import Pictures, joined, picture
from ritz.tasks.report.material import Material, RunFacts
from ritz.tasks.report.section import Draw, Section
from ritz.tasks.report.wording import number, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

_LEFT, _BELOW, _ABOVE, _BETWEEN, _HEIGHT, _WIDEST = 0.62, 0.45, 0.3, 1.3, 2.6, 5.0
"""Inches around a map and the distribution beside it; its height, and how wide it may be."""

BARS = 40
"""At most so many bars has a distribution."""


class Cells(Section[RunFacts]):
    """How often each cell was inside its band, a figure per output."""

    name = "coverage-cells"
    title = "Coverage by cell"
    under = "coverage"
    place = 30
    needs = ("coverage", "covered", "dimensions", "coordinates", "attrs")

    def figures(self, facts: RunFacts) -> Mapping[str, Draw]:
        """Return ``cells``, and ``cells_2`` … for further outputs."""
        return {name: partial(draw, facts.material, output) for name, output in _outputs(facts).items()}

    def html(self, facts: RunFacts, pictures: Pictures) -> Markup:
        """Return the figures with what chance alone would do."""
        return joined(
            *(
                picture(pictures, name, _caption(facts.material, output), wide=True)
                for name, output in _outputs(facts).items()
            )
        )


def _outputs(facts: RunFacts) -> dict[str, str]:
    covered = facts.material.covered
    names = () if covered is None or not facts.recorded.coverage else covered.cells
    return {f"cells_{number}" if number > 1 else "cells": name for number, name in enumerate(names, 1)}


def _cells(material: Material, output: str) -> tuple[Covered, Drawn]:
    covered = material.covered
    assert covered is not None
    return covered, cut(material, output, covered.cells[output])


def _caption(material: Material, output: str) -> str:
    covered, drawn = _cells(material, output)
    there = place(material, output, covered.cells[output].shape)
    shares, of = drawn.values[np.isfinite(drawn.values)], len(covered.shares)
    mean = float(shares.mean())
    chance = np.sqrt(mean * (1 - mean) / of)
    colours = "" if _is_line(drawn) else " White is nominal, red below, blue above."
    called = _called(drawn)
    return (
        f"Share of the {number(of)} test samples inside the {percent(covered.level)} band, by {called}"
        f"{f', {there}' if there else ''}.{colours} From so many samples {called} scatter by chance: by "
        f"{100 * chance:.2g} percentage points, the standard deviation of the binomial distribution; measured: "
        f"{100 * float(shares.std()):.2g}. Right: how many {called} have which share, and how many would by chance if "
        "all had the nominal one."
    )


def _called(drawn: Drawn) -> str:
    return "nodes" if drawn.dims == (NODE,) else "cells"


def _is_line(drawn: Drawn) -> bool:
    return drawn.values.ndim == 1 and drawn.dims != (NODE,)


def draw(material: Material, output: str) -> Figure:
    """Draw the shares where the cells lie, and their distribution beside that of chance."""
    covered, drawn = _cells(material, output)
    if _is_line(drawn):
        whole = figure(WIDE, 2.7)
        left, right = whole.subplots(1, 2)
        _line(left, material, drawn, covered)
        _distribution(right, drawn, covered)
        in_a_row(whole, [left, right])
        return whole
    return _map(material, output, drawn, covered)


def _map(material: Material, output: str, drawn: Drawn, covered: Covered) -> Figure:
    from matplotlib.colors import TwoSlopeNorm

    extent = outer_edges(material, drawn.dims, drawn.values.shape)
    aspect = height_over_width(extent)
    width = min(_WIDEST, _HEIGHT / aspect)
    height = width * aspect
    sheet = Sheet(WIDE, _BELOW + height + _ABOVE)
    box = Box(_LEFT, _BELOW, width, height, extent[:2], extent[2:])
    shares, nominal = 100 * drawn.values, 100 * covered.level
    chance = 300 * np.sqrt(covered.level * (1 - covered.level) / len(covered.shares))
    finite = shares[np.isfinite(shares)]
    ends = min(nominal - chance, finite.min()), max(min(100.0, nominal + chance), finite.max())
    norm = TwoSlopeNorm(nominal, *ends)
    panel = Field(f"{named(material, output, 28)}: inside (%)", Drawn(drawn.dims, shares), "RdBu", norm)
    draw_field(sheet, box, material, panel)
    vertical, horizontal = (axis_name(material, d) for d in (("y", "x") if drawn.dims == (NODE,) else drawn.dims))
    sheet.below(box, horizontal)
    sheet.beside(box, vertical)
    start = _LEFT + width + _BETWEEN
    beside = sheet.panel(Box(start, _BELOW, WIDE - start - 0.1, height))
    _distribution(beside, drawn, covered)
    return sheet.finish()


def _line(axes: Axes, material: Material, drawn: Drawn, covered: Covered) -> None:
    x, level = positions(material, drawn.dims[0], drawn.values.size), covered.level
    chance = 2 * np.sqrt(level * (1 - level) / len(covered.shares))
    axes.axhspan(level - chance, min(1.0, level + chance), color=MUTED, alpha=0.2, linewidth=0, label="chance, 95 %")
    axes.axhline(level, color=MUTED, linewidth=1, linestyle="--", label="nominal")
    axes.plot(x, drawn.values, color=SERIES[0], linewidth=1.2, label="samples inside")
    axes.set(xlabel=axis_name(material, drawn.dims[0]), ylabel="samples inside")
    axes.margins(x=0)
    _percent(axes.yaxis)
    dress(axes, grid="y")
    legend(axes, loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderaxespad=0.2)


def _distribution(axes: Axes, drawn: Drawn, covered: Covered) -> None:
    """Draw how many cells have which share, and how many would by chance."""
    of, called = len(covered.shares), _called(drawn)
    counts = np.rint(of * drawn.values[np.isfinite(drawn.values)]).astype(int)
    low, high = scipy.stats.binom.ppf((0.001, 0.999), of, covered.level).astype(int)
    low, high = min(counts.min(), low), max(counts.max(), high)
    step = -(-(high - low + 1) // BARS)
    edges = np.arange(low, high + step + 1, step)
    axes.stairs(np.histogram(counts, edges)[0], (edges - 0.5) / of, fill=True, color=SERIES[0], alpha=0.6, label=called)
    expected = counts.size * np.diff(scipy.stats.binom.cdf(edges - 1, of, covered.level))
    axes.stairs(expected, (edges - 0.5) / of, color=INK, linewidth=1, label="by chance")
    axes.axvline(covered.level, color=MUTED, linewidth=1, linestyle="--", label="nominal")
    axes.set(xlabel="test samples inside", ylabel=called, xlim=((low - 0.5) / of, (edges[-1] - 0.5) / of))
    _percent(axes.xaxis)
    axes.locator_params(axis="y", integer=True, nbins=5)
    dress(axes)
    legend(axes, loc="upper left")


def _percent(axis: Axis) -> None:
    axis.set_major_formatter(lambda value, _: f"{100 * value:.4g} %")
