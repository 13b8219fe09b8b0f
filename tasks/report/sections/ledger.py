from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup

from ritz.tasks.report.figures.distribution import bins, finite
from ritz.tasks.report.figures.theme import (
    INK,
    SERIES,
    WIDE,
    dress,
    figure,
    in_a_row,
    legend_above,
    log_axis,
    plain,
)
from ritz.tasks.report.html import Pictures, joined, paragraph, picture, table
from ritz.tasks.report.material import Arrays, RunFacts
from ritz.tasks.report.section import Draw, Section
from ritz.tasks.report.wording import duration, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class Ledger(Section[RunFacts]):
    """How every sample was solved."""

    name = "ledger"
    title = "Ledger of the samples"
    link = "Ledger"
    place = 60
    needs = ("ledger", "totals")
    absent = "Ledger: not measured in this run."

    def figures(self, facts: RunFacts) -> Mapping[str, Draw]:
        """Return ``ledger``."""
        if not len(facts.material.ledger.get("residual", ())):
            return {}
        return {"ledger": partial(draw, facts.material.ledger, facts.recorded.totals.get("rtol"))}

    def html(self, facts: RunFacts, pictures: Pictures) -> Markup:
        """Return the sums, the figure, and a row per solver."""
        return joined(
            _sums(facts),
            picture(
                pictures,
                "ledger",
                "True relative residual in float64 before storing (dashed: the tolerance), iterations and solver time "
                "of every sample, by the solver that answered.",
                wide=True,
            ),
            _by_solver(facts.material.ledger) or self.otherwise(),
        )


def _sums(facts: RunFacts) -> Markup:
    totals = facts.recorded.totals
    if "solved" not in totals:
        # The page is of a dataset, not of a run that solved it.
        return Markup()
    failures = ", ".join(
        f"{number(count)} {reason.replace('_', ' ')}" for reason, count in _failures(facts.material.ledger)
    )
    rounding = totals.get("rounding_bound")
    return paragraph(
        f"{number(totals.get('solved'))} samples solved in this run, {number(totals.get('reused'))} taken from the "
        f"store, {number(totals.get('failed'))} failed{f' ({failures})' if failures else ''}. Worst true relative "
        f"residual {number(totals.get('max_residual'))} before storing; asked: {number(totals.get('rtol'))}."
        + (
            f" Rounding the stored fields to their precision adds up to {number(rounding)} to it."
            if rounding is not None
            else ""
        )
    )


def _failures(ledger: Arrays) -> list[tuple[str, int]]:
    if "status" not in ledger or "reason" not in ledger:
        return []
    reasons = np.asarray(ledger["reason"]).astype(str)[np.asarray(ledger["status"]) == "failed"]
    return [(str(reason), int(count)) for reason, count in zip(*np.unique(reasons, return_counts=True), strict=True)]


def _by_solver(ledger: Arrays) -> Markup:
    solvers, rows = np.asarray(ledger.get("solver", ())).astype(str), []
    for solver in sorted(set(solvers.tolist())):
        own = {name: finite(ledger[name][solvers == solver]) for name in ("iterations", "seconds", "residual")}
        if not own["residual"].size:
            continue
        iterations, seconds = own["iterations"], own["seconds"]
        rows.append(
            (
                solver,
                number(int((solvers == solver).sum())),
                number(float(iterations.mean()) if iterations.size else None),
                duration(float(np.median(seconds)) if seconds.size else None),
                duration(float(seconds.sum())),
                number(float(own["residual"].max())),
            )
        )
    if not rows:
        return Markup()
    head = ("solver", "samples", "mean iterations", "median time", "time in all", "worst residual")
    return table("By solver.", rows, head, kind="narrow")


def draw(ledger: Arrays, rtol: float | None) -> Figure:
    """Draw the distributions of residual, iterations and time over all samples, by solver."""
    solvers = np.asarray(ledger["solver"]).astype(str)
    present, counts = np.unique(solvers[np.isfinite(ledger["residual"])], return_counts=True)
    kinds = present[np.argsort(-counts, kind="stable")].tolist()
    whole = figure(WIDE, 2.7)
    parts = (
        ("residual", 1.0, "true relative residual", True),
        ("iterations", 1.0, "iterations", False),
        ("seconds", 1e3, "solver time per sample (ms)", True),
    )
    panels = list(whole.subplots(1, 3))
    for axes, (name, factor, label, log) in zip(panels, parts, strict=True):
        values = np.asarray(ledger[name], float) * factor
        values = np.maximum(values, 1e-17) if log else values
        groups = {kind: finite(values[solvers == kind]) for kind in kinds}
        if not sum(map(len, groups.values())):
            continue
        _stacked(axes, groups, log)
        axes.set(xlabel=label, ylabel="samples", xscale="log" if log else "linear")
        if not log:
            axes.xaxis.get_major_locator().set_params(integer=True)
        axes.yaxis.get_major_locator().set_params(integer=True)
        every = np.concatenate(list(groups.values()))
        if log:
            ends = np.append(every, rtol) if name == "residual" and rtol else every
            log_axis(axes.xaxis, ends.min(), ends.max())
        if name == "residual" and rtol:
            axes.axvline(rtol, color=INK, linewidth=1, linestyle="--", label=f"asked: {number(rtol)}")
        dress(axes, grid="y")
        if name == "residual":
            legend_above(axes)
    in_a_row(whole, panels)
    return whole


def _stacked(axes: Axes, groups: dict[str, np.ndarray], log: bool) -> None:
    """Draw histograms on top of each other, one per solver."""
    edges = bins(np.concatenate(list(groups.values())), log)
    below = np.zeros(len(edges) - 1)
    for position, (kind, values) in enumerate(groups.items()):
        above = below + np.histogram(values, edges)[0]
        colour = SERIES[position % len(SERIES)]
        axes.stairs(above, edges, baseline=below, fill=True, color=colour, label=plain(kind, 20))
        below = above
