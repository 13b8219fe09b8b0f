from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from ritz.tasks.report.figures.distribution import bins, finite
from ritz.tasks.report.figures.theme import HALF, INK, MUTED, SERIES, SMALL, dress, figure, in_a_row, log_axis, plain
from ritz.tasks.report.html import Pictures, joined, paragraph, picture, table
from ritz.tasks.report.material import RunFacts
from ritz.tasks.report.section import Draw, Section
from ritz.tasks.report.wording import number, share
from ritz.tasks.views.measures import measures, unfit

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SUMMARY = {"mean": "mean", "median": "median", "p95": "95th pct.", "max": "worst"}
"""What is told of an error over the test samples, and the head of its column."""

BASELINES = {
    "mean": "training mean",
    "linear": "linear PCA ridge",
    "quadratic": "quadratic PCA ridge",
    "persistence": "persistence: the first state",
}


NEAR, LOWER = 0.04, 0.66
"""Lines of a histogram nearer than that share of its width have their names at two heights; the lower one."""


class Errors(Section[RunFacts]):
    """What the errors are measured on."""

    name = "errors"
    title = "Errors on the test split"
    link = "Errors"
    place = 30

    def html(self, facts: RunFacts, pictures: Pictures) -> Markup:
        """Return what the test samples were kept from."""
        return paragraph("No test sample was used for training, for stopping or for the bands.")


class Distribution(Section[RunFacts]):
    """The error of every test sample."""

    name = "distribution"
    under = "errors"
    place = 10
    column = 1
    needs = ("relative_l2", "baselines")
    absent = "Error of every test sample: not measured in this run."

    def figures(self, facts: RunFacts) -> Mapping[str, Draw]:
        """Return ``errors``."""
        return {"errors": partial(draw, facts)} if finite(facts.material.relative_l2).size else {}

    def html(self, facts: RunFacts, pictures: Pictures) -> Markup:
        """Return the figure."""
        return picture(
            pictures,
            "errors",
            "Relative L2 error of the test samples; solid line: the mean of this model, dashed lines: the means of the "
            "baselines.",
        )


class Baselines(Section[RunFacts]):
    """The model beside simpler methods."""

    name = "baselines"
    under = "errors"
    place = 20
    column = 2
    needs = ("baselines", "metrics")
    absent = "Baselines: not measured in this run."

    def html(self, facts: RunFacts, pictures: Pictures) -> Markup:
        """Return the errors of all of them, the model's first."""
        if not facts.recorded.baselines:
            return Markup()
        own = facts.recorded.own_error
        rows = [("this model", *_summary(own), number(1.0, 2))] if own else []
        for name, row in facts.recorded.baselines.items():
            error = row.get("relative_l2") or {}
            times_model = number(share(error.get("mean"), own.get("mean")), 2)
            rows.append((BASELINES.get(name, name), *_summary(error), times_model))
        return table(
            "Relative L2 error of this model and of simpler methods on the same samples; last column: mean error over "
            "that of this model.",
            rows,
            ("method", *SUMMARY.values(), "×\xa0model"),
            own=bool(own),
        )


class Measures(Section[RunFacts]):
    """All measures of the model's error."""

    name = "measures"
    under = "errors"
    place = 30
    column = 2
    needs = ("metrics", "unfit")
    absent = "Error metrics: not measured in this run."

    def html(self, facts: RunFacts, pictures: Pictures) -> Markup:
        """Return a row per measure."""
        rows = [(name, *_summary(row)) for name, row in measures(facts.recorded.metrics)]
        if not rows:
            return Markup()
        head = ("error", *SUMMARY.values())
        return joined(
            table("All measures of the error of this model over the test samples.", rows, head),
            *(paragraph(sentence, "muted") for sentence in unfit(facts.material.unfit)),
        )


def _summary(row: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(number(row.get(name)) for name in SUMMARY)


def draw(facts: RunFacts) -> Figure:
    """Draw the distribution of the error over the test samples, with the means of the baselines as lines."""
    from matplotlib.ticker import MaxNLocator

    values = finite(facts.material.relative_l2)
    means = {name: mean for name, mean in facts.recorded.baseline_means().items() if mean > 0}
    marks = {"this model": float(values.mean())} | means
    whole = figure(HALF, 3.3)
    axes = whole.subplots()
    edges = bins(values)
    counts = np.histogram(values, edges)[0]
    axes.stairs(counts, edges, fill=True, color=SERIES[0], alpha=0.85)
    low, high = min(values.min(), *marks.values()), max(values.max(), *marks.values())
    near, above = NEAR * np.log(1.3**2 * high / low), True
    before = -np.inf
    for name, mean in sorted(marks.items(), key=lambda mark: mark[1]):
        own = name == "this model"
        axes.axvline(mean, color=SERIES[0] if own else MUTED, linewidth=1.1, linestyle="-" if own else "--")
        # The names of lines that are near each other stand at two heights in turn.
        above = not above or np.log(mean) - before > near
        before = np.log(mean)
        axes.annotate(
            f"{plain(name, 20)} {mean:#.3g}",
            (mean, 1 if above else LOWER),
            xycoords=("data", "axes fraction"),
            xytext=(-3, -3),
            textcoords="offset points",
            rotation=90,
            ha="right",
            va="top",
            fontsize=SMALL,
            color=INK if own else MUTED,
        )
    axes.set(xlabel="relative L2 error", ylabel="test samples", xscale="log", xlim=(low / 1.3, high * 1.3))
    # Room above the bars for the names of the lines.
    axes.set_ylim(0, 1.55 * counts.max())
    log_axis(axes.xaxis, low / 1.3, high * 1.3)
    axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
    dress(axes)
    in_a_row(whole, [axes], above=0.06)
    return whole
