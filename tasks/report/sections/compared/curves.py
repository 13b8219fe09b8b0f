from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup

from ritz.tasks.comparison.comparison_record import ComparisonRecord, TrainedSeed
from ritz.tasks.report.compared import NAMES, Compared
from ritz.tasks.report.figures.theme import SERIES, WIDE, dress, figure, in_a_row, legend_above, log_axis
from ritz.tasks.report.html import Pictures, picture
from ritz.tasks.report.section import Draw, Section

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

AXES = {
    "steps": "gradient steps",
    "solves": "training simulations solved",
    "seconds": "wall time (s), modelled",
}


class Curves(Section[Compared]):
    """How the error falls."""

    name = "curves"
    title = "Curves"
    place = 20
    needs = ("arms", "clock", "samples")

    def figures(self, facts: Compared) -> Mapping[str, Draw]:
        """Return ``curves``."""
        return {"curves": partial(draw, facts.record)}

    def html(self, facts: Compared, pictures: Pictures) -> Markup:
        """Return the figure."""
        return picture(
            pictures,
            "curves",
            "Error on the same validation samples for all, a thin line per seed, their median thick. The time is a "
            "model from measured figures, see below.",
            wide=True,
        )


def along(record: ComparisonRecord, arm: str, result: TrainedSeed) -> dict[str, np.ndarray]:
    """Return where the points of a curve lie on each of `AXES`, and ``error``, all ``(n,)``.

    The seconds are a model: offline has all simulations before its first step; online has begun when the watermark is
    reached, and a step waits for the samples it was done with. Solvers and trainer do not slow each other.
    """
    clock = record.clock
    steps, received, error = (
        np.array([row[name] for row in result.curve], float) for name in ("step", "received", "validate")
    )
    if arm == "offline":
        seconds = record.samples * clock.simulation + steps * clock.step
    else:
        solved = received * clock.simulation + clock.step
        seconds = np.maximum(clock.begin + steps * clock.step, solved)
    return {"steps": steps, "solves": received, "seconds": seconds, "error": error}


def draw(record: ComparisonRecord) -> Figure:
    """Draw the validation error against steps, solves and seconds: a thin line per seed, their median thick."""
    whole = figure(WIDE, 3.7)
    panels: list[Axes] = list(whole.subplots(1, len(AXES), sharey=True))
    every: list[np.ndarray] = []
    for (arm, name), colour in zip(NAMES.items(), SERIES, strict=False):
        lines = [along(record, arm, result) for result in record.arms[arm].seeds]
        every += [line["error"] for line in lines]
        for axis, panel in zip(AXES, panels, strict=True):
            for line in lines:
                panel.plot(line[axis], line["error"], color=colour, linewidth=0.6, alpha=0.35)
            x, y = (_median([line[what] for line in lines]) for what in (axis, "error"))
            panel.plot(x, y, color=colour, linewidth=2.0, label=name)
            panel.plot(x[-1:], y[-1:], color=colour, marker="o", markersize=4)
    low, high = min(map(np.min, every)) / 1.15, max(map(np.max, every)) * 1.15
    for axis, panel in zip(AXES, panels, strict=True):
        panel.set(xlabel=AXES[axis], yscale="log", ylim=(low, high))
        panel.set_xlim(left=0)
        log_axis(panel.yaxis, low, high)
        dress(panel, grid="y")
    panels[0].set_ylabel("validation error (relative L2)")
    legend_above(panels[0])
    in_a_row(whole, panels)
    return whole


def _median(values: list[np.ndarray]) -> np.ndarray:
    """Return the median over the seeds of the points that all of them have, one by one."""
    length = min(map(len, values))
    return np.asarray(np.median([one[:length] for one in values], axis=0))
