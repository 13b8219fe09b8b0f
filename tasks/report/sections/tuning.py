from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from ritz.tasks.report.figures.theme import HALF, INK, SERIES, SMALL, dress, figure, in_a_row, plain
from ritz.tasks.report.html import Pictures, columns, heading, joined, paragraph, picture, table
from ritz.tasks.report.material import RunFacts
from ritz.tasks.report.section import Draw, Section
from ritz.tasks.report.wording import differing, number, percent, settings

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Part = Mapping[str, Any]


class Tuning(Section[RunFacts]):
    """Which settings the solver learnt to take, and what each cost."""

    name = "tuning"
    under = "solver"
    place = 5
    needs = ("tuning",)

    def figures(self, facts: RunFacts) -> Mapping[str, Draw]:
        """Return ``tuning``."""
        return {"tuning": partial(draw, facts.recorded.tuning)}

    def html(self, facts: RunFacts, pictures: Pictures) -> Markup:
        """Return a heading, what came of it, the figure and its numbers."""
        found = facts.recorded.tuning
        if not found:
            return Markup()
        arms = found["arms"]
        return joined(
            heading("Settings learnt while solving"),
            paragraph(_verdict(found)),
            columns(
                picture(
                    pictures,
                    "tuning",
                    "Systems that each setting answered, and its mean work per system, estimated for all systems.",
                ),
                table(
                    "Mean work per system in passes over a vector.",
                    [
                        (name, number(arm["systems"]), number(arm.get("work")), number(arm.get("everywhere")))
                        for name, arm in zip(_names(arms), arms, strict=True)
                    ],
                    ("setting", "systems", "work", "on all systems"),
                ),
            ),
        )


def _verdict(found: Part) -> str:
    best = settings(found["arms"][found["best"]]["solver"])
    regret = found["regret"]
    return (
        f"{settings(found['policy'])} chose among {len(found['arms'])} settings for {number(found['systems'])} "
        f"systems. Best fixed setting in hindsight: {best}. The systems took {percent(abs(regret))} "
        f"{'more' if regret >= 0 else 'less'} work than an estimate of what it would have taken for all."
    )


def _names(arms: tuple[Part, ...]) -> list[str]:
    return differing([arm["solver"] for arm in arms])


def draw(found: Part) -> Figure:
    """Draw for each setting how many systems it answered, and its work per system."""
    arms = found["arms"]
    names = [plain(name, 36) for name in _names(arms)]
    whole = figure(HALF, 0.9 + 0.3 * len(arms))
    both = list(whole.subplots(1, 2, sharey=True))
    measures = (("systems", "systems"), ("everywhere", "work per system"))
    for axes, (key, label), colour in zip(both, measures, SERIES, strict=False):
        values = np.array([np.nan if arm.get(key) is None else arm[key] for arm in arms], float)
        bars = axes.barh(range(len(names)), np.nan_to_num(values), color=colour, alpha=0.85, height=0.62)
        texts = ["never played" if arm.get(key) is None else number(arm[key]) for arm in arms]
        for text in axes.bar_label(bars, texts, padding=3, fontsize=SMALL):
            text.set_color(INK)
        axes.set(xlabel=label, xlim=(0, 1.3 * max(float(np.nanmax(values, initial=0.0)), 1e-12)))
        axes.set_yticks(range(len(names)), names)
        axes.locator_params(axis="x", nbins=4)
        dress(axes)
        axes.tick_params(axis="y", length=0, labelcolor=INK)
        axes.spines["left"].set_visible(False)
    both[0].invert_yaxis()
    in_a_row(whole, both, above=0.06)
    return whole
