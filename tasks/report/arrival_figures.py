from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ritz.compute.evaluation.arrivals import by_chance, differences, largest, quarters
from ritz.tasks.report.theme import SMALL, Theme, dress, figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BINS = 6, 24
"""Fewest and most bins of a histogram."""

WIDTH = 10.6
"""Inches."""


@dataclass(frozen=True)
class Stream:
    """Samples in the batches and in which order, each sample by one number, its standard score in the training set.

    Attributes
    ----------
    whole
        ``(n,)`` scores of the training samples that are looked at.
    shards
        Those of each shard, in the order of arrival.
    batches
        ``(m,)`` scores of all samples of all steps, in the order of the steps.
    what
        What the score is of, in a few words.
    of
        Training samples there are; ``n`` of them are looked at.
    """

    whole: np.ndarray
    shards: tuple[np.ndarray, ...]
    batches: np.ndarray
    what: str
    of: int

    @property
    def arrivals(self) -> np.ndarray:
        """Scores in the order of arrival, ``(n,)``."""
        return np.concatenate(self.shards) if self.shards else np.empty(0)

    def table(self) -> list[dict[str, Any]]:
        """Return by quarter the difference of the mean from that of the whole set, in standard deviations."""
        columns = differences(self.arrivals), differences(self.batches)
        rows = max(map(len, columns))
        return [
            {"quarter": row + 1, "arrivals": _at(columns[0], row), "batches": _at(columns[1], row)}
            for row in range(rows)
        ]

    def numbers(self) -> dict[str, float]:
        """Return the largest difference of ``arrivals`` and ``batches``, and what is ``by_chance`` of arrivals."""
        return {
            "arrivals": largest(self.arrivals),
            "batches": largest(self.batches),
            "by_chance": by_chance(self.shards),
        }


def draw(stream: Stream, theme: Theme) -> Figure:
    """Draw the distributions of arrivals and of batches, each by quarter, over that of the whole set."""
    whole = figure(theme, WIDTH, 3.2)
    left, right = whole.subplots(1, 2, sharex=True, sharey=True)
    everything = np.concatenate([stream.whole, stream.batches, [-1.0, 1.0]])
    bins = int(np.clip(np.sqrt(len(stream.whole)), *BINS))
    edges = np.linspace(everything.min(), everything.max(), bins + 1)
    _panel(left, theme, stream.whole, stream.arrivals, edges, "arrivals")
    _panel(right, theme, stream.whole, stream.batches, edges, "batches")
    left.set(ylabel="density")
    # One for both, where it hides nothing.
    whole.legend(
        *left.get_legend_handles_labels(),
        loc="outside upper left",
        ncols=5,
        frameon=False,
        fontsize=SMALL,
        labelcolor=theme.ink,
    )
    return whole


def _panel(axes: Axes, theme: Theme, whole: np.ndarray, values: np.ndarray, edges: np.ndarray, what: str) -> None:
    bins = edges.tolist()
    axes.hist(whole, bins=bins, density=True, color=theme.muted, alpha=0.3, label="whole training set")
    names = ("first", "second", "third", "last")
    for part, name, colour in zip(quarters(values), names, theme.series, strict=False):
        axes.hist(part, bins=bins, density=True, histtype="step", linewidth=1.3, color=colour, label=f"{name} quarter")
        axes.axvline(float(part.mean()), ymax=0.06, color=colour, linewidth=2.2)
    axes.set(xlabel=f"{what}: score (standard deviations of the training set)")
    dress(axes, theme, grid="y")


def _at(values: list[float], row: int) -> float | None:
    return values[row] if row < len(values) else None
