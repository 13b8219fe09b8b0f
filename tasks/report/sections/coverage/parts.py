from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from ritz.tasks.report.figures.theme import INK, MUTED, SERIES, WIDE, dress, figure, in_a_row, legend
from ritz.tasks.report.html import Pictures, joined, paragraph, picture
from ritz.tasks.report.material import RunFacts
from ritz.tasks.report.section import Draw, Section
from ritz.tasks.report.wording import number, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RINGS = ("1", "2", "3–4", "5–8", "9–16", "17 on")
"""Cells from the nearest edge of the grid, by ring; see `ritz.compute.uncertainty.zones.rings`."""

NAMED = 5
"""So many of the least covered samples are named."""

RENEWED = (
    "Coverage by sample, by ring and cell by cell was not kept when these bands were made, by an earlier release. "
    "`ritz quantify` makes bands anew, and measures it."
)


class Parts(Section[RunFacts]):
    """Where coverage differs from that of all points: between samples, near walls, by difficulty."""

    name = "coverage-parts"
    title = "Coverage by sample, by place, by difficulty"
    under = "coverage"
    place = 20
    needs = ("coverage", "covered")

    def figures(self, facts: RunFacts) -> Mapping[str, Draw]:
        """Return ``covered``."""
        return {"covered": partial(draw, facts)} if _panels(facts) else {}

    def html(self, facts: RunFacts, pictures: Pictures) -> Markup:
        """Return the figure, and which samples are covered least."""
        if not facts.recorded.coverage:
            return Markup()
        covered, row = facts.material.covered, facts.recorded.next_to_90
        if covered is None and not _panels(facts):
            return paragraph(RENEWED)
        said = {
            "samples": "every test sample, the least covered first; shaded: the interval of 95 % of their mean",
            "by_zone": "rings of cells, the outermost first",
            "by_difficulty": "fifths of the samples, those with the narrowest bands first",
        }
        shown = "; ".join(said[name] for name in _panels(facts))
        return joined(
            picture(
                pictures,
                "covered",
                f"Share of the points inside the {percent(row['nominal'])} bands, from left to right: {shown}. Dashed: "
                "the nominal share. Bars and shaded parts are intervals of 95 % over samples.",
                wide=True,
            ),
            paragraph(
                f"Least covered of {number(len(covered.shares))} test samples, by their ids: "
                + ", ".join(f"{sample} ({percent(share)})" for sample, share in covered.least(NAMED))
                + "."
            )
            if covered is not None
            else Markup(),
        )


def draw(facts: RunFacts) -> Figure:
    """Draw a panel for each way of telling points apart, all but that of single samples on one scale."""
    row = facts.recorded.next_to_90
    panels = _panels(facts)
    whole = figure(WIDE, 2.9)
    axes = dict(zip(panels, whole.subplots(1, len(panels), squeeze=False)[0], strict=True))
    _limits([axes[name] for name in panels if name != "samples"], [panels[n] for n in panels if n != "samples"], row)
    for name, one in axes.items():
        one.axhline(row["nominal"], color=MUTED, linewidth=1, linestyle="--", label="nominal", zorder=1)
        if name == "samples":
            _samples(one, facts, row)
        else:
            _groups(one, panels[name], RINGS if name == "by_zone" else ("1", "2", "3", "4", "5"))
    below = {
        "samples": "test samples, least covered first",
        "by_zone": "cells from the nearest edge",
        "by_difficulty": "fifth of the samples, by band width",
    }
    for name, one in axes.items():
        one.set_xlabel(below[name])
        one.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.4g} %")
        dress(one, grid="y")
    first = next(iter(axes.values()))
    first.set_ylabel("points inside")
    legend(first, loc="lower right")
    in_a_row(whole, list(axes.values()), above=0.1)
    return whole


def _panels(facts: RunFacts) -> dict[str, np.ndarray]:
    """Return what is drawn: the shares of single samples, and shares with their intervals ``(k, 3)`` by groups."""
    found: dict[str, np.ndarray] = {}
    if not facts.recorded.coverage:
        return found
    covered, row = facts.material.covered, facts.recorded.next_to_90
    if covered is not None and len(covered.shares):
        found["samples"] = np.sort(covered.shares)
    for name in ("by_zone", "by_difficulty"):
        if row.get(name):
            found[name] = np.array(row[name], float)
    return found


def _limits(axes: Sequence[Axes], shares: Sequence[np.ndarray], row: Mapping[str, Any]) -> None:
    """Give panels one vertical scale, on which their differences can be compared."""
    values = [row["nominal"], *(float(value) for one in shares for value in one.ravel() if np.isfinite(value))]
    room = max(0.08 * (max(values) - min(values)), 0.01)
    for one in axes:
        one.set_ylim(min(values) - room, max(values) + room)


def _samples(axes: Axes, facts: RunFacts, row: Mapping[str, Any]) -> None:
    covered = facts.material.covered
    assert covered is not None
    shares = np.sort(covered.shares)
    few = len(shares) <= 60
    axes.plot(
        np.arange(1, len(shares) + 1), shares, color=SERIES[0], linewidth=1.2, label="sample",
        marker="o" if few else "", markersize=2.5,
    )  # fmt: skip
    low, high = row.get("low"), row.get("high")
    if low is not None and high is not None:
        axes.axhspan(low, high, color=SERIES[0], alpha=0.2, linewidth=0, label="mean, 95 %")
    axes.set_xlim(1 - 0.02 * len(shares), 1.02 * len(shares))
    axes.locator_params(axis="x", integer=True, nbins=5)


def _groups(axes: Axes, shares: np.ndarray, names: Sequence[str]) -> None:
    places, middle = np.arange(len(shares)), shares[:, 0]
    reach = np.abs(shares[:, 1:].T - middle)
    axes.errorbar(places, middle, reach, color=SERIES[0], ecolor=INK, marker="o", markersize=5, linewidth=0,
                  elinewidth=1.2, capsize=3)  # fmt: skip
    axes.set_xlim(-0.5, len(shares) - 0.5)
    axes.set_xticks(places, names[: len(shares)])
