from __future__ import annotations

import statistics
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup

from ritz.tasks.comparison.comparison_record import GainRow
from ritz.tasks.comparison.gains import rows
from ritz.tasks.report.compared import NAMES, Compared
from ritz.tasks.report.figures.theme import INK, MUTED, SERIES, WIDE, dress, figure, in_a_row, legend, log_axis
from ritz.tasks.report.html import Pictures, joined, picture, table
from ritz.tasks.report.section import Draw, Section
from ritz.tasks.report.wording import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class Gains(Section[Compared]):
    """What online training saves."""

    name = "gains"
    title = "Result"
    place = 10
    needs = ("arms", "gains", "dataset", "samples", "steps", "published", "recipe")

    def figures(self, facts: Compared) -> Mapping[str, Draw]:
        """Return ``gains``."""
        return {"gains": partial(draw, facts)}

    def html(self, facts: Compared, pictures: Pictures) -> Markup:
        """Return a row per kind of equality, and the figure."""
        found = rows(facts.record)
        return joined(
            table(
                "Online / offline. Errors: mean relative L2 over the "
                f"{number(facts.record.dataset.splits['test'])} test samples, median over the seeds. Gain: 1 − "
                "exp(mean of ln(online / offline) over the pairs), with Student's interval of that mean.",
                [tuple(map(str, row.values())) for row in found],
                tuple(found[0]),
            ),
            picture(
                pictures,
                "gains",
                "Left: test error of every seed (grey lines join the arms of one seed), bars: medians. Right: gain "
                "with its interval, and the gain of every pair as a tick below.",
                wide=True,
            ),
        )


def draw(facts: Compared) -> Figure:
    """Draw the test error of every seed in every arm, and the gain of each online arm with its interval."""
    whole = figure(WIDE, 3.4)
    left, right = whole.subplots(1, 2)
    _errors(left, np.array([facts.errors(arm) for arm in NAMES]))
    published = facts.record.published.get(facts.record.recipe["surrogate"]["kind"])
    _gains(right, facts.record.gains, published)
    in_a_row(whole, [left, right], ratios=(3, 2))
    return whole


def _errors(axes: Axes, errors: np.ndarray) -> None:
    places = np.arange(len(NAMES))
    axes.plot(places, errors, color=MUTED, linewidth=0.6, alpha=0.6)
    for place, colour in zip(places, SERIES, strict=True):
        axes.plot(np.full(errors.shape[1], place), errors[place], "o", color=colour, markersize=4, alpha=0.8)
        middle = statistics.median(errors[place].tolist())
        axes.plot([place - 0.2, place + 0.2], [middle, middle], color=colour, linewidth=2.0)
    low, high = errors.min() / 1.1, errors.max() * 1.1
    axes.set(ylabel="test error (relative L2)", yscale="log", ylim=(low, high), xlim=(-0.4, len(NAMES) - 0.6))
    axes.set_xticks(places, [name.replace("online, ", "online,\n") for name in NAMES.values()])
    log_axis(axes.yaxis, low, high)
    dress(axes, grid="y")


def _gains(axes: Axes, gains: Mapping[str, GainRow], published: float | None) -> None:
    for row, (arm, colour) in enumerate(zip(gains, SERIES[1:], strict=True)):
        one, height = gains[arm], -row
        axes.plot([100 * one.low, 100 * one.high], [height, height], color=colour, linewidth=2.0)
        axes.plot([100 * one.mean], [height], "o", color=colour, markersize=6)
        shares = 100 * (1 - np.exp(np.array(one.log_ratios)))
        axes.plot(shares, np.full(len(shares), height - 0.22), "|", color=colour, markersize=7, alpha=0.7)
    if published is not None:
        axes.axvline(100 * published, color=INK, linewidth=1, linestyle=":", label="published, fresh data")
        legend(axes, loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2)
    axes.axvline(0, color=MUTED, linewidth=1)
    axes.set(xlabel="test error saved against offline (%)", ylim=(0.5 - len(gains), 0.5))
    axes.set_yticks([-row for row in range(len(gains))], [NAMES[arm].removeprefix("online, ") for arm in gains])
    dress(axes, grid="x")
