from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup

from ritz.tasks.report.figures.theme import MUTED, SERIES, WIDE, dress, figure, in_a_row, legend_above, plain
from ritz.tasks.report.html import Pictures, joined, paragraph, picture
from ritz.tasks.report.material import RunFacts
from ritz.tasks.report.recorded import Part
from ritz.tasks.report.section import Draw, Section
from ritz.tasks.report.sections.coverage.promise import by_time
from ritz.tasks.report.wording import number, percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FEW = 40
"""Up to so many times have a marker each."""


class OverTime(Section[RunFacts]):
    """Coverage at each stored time, with intervals that hold at all times together."""

    name = "coverage-times"
    title = "Coverage over time"
    under = "coverage"
    place = 25
    needs = ("coverage", "recipe", "coordinates", "attrs")

    def figures(self, facts: RunFacts) -> Mapping[str, Draw]:
        """Return ``over_time``."""
        return {"over_time": partial(draw, facts)} if facts.recorded.next_to_90.get("by_step") else {}

    def html(self, facts: RunFacts, pictures: Pictures) -> Markup:
        """Return the figure, and at how many times the coverage is not the nominal one."""
        row = facts.recorded.next_to_90
        if not row.get("by_step"):
            return Markup()
        together = bool(row.get("by_step_together"))
        intervals = (
            "intervals that hold at all times together with 95 % (Bonferroni)"
            if together
            else "intervals of 95 %, at each time by itself"
        )
        own = by_time(facts.recorded)
        expected = " Green: between what it is expected over calibrations." if own and row.get("expected") else ""
        return joined(
            picture(
                pictures,
                "over_time",
                f"Share of the points inside the {percent(row['nominal'])} bands at each stored time. Dashed: the "
                f"nominal share. Shaded: {intervals}; they count samples, not points.{expected}",
                wide=True,
            ),
            paragraph(_said(row, own)) if together else Markup(),
        )


def _said(row: Part, own: bool) -> str:
    """Return the range of the shares, and at how many times they differ from the nominal one."""
    shares, ends = np.array(row["by_step"], float)[:, 0], np.array(row["by_step_together"], float)
    below, above = int((ends[:, 1] < row["nominal"]).sum()), int((ends[:, 0] > row["nominal"]).sum())
    factors = (
        "Each time has a factor of its own, which keeps the level there."
        if own
        else "All times share one factor: the level is kept over all of them, and not at each. "
        "`uncertainty.per=time` calibrates a factor for each."
    )
    return (
        f"Over {number(len(shares))} times {percent(shares.min())} to {percent(shares.max())} of the points are "
        f"inside; the interval ends below nominal at {number(below)} and begins above it at {number(above)} of them. "
        f"{factors}"
    )


def draw(facts: RunFacts) -> Figure:
    """Draw the coverage against time, with the nominal one and, with factors by time, the expected one."""
    row = facts.recorded.next_to_90
    shares = np.array(row["by_step"], float)
    ends = np.array(row.get("by_step_together") or shares[:, 1:], float)
    times, name = facts.material.times(len(shares))
    whole = figure(WIDE, 2.7)
    axes = whole.subplots()
    if by_time(facts.recorded) and row.get("expected"):
        axes.axhspan(*row["expected"], color=SERIES[2], alpha=0.5, linewidth=0, label="expected")
    axes.axhline(row["nominal"], color=MUTED, linewidth=1, linestyle="--", label="nominal", zorder=1)
    axes.fill_between(times, ends[:, 0], ends[:, 1], color=SERIES[0], alpha=0.25, linewidth=0, label="interval")
    axes.plot(
        times, shares[:, 0], color=SERIES[0], linewidth=1.2, marker="o" if len(times) <= FEW else "", markersize=3,
        label="points inside",
    )  # fmt: skip
    axes.set(xlabel=plain(name, 24), ylabel="points inside")
    axes.margins(x=0.02)
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.4g} %")
    dress(axes, grid="y")
    legend_above(axes)
    in_a_row(whole, [axes])
    return whole
