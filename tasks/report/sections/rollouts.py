"""What a report says of predictions in time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
from markupsafe import Markup

from ritz.compute.evaluation.rollouts.valid_time import LYAPUNOV_TIMES
from ritz.compute.evaluation.rollouts.window_errors import RolloutNRMSE, geometric_mean, part_of
from ritz.compute.simulation.simulate import ITSELF
from ritz.tasks.documents.evaluation import Rollout
from ritz.tasks.report.figures.over_time import BOUND, errors, spectra
from ritz.tasks.report.html import Pictures, joined, paragraph, picture, table
from ritz.tasks.report.material import Material, RunFacts
from ritz.tasks.report.section import Draw, Section
from ritz.tasks.report.sections.errors import BASELINES
from ritz.tasks.report.wording import MISSING, duration, number, percent

MODEL, SOLVER = "model", "solver"

NAMES = {MODEL: "this model", **BASELINES, SOLVER: "the solver in equal seconds"}


class Rollouts(Section[RunFacts]):
    """How errors grow from step to step, beside those of simpler methods and of the coarse solver."""

    name = "rollouts"
    title = "Over time"
    under = "errors"
    place = 60
    needs = ("rollout", "equal_seconds", "metrics", "baselines", "recipe", "coordinates", "attrs")

    def figures(self, facts: RunFacts) -> Mapping[str, Draw]:
        """Return ``rollout``."""
        found = facts.material.rollout
        if found is None:
            return {}
        axis = facts.material.times(len(found.times))[1]
        return {"rollout": partial(errors, found, facts.recorded.equal_seconds, axis)}

    def html(self, facts: RunFacts, pictures: Pictures) -> Markup:
        """Return the figure, the errors of windows and valid times, and which solver stands beside."""
        found = facts.material.rollout
        if found is None:
            return Markup()
        drift = (
            " Right: how far conserved quantities drift from their values at time zero, relative to the mean "
            "magnitude of their densities there."
            if found.drift
            else ""
        )
        return joined(
            picture(
                pictures,
                "rollout",
                "Error of each stored time, relative to the truth at that time, and correlation over space with the "
                "truth: means over the test samples. A prediction is valid until its correlation falls below "
                f"{BOUND:g} (line).{drift}",
                wide=True,
            ),
            _table(facts, found),
            *(paragraph(sentence, "muted") for sentence in _sentences(facts)),
        )


class Spectra(Section[RunFacts]):
    """At which wavelengths truth and prediction have their energy, a figure per output."""

    name = "spectra"
    under = "errors"
    place = 70
    needs = ("rollout", "coordinates", "attrs")

    def figures(self, facts: RunFacts) -> Mapping[str, Draw]:
        """Return ``spectra``, and ``spectra_2`` … for further outputs."""
        found = facts.material.rollout
        if found is None:
            return {}
        titles = [_moment(facts.material, time) for time in found.spectrum_times]
        unit = _inverse(facts.material)
        return {name: partial(spectra, found, output, titles, unit) for name, output in _outputs(found).items()}

    def html(self, facts: RunFacts, pictures: Pictures) -> Markup:
        """Return the figures with what they show."""
        found = facts.material.rollout
        if found is None:
            return Markup()
        return joined(
            *(
                picture(
                    pictures,
                    name,
                    f"Energy of {facts.material.label(output)} by wavenumber, the mean over the test samples: how the "
                    "mean square over space is made up of waves. A prediction that is too smooth lacks energy on the "
                    "right, one that is too rough has too much there.",
                    wide=True,
                )
                for name, output in _outputs(found).items()
            )
        )


def _table(facts: RunFacts, found: Rollout) -> Markup:
    """Return nRMSE over windows and valid time, a row per method, the model's first."""
    curves = dict(found.nrmse)
    solver = facts.recorded.equal_seconds
    if solver.get("nrmse"):
        curves[SOLVER] = tuple(solver["nrmse"])
    windows = [window for window in RolloutNRMSE().windows if window[1] <= len(found.times)]
    valid = {who: _valid_times(facts, who, found.exponents) for who in curves}
    counted = any(in_exponents is not None for _, in_exponents in valid.values())
    rows = []
    for who, curve in curves.items():
        errors = np.array(curve)
        means = [float(errors[first - 1 : last].mean()) for first, last in windows]
        values = [*map(number, means), number(float(geometric_mean(errors)))]
        times = valid[who] if counted else valid[who][:1]
        rows.append((NAMES.get(who, who), *values, *(MISSING if time is None else number(time) for time in times)))
    unit = next((facts.material.unit(dim) for dim in facts.material.coordinates if facts.material.is_time(dim)), "")
    return table(
        "nRMSE over windows of steps and its geometric mean over all of them, both of the mean over the test samples; "
        f"mean valid time, of which large is good. The last time is {f'{number(found.times[-1])} {unit}'.rstrip()}.",
        rows,
        (
            "method",
            *(part_of(*window).replace("_", " ") for window in windows),
            "geometric mean",
            f"valid time{f' ({unit})' if unit else ''}",
            *(("in Lyapunov times",) if counted else ()),
        ),
        own=True,
    )


def _valid_times(facts: RunFacts, who: str, exponents: tuple[float, float] | None) -> tuple[float | None, float | None]:
    """Return the mean valid time of the model, a baseline or the solver, and that in Lyapunov times.

    None where they were not measured.
    """
    if who != SOLVER:
        metrics = facts.recorded.metrics if who == MODEL else facts.recorded.baselines.get(who) or {}
        its = metrics.get("valid_time") or {}
        time, in_exponents = ((its.get(part) or {}).get("mean") for part in ("", LYAPUNOV_TIMES))
        return time, in_exponents
    time, in_exponents = (facts.recorded.equal_seconds.get(name) for name in ("valid_time", LYAPUNOV_TIMES))
    if time is not None and exponents is not None and exponents[0] == exponents[1]:
        # The one of the recipe, which the solve does not know, or that of all samples.
        in_exponents = time * exponents[0]
    return time, in_exponents


def _sentences(facts: RunFacts) -> Iterator[str]:
    """Yield what is to be said of valid times and of the solver in equal seconds."""
    its: Mapping[str, Any] = facts.recorded.metrics.get("valid_time") or {}
    if share := (its.get("to_the_end") or {}).get("mean"):
        yield (
            f"The predictions of {percent(share)} of the samples are valid to the last time, which counts as their "
            "valid time: the mean over a longer time would be larger."
        )
    if (rollout := facts.material.rollout) is not None and rollout.exponents is not None:
        yield _of_exponents(*rollout.exponents, facts.recorded.recipe)
    if facts.recorded.equal_seconds:
        yield from _of_solver(facts.recorded.equal_seconds)


def _of_exponents(least: float, most: float, recipe: Mapping[str, Any]) -> str:
    """Say what a Lyapunov time is here, and from where the exponent is."""
    asked = [one.get("exponent") for one in recipe.get("evaluation") or () if one.get("kind") == "valid_time"]
    source = "the recipe gives" if asked and asked[0] is not None else "the problem states"
    which = number(least) if least == most else f"{number(least)} to {number(most)}, by the parameters of a sample"
    return (
        f"In a Lyapunov time, 1/λ, states that are near part by a factor of e: {source} the largest Lyapunov exponent "
        f"λ = {which}, per unit of time."
    )


def _of_solver(found: Mapping[str, Any]) -> Iterator[str]:
    best, quickest = found.get("best"), found.get("quickest")
    asked = f"a prediction, one at a time, takes {duration(found['seconds'])}"
    rest = "" if found.get("complete", True) else " Time ran out before all could be tried."
    if best is not None:
        yield (
            f"The solver in equal seconds is the most accurate solve of those tried that are as quick as a prediction: "
            f"{_which(best)}. It takes {duration(best['seconds'])} per sample, and {asked}; its relative L2 error is "
            f"{number(best['error'])}, on {found['samples']} test samples.{rest}"
        )
    elif quickest is not None:
        yield (
            f"No solve is as quick as a prediction: {asked}. The quickest of those tried, {_which(quickest)}, takes "
            f"{duration(quickest['seconds'])}, with a relative L2 error of {number(quickest['error'])} on "
            f"{found['samples']} test samples.{rest}"
        )


def _which(trial: Mapping[str, Any]) -> str:
    """Return which solve it is, in words."""
    kind = trial["solver"]["kind"]
    how = "the explicit steps of the problem" if kind == ITSELF else f"{kind} at rtol {number(trial['rtol'])}"
    coarser = f", on {trial['space']} times fewer points per axis" if trial["space"] > 1 else ""
    coarser += f", with {trial['time']} times fewer steps" if trial["time"] > 1 else ""
    return how + (coarser or ", on the grid and with the steps of the truth")


def _outputs(found: Rollout) -> dict[str, str]:
    """Return which output each figure of spectra shows, by the name of the figure."""
    return {f"spectra_{at}" if at > 1 else "spectra": name for at, name in enumerate(found.spectra, 1)}


def _moment(material: Material, time: float) -> str:
    unit = next((material.unit(dim) for dim in material.coordinates if material.is_time(dim)), "")
    return f"time = {time:.4g} {unit}".rstrip()


def _inverse(material: Material) -> str:
    """Return the unit of a wavenumber; empty where space has none, or several."""
    units = {material.unit(dim) for dim in material.coordinates if dim in ("x", "y", "z")}
    unit = units.pop() if len(units) == 1 else ""
    return f"rad/{unit}" if unit else ""
