from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from ritz.tasks.report.figures.distribution import smooth
from ritz.tasks.report.figures.theme import (
    MUTED,
    SERIES,
    WIDE,
    dress,
    figure,
    in_a_row,
    legend_above,
    log_axis,
)
from ritz.tasks.report.html import Pictures, joined, paragraph, picture
from ritz.tasks.report.material import RunFacts
from ritz.tasks.report.section import Draw, Section
from ritz.tasks.report.wording import number, percent, share

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


DASHED: Mapping[str, Any] = {"linewidth": 1.2, "linestyle": "--"}
"""How it is drawn what the trainer received."""


class Training(Section[RunFacts]):
    """Loss against steps, and steps beside the solving."""

    name = "training"
    title = "Training"
    link = "Training"
    place = 20
    needs = ("curve", "arrivals", "times")
    absent = "Training curve: not measured in this run."

    def figures(self, facts: RunFacts) -> Mapping[str, Draw]:
        """Return ``training``."""
        return {"training": partial(draw, facts)} if len(facts.material.curve.get("step", ())) else {}

    def html(self, facts: RunFacts, pictures: Pictures) -> Markup:
        """Return how much of the training was done while solving, and the figure."""
        if "training" not in pictures:
            return Markup()
        return joined(
            _overlap(facts),
            picture(
                pictures,
                "training",
                "Left: loss (pale: as recorded) and error on the validation split, both relative L2, and how many "
                "training samples had arrived (right axis); shaded: samples were still being solved. Right: steps and "
                "shards against time; dotted: the last shard was solved.",
                wide=True,
            ),
        )


def _overlap(facts: RunFacts) -> Markup:
    times = facts.recorded.times
    steps, early = times.get("steps"), times.get("steps_while_solving")
    overlap = share(early, steps)
    if overlap:
        return paragraph(
            f"{number(early)} of {number(steps)} training steps ({percent(overlap)}) were done before the last shard "
            "was solved."
        )
    if "steps" in times:
        return paragraph(f"{number(steps)} training steps, all of them on samples that had been solved before.")
    return Markup()


def draw(facts: RunFacts) -> Figure:
    """Draw loss and samples received against the step, and both kinds of progress against time."""
    curve, times = facts.material.curve, facts.recorded.times
    step = curve["step"]
    whole = figure(WIDE, 3.3)
    left, right = whole.subplots(1, 2)
    _loss(left, curve)
    twin = _received(left, curve)
    overlapped = times.get("steps_while_solving") or 0
    if overlapped:
        left.axvspan(0, overlapped, color=MUTED, alpha=0.1, linewidth=0)
        left.axvline(overlapped, color=MUTED, linewidth=1, linestyle=":", label="last shard solved")
    legend_above(left)
    low, high = left.get_ylim()
    log_axis(left.yaxis, low, high)

    start = curve["time"][0] - (times.get("first_step") or 0.0)
    right.plot(curve["time"] - start, step / step[-1], color=SERIES[0], linewidth=1.4, label="steps done")
    arrived = np.sort(facts.material.arrivals)
    if len(arrived):
        done = np.arange(1, len(arrived) + 1) / len(arrived)
        right.step(arrived - start, done, where="post", color=SERIES[2], label="shards received", **DASHED)
    if times.get("last_shard") is not None:
        right.axvline(times["last_shard"], color=MUTED, linewidth=1, linestyle=":")
    right.set(xlabel="time since the start of the run (s)", ylabel="share done", ylim=(0, 1.03))
    right.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    dress(right, grid="y")
    legend_above(right)
    in_a_row(whole, [left, right], ratios=(2, 1), twins={left: twin})
    return whole


def _loss(axes: Axes, curve: Mapping[str, np.ndarray]) -> None:
    step, loss = curve["step"], curve["loss"]
    axes.plot(step, loss, color=SERIES[0], linewidth=0.7, alpha=0.35)
    axes.plot(step, smooth(loss, max(1, len(loss) // 40)), color=SERIES[0], linewidth=1.4, label="training loss")
    checked = np.isfinite(curve.get("validate", np.full(len(step), np.nan)))
    if checked.any():
        look: Mapping[str, Any] = {"color": SERIES[1], "marker": "o", "markersize": 3, "linewidth": 1}
        axes.plot(step[checked], curve["validate"][checked], label="validation error", **look)
    axes.set(xlabel="training step", ylabel="loss, validation error", yscale="log", xlim=(0, step[-1]))
    dress(axes, grid="y")


def _received(axes: Axes, curve: Mapping[str, np.ndarray]) -> Axes:
    """Draw the samples received, on an axis of their own."""
    green = SERIES[2]
    twin = axes.twinx()
    twin.plot(curve["step"], curve["received"], color=green, **DASHED)
    twin.set(ylabel="training samples received", ylim=(0, 1.08 * max(1.0, float(curve["received"].max()))))
    dress(twin)
    twin.spines["right"].set_visible(True)
    for artist in (twin.yaxis.label, twin.spines["right"]):
        artist.set_color(green)
    twin.tick_params(axis="y", colors=green)
    axes.plot([], [], color=green, label="samples received (right)", **DASHED)
    return twin
