from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from ritz.compute.uncertainty.catalogue import about
from ritz.tasks.report.figures.theme import HALF, INK, MUTED, SERIES, SMALL, dress, figure, in_a_row, legend
from ritz.tasks.report.html import Pictures, columns, joined, paragraph, picture, stacked, table
from ritz.tasks.report.material import RunFacts
from ritz.tasks.report.recorded import Recorded
from ritz.tasks.report.section import Draw, Section
from ritz.tasks.report.wording import MISSING, number, percent

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
        """Return how the bands are made, the figure, what was measured and promised per level, and the widths."""
        rows = facts.recorded.coverage
        if not rows:
            return Markup()
        constant = any("constant_width" in row for row in rows)
        width, equal = "constant_width", "constant_width_at_equal_coverage"
        more = [tuple(number(row.get(name)) for name in (width, equal)) if constant else () for row in rows]
        whole = any(row.get("fields") for row in rows)
        unit = facts.material.common_unit()
        shares = table(
            "Share of the test points inside, with its interval of 95 % over samples, beside what is expected over "
            "calibrations"
            + (", and share of the fields that lie wholly inside the bands around whole fields." if whole else "."),
            [
                (
                    percent(row["nominal"]),
                    _promised(row),
                    _with_interval(row),
                    *((_with_interval(row.get("fields") or {}),) if whole else ()),
                )
                for row in rows
            ],
            ("nominal", "expected", "points inside", *(("whole fields inside",) if whole else ())),
            kind="shares",
        )
        widths = table(
            f"Mean width{f' in {unit}' if unit else ''}"
            f"{' beside that of constant bands around the prediction' if constant else ''}.",
            [
                (
                    percent(row["nominal"]),
                    number(row.get("width")),
                    *((number((row.get("fields") or {}).get("width")),) if whole else ()),
                    *beside,
                )
                for row, beside in zip(rows, more, strict=True)
            ],
            (
                "nominal",
                "width",
                *(("around whole fields",) if whole else ()),
                *(("constant", "constant, equal coverage") if constant else ()),
            ),
            kind="shares",
        )
        return joined(
            paragraph(about(dict(facts.recorded.recipe.get("uncertainty") or {}))),
            paragraph(facts.material.bands_made) if facts.material.bands_made else Markup(),
            columns(
                picture(
                    pictures,
                    "calibration",
                    "Measured against nominal coverage. On the dashed line the measured coverage is the nominal "
                    "one; below it the bands are too narrow. Bars are intervals of 95 %: the points of a field are one "
                    "observation.",
                ),
                stacked(shares, widths),
            ),
            paragraph(said) if (said := _of_samples(rows)) else Markup(),
            paragraph(said) if (said := _ranked(facts.recorded.ranking)) else Markup(),
            paragraph(said) if (said := _dear(facts.recorded)) else Markup(),
            _laws(facts.recorded.shifted),
        )


def _ranked(ranking: Mapping[str, Any]) -> str:
    """Return how well estimated errors rank the true ones."""
    if not ranking:
        return ""
    return (
        f"Rank correlation of estimated and true error: {number(ranking.get('spearman_point'))} at points, "
        f"{number(ranking.get('spearman_sample'))} over samples (1 is best). Leaving out the samples with the largest "
        f"estimates keeps a mean error {percent(ranking.get('ause'))} above the least possible on average."
    )


def _dear(recorded: Recorded) -> str:
    """Return what error bars take beside a prediction and the fastest solve at matched error."""
    seconds, fastest = recorded.bar_seconds, (recorded.break_even.get("fastest") or {}).get("seconds")
    if not seconds:
        return ""
    solve = "" if fastest is None else f", the fastest solve at the error of the model {number(1e3 * fastest)} ms"
    return (
        f"Per sample, a prediction takes {number(1e3 * seconds['prediction'])} ms and its error bars "
        f"{number(1e3 * seconds['bars'])} ms, measured with them{solve}."
    )


def _laws(shifted: Mapping[str, Any]) -> Markup:
    """Return what the bands are worth on other laws, at 90 % or the highest level."""
    if not shifted:
        return Markup()
    rows = []
    for law, found in shifted.items():
        level = "0.9" if "0.9" in found["coverage"] else max(found["coverage"], key=float)
        row, drop = found["coverage"][level], found["drop"][level]
        rows.append(
            (
                law,
                number(found["relative_l2"]),
                _with_interval(row),
                _fallen(drop.get("points")),
                _with_interval(row.get("fields") or {}),
                _fallen(drop.get("fields")),
            )
        )
    return table(
        "The bands of 90 %, or the highest level, on other laws, each on samples that were solved for it. drop: "
        "coverage on the test split less coverage there, in percentage points, with its interval of 95 %.",
        rows,
        ("law", "relative L2", "points inside", "drop", "whole fields inside", "drop"),
        kind="shares",
    )


def _fallen(drop: Sequence[float] | None) -> str:
    return MISSING if drop is None else f"{100 * drop[0]:.1f} [{100 * drop[1]:.1f}, {100 * drop[2]:.1f}]"


def _promised(row: Mapping[str, Any]) -> str:
    """Return between what the coverage is expected, in percent."""
    expected = row.get("expected")
    return MISSING if expected is None else f"{100 * expected[0]:.1f} to {percent(expected[1])}"


def _with_interval(row: Mapping[str, Any]) -> str:
    """Return a measured share with its interval, where there is one."""
    measured = percent(row.get("measured"))
    ends = (row.get("low"), row.get("high"))
    return (
        measured if None in ends else f"{measured} [{100 * float(ends[0] or 0):.1f}, {100 * float(ends[1] or 0):.1f}]"
    )


def _of_samples(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return how the coverage of single samples differs, at 90 % or the highest level."""
    row = next((one for one in rows if one["nominal"] == 0.9), rows[-1])
    found, whole = row.get("by_sample"), row.get("fields") or {}
    if not found:
        return ""
    shown = whole.get("detects")
    detects = (
        f" With {number(whole['of'])} samples, a drop of {100 * shown:.1f} points in the share of whole fields shows."
        if shown is not None
        else ""
    )
    return (
        f"Of single samples, the {percent(row['nominal'])} bands hold {percent(found['median'])} of the points in the "
        f"median, {percent(found['tenth'])} or less in one of ten, and {percent(found['least'])} in the worst: nothing "
        "is promised for a single sample." + detects
    )


def draw(recorded: Recorded) -> Figure:
    """Draw measured against nominal coverage, with the diagonal."""
    from matplotlib.ticker import MultipleLocator

    nominal, measured = (np.array([row[key] for row in recorded.coverage], float) for key in ("nominal", "measured"))
    whole = figure(HALF, 3.9)
    axes = whole.subplots()
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle="--", label="nominal = measured")
    ends = [(row.get("low", row["measured"]), row.get("high", row["measured"])) for row in recorded.coverage]
    bars = np.abs(np.array(ends, float).T - measured)
    axes.errorbar(
        nominal,
        measured,
        bars,
        color=SERIES[0],
        marker="o",
        markersize=5,
        linewidth=1.4,
        capsize=3,
        label="points inside",
    )
    fields = [(row["nominal"], row["fields"]) for row in recorded.coverage if row.get("fields")]
    if fields:
        level, share = np.array([level for level, _ in fields]), np.array([one["measured"] for _, one in fields])
        reach = np.abs(np.array([(one["low"], one["high"]) for _, one in fields]).T - share)
        axes.errorbar(
            level + 0.008,
            share,
            reach,
            color=SERIES[1],
            marker="s",
            markersize=4,
            linewidth=1,
            capsize=3,
            label="fields inside",
        )
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
