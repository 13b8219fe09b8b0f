from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup

from ritz.compute.evaluation.arrivals import quarters
from ritz.tasks.report.arrivals import Stream
from ritz.tasks.report.figures.theme import MUTED, SERIES, WIDE, dress, figure, in_a_row, legend_above
from ritz.tasks.report.html import Pictures, joined, paragraph, picture, table
from ritz.tasks.report.material import RunFacts
from ritz.tasks.report.section import Draw, Section
from ritz.tasks.report.wording import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BINS = 6, 24
"""Fewest and most bins of a histogram."""


class Seen(Section[RunFacts]):
    """Which samples the trainer saw, and whether their order was biased."""

    name = "stream"
    title = "Samples in the batches"
    under = "training"
    place = 10
    needs = ("stream",)
    absent = "Distribution of what the trainer saw: not measured in this run."

    def figures(self, facts: RunFacts) -> Mapping[str, Draw]:
        """Return ``stream``."""
        stream = facts.material.stream
        return {} if stream is None else {"stream": partial(draw, stream)}

    def html(self, facts: RunFacts, pictures: Pictures) -> Markup:
        """Return the largest differences, the figure, and the differences by quarter."""
        stream = facts.material.stream
        if stream is None:
            return Markup()
        numbers = {name: number(value, 2) for name, value in stream.numbers().items()}
        part = f" ({number(len(stream.whole))} of {number(stream.of)} samples)" if len(stream.whole) < stream.of else ""
        return joined(
            paragraph(
                Markup(
                    "One number per training sample, {what}{part}. The mean of a quarter of the arrivals is at "
                    "most <strong>{arrivals}</strong> standard deviations from that of the whole set, that of a "
                    "quarter of the batches at most <strong>{batches}</strong>. With the same shards in random order "
                    "the arrivals stay below {by_chance} in 95\xa0% of all cases: more than that is a bias of the "
                    "order in which shards were dispatched, and much more in the batches than in the arrivals is one "
                    "of the buffer."
                ).format(what=stream.what, part=part, **numbers)
            ),
            picture(
                pictures,
                "stream",
                "Distribution of arrivals (left) and of the samples of all batches (right) by quarter of the training, "
                "over that of the whole training set; ticks at the bottom: the means.",
                wide=True,
            ),
            table(
                "Difference of the mean from that of the whole set, in its standard deviations.",
                [
                    (str(row["quarter"]), number(row["arrivals"], 2), number(row["batches"], 2))
                    for row in stream.table()
                ],
                ("quarter", "arrivals", "batches"),
                kind="narrow",
            ),
        )


def draw(stream: Stream) -> Figure:
    """Draw the distributions of arrivals and of batches, each by quarter, over that of the whole set."""
    whole = figure(WIDE, 3.2)
    left, right = whole.subplots(1, 2, sharex=True, sharey=True)
    everything = np.concatenate([stream.whole, stream.batches, [-1.0, 1.0]])
    bins = int(np.clip(np.sqrt(len(stream.whole)), *BINS))
    edges = np.linspace(everything.min(), everything.max(), bins + 1)
    _panel(left, stream.whole, stream.arrivals, edges, "arrivals")
    _panel(right, stream.whole, stream.batches, edges, "batches")
    left.set(ylabel="density")
    # One for both.
    legend_above(left)
    in_a_row(whole, [left, right])
    return whole


def _panel(axes: Axes, whole: np.ndarray, values: np.ndarray, edges: np.ndarray, what: str) -> None:
    def density(part: np.ndarray) -> np.ndarray:
        return np.histogram(part, edges, density=True)[0]

    axes.stairs(density(whole), edges, fill=True, color=MUTED, alpha=0.3, label="whole training set")
    names = ("first", "second", "third", "last")
    for part, name, colour in zip(quarters(values), names, SERIES, strict=False):
        axes.stairs(density(part), edges, linewidth=1.3, color=colour, label=f"{name} quarter")
        axes.axvline(float(part.mean()), ymax=0.06, color=colour, linewidth=2.2)
    axes.set(xlabel=f"{what}: score (standard deviations of the training set)")
    dress(axes, grid="y")
