"""Errors, conserved quantities and spectra over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ritz.compute.evaluation.rollouts.valid_time import ValidTime
from ritz.tasks.documents.evaluation import Rollout
from ritz.tasks.report.figures.theme import INK, MUTED, SERIES, WIDE, dress, figure, in_a_row, legend, log_axis, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Look = tuple[str, str, str]
"""Name, colour and style of a line."""

LOOKS: Mapping[str, Look] = {
    "model": ("this model", SERIES[0], "-"),
    "persistence": ("persistence", SERIES[1], "--"),
    "mean": ("training mean", SERIES[2], "--"),
    "linear": ("linear", SERIES[3], "--"),
    "quadratic": ("quadratic", MUTED, ":"),
    "solver": ("solver, equal seconds", INK, "-."),
}
"""How the lines of model, baselines and solver look."""

BOUND = float(ValidTime().bound)
"""Correlation at which a line is drawn."""


def errors(rollout: Rollout, solver: Mapping[str, Any], axis: str) -> Figure:
    """Draw the nRMSE, the correlation and the drift of conserved quantities over time.

    Parameters
    ----------
    solver
        ``nrmse`` and ``correlation`` of the solver in equal seconds; empty where there is none.
    axis
        What the axis of time is called.
    """
    panels = 3 if rollout.drift else 2
    whole = figure(WIDE, 3.2)
    axes = list(whole.subplots(1, panels))
    beside = {"solver": solver} if solver.get("nrmse") else {}
    for panel, curves, name in ((axes[0], rollout.nrmse, "nrmse"), (axes[1], rollout.correlation, "correlation")):
        lines = dict(curves) | {who: its[name] for who, its in beside.items()}
        for who, values in lines.items():
            label, colour, style = LOOKS.get(who, (plain(who, 20), MUTED, "-"))
            panel.plot(rollout.times, values, color=colour, linestyle=style, linewidth=1.3, label=label)
    drawn = (*rollout.nrmse.values(), *(its["nrmse"] for its in beside.values()))
    shown = [value for curve in drawn for value in curve if value > 0]
    axes[0].set_yscale("log")
    log_axis(axes[0].yaxis, min(shown, default=1.0), max(shown, default=1.0) * 1.01)
    axes[0].set_ylabel("nRMSE")
    axes[1].set_ylabel("correlation")
    axes[1].axhline(BOUND, color=MUTED, linewidth=0.6)
    if rollout.drift:
        _draw_drift(axes[2], rollout)
    for panel in axes:
        panel.set_xlabel(axis)
        # Room for the last number.
        panel.set_xlim(0, 1.03 * rollout.times[-1])
        panel.locator_params(axis="x", nbins=5)
        dress(panel)
    legend(axes[0], loc="lower left", bbox_to_anchor=(0, 1), ncols=6, borderaxespad=0.2, columnspacing=1.2)
    in_a_row(whole, axes, above=0.3)
    return whole


def _draw_drift(panel: Axes, rollout: Rollout) -> None:
    """Draw how far model and truth drift from what the equation keeps, a colour per quantity."""
    for at, (name, curves) in enumerate(rollout.drift.items()):
        for who, style in (("model", "-"), ("truth", ":")):
            # What does not drift at all has no place on a logarithmic axis.
            values = np.where(np.array(curves[who]) > 0, curves[who], np.nan)
            label, colour = f"{plain(name, 20)}, {who}", SERIES[at % len(SERIES)]
            panel.plot(rollout.times, values, color=colour, linestyle=style, linewidth=1.3, label=label)
    panel.set_yscale("log")
    panel.set_ylabel("drift, relative")
    legend(panel, loc="center right")


def spectra(rollout: Rollout, output: str, titles: Sequence[str], unit: str) -> Figure:
    """Draw the spectra of truth and prediction at some times, a panel each.

    Parameters
    ----------
    titles
        Of the panels.
    unit
        Of the wavenumber; empty where it has none.
    """
    found = rollout.spectra[output]
    wave = np.array(found.wavenumbers)[1:]
    whole = figure(WIDE, 3.0)
    axes = list(whole.subplots(1, len(titles), sharey=True, squeeze=False)[0])
    # Below the accuracy of the stored fields there is noise alone.
    least = 1e-14 * max(max(curve) for curve in found.truth)
    for panel, title, true, predicted in zip(axes, titles, found.truth, found.model, strict=True):
        for values, label, colour, style in ((true, "truth", INK, "-"), (predicted, "prediction", SERIES[1], "--")):
            shown = np.where(np.array(values)[1:] > least, np.array(values)[1:], np.nan)
            panel.plot(wave, shown, color=colour, linestyle=style, linewidth=1.3, label=label)
        panel.set(xscale="log", yscale="log", xlabel=f"wavenumber ({unit})" if unit else "wavenumber")
        log_axis(panel.xaxis, wave[0], wave[-1] * 1.01)
        panel.set_title(title)
        dress(panel)
    axes[0].set_ylabel("energy")
    legend(axes[0], loc="lower left")
    in_a_row(whole, axes, above=0.3)
    return whole
