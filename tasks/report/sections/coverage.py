from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup

from ritz.compute.uncertainty.catalogue import about
from ritz.tasks.report.figures.theme import HALF, INK, MUTED, SERIES, SMALL, dress, figure, in_a_row, legend
from ritz.tasks.report.html import Pictures, columns, joined, paragraph, picture, table
from ritz.tasks.report.material import RunFacts
from ritz.tasks.report.recorded import Recorded
from ritz.tasks.report.section import Draw, Section
from ritz.tasks.report.wording import number, percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Coverage(Section[RunFacts]):
    """What the error bars promise, and what they keep."""

    name = "coverage"
    title = "Error bars"
    link = "Error bars"
    place = 40
    needs = ("coverage", "recipe", "truth", "attrs")
    absent = "Coverage of the bands: not measured in this run."

    def figures(self, facts: RunFacts) -> Mapping[str, Draw]:
        """Return ``calibration``."""
        return {"calibration": partial(draw, facts.recorded)} if facts.recorded.coverage else {}

    def html(self, facts: RunFacts, pictures: Pictures) -> Markup:
        """Return how the bands are made, the figure, and coverage and width per level."""
        rows = facts.recorded.coverage
        if not rows:
            return Markup()
        constant = any("constant_width" in row for row in rows)
        width, equal = "constant_width", "constant_width_at_equal_coverage"
        more = [tuple(number(row.get(name)) for name in (width, equal)) if constant else () for row in rows]
        unit = facts.material.common_unit()
        widths = table(
            f"Coverage, and mean width{f' in {unit}' if unit else ''}"
            f"{' beside that of constant bands' if constant else ''}.",
            [
                (percent(row["nominal"]), percent(row.get("measured")), number(row.get("width")), *beside)
                for row, beside in zip(rows, more, strict=True)
            ],
            ("nominal", "measured", "width", *(("constant", "constant, equal coverage") if constant else ())),
            kind="shares",
        )
        return joined(
            paragraph(about(dict(facts.recorded.recipe.get("uncertainty") or {}))),
            columns(
                picture(
                    pictures,
                    "calibration",
                    "Measured against nominal coverage. On the dashed line the measured coverage is the nominal "
                    "one; below it the bands are too narrow.",
                ),
                widths,
            ),
        )


def draw(recorded: Recorded) -> Figure:
    """Draw measured against nominal coverage, with the diagonal."""
    from matplotlib.ticker import MultipleLocator

    nominal, measured = (np.array([row[key] for row in recorded.coverage], float) for key in ("nominal", "measured"))
    whole = figure(HALF, 3.9)
    axes = whole.subplots()
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle="--", label="nominal = measured")
    axes.plot(nominal, measured, color=SERIES[0], marker="o", markersize=5, linewidth=1.4, label="this model")
    for x, y in zip(nominal, measured, strict=True):
        axes.annotate(f"{100 * y:.1f} %", (x, y), xytext=(7, -8), textcoords="offset points", fontsize=SMALL, color=INK)
    axes.set(xlabel="nominal coverage", ylabel="measured coverage", xlim=(0, 1.08), ylim=(0, 1.04))
    axes.set_box_aspect(1 / 1.2)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MultipleLocator(0.25))
        axis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    dress(axes, grid="both")
    legend(axes, loc="upper left")
    in_a_row(whole, [axes], above=0.06)
    return whole
