from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from ritz.tasks.report.figures.theme import HALF, INK, SERIES, SMALL, dress, figure, in_a_row, plain
from ritz.tasks.report.html import Pictures, columns, heading, joined, picture, table
from ritz.tasks.report.material import RunFacts
from ritz.tasks.report.section import Draw, Section
from ritz.tasks.report.wording import duration, number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Rows = tuple[Mapping[str, Any], ...]


class Panel(Section[RunFacts]):
    """What ordering and recycling do."""

    name = "panel"
    under = "solver"
    place = 10
    needs = ("panel",)
    absent = "Comparison of the solvers: not measured in this run."

    def figures(self, facts: RunFacts) -> Mapping[str, Draw]:
        """Return ``panel``."""
        return {"panel": partial(draw, facts.recorded.panel)}

    def html(self, facts: RunFacts, pictures: Pictures) -> Markup:
        """Return a heading, the figure and its numbers."""
        return joined(
            heading("Effect of ordering and recycling on one shard"),
            columns(
                picture(
                    pictures,
                    "panel",
                    "The same number of systems solved in every way, one system of each in turn. “Sorted” systems are "
                    "ordered so that neighbours are alike; with carry, the search space of one system is handed to "
                    "the next.",
                ),
                table(
                    "Mean iterations and median time per system, worst true relative residual.",
                    [
                        (
                            _name(row),
                            number(row.get("iterations")),
                            duration(row.get("seconds")),
                            number(row.get("max_residual")),
                        )
                        for row in facts.recorded.panel
                    ],
                    ("method", "iterations", "time", "residual"),
                ),
            ),
        )


def _name(row: Mapping[str, Any]) -> str:
    """Return how a row of the panel is called, e.g. ``"recycled, carry, sorted"``."""
    return ", ".join(str(row[key]) for key in ("method", "order") if row.get(key))


def draw(rows: Rows) -> Figure:
    """Draw iterations and time per system of every way to solve the probe's systems."""
    names = [plain(_name(row), 36) for row in rows]
    whole = figure(HALF, 0.9 + 0.36 * len(rows))
    both = list(whole.subplots(1, 2, sharey=True))
    measures = (("iterations", 1.0, "iterations per system"), ("seconds", 1e3, "time per system (ms)"))
    for axes, (key, factor, label), colour in zip(both, measures, SERIES, strict=False):
        values = np.array([np.nan if row.get(key) is None else row[key] for row in rows], float) * factor
        bars = axes.barh(names, np.nan_to_num(values), color=colour, alpha=0.85, height=0.62)
        texts = ["not measured" if np.isnan(value) else f"{value:.3g}" for value in values]
        for text in axes.bar_label(bars, texts, padding=3, fontsize=SMALL):
            text.set_color(INK)
        axes.set(xlabel=label, xlim=(0, 1.22 * max(float(np.nanmax(values, initial=0.0)), 1e-12)))
        axes.locator_params(axis="x", nbins=4)
        dress(axes)
        axes.tick_params(axis="y", length=0, labelcolor=INK)
        axes.spines["left"].set_visible(False)
    both[0].invert_yaxis()
    in_a_row(whole, both, above=0.06)
    return whole
