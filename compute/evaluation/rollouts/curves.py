"""What a report shows of predictions in time: sums over samples, of errors and of what the fields are like."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ritz.compute.evaluation.metric import Subject
from ritz.compute.evaluation.rollouts import by_step, spectra
from ritz.compute.evaluation.rollouts.drift import ConservedDrift, drift
from ritz.compute.problems.evolution import Evolution
from ritz.compute.problems.problem import Problem

DRIFT, SPECTRUM = "drift|", "spectrum|"
"""Before the name of a conserved quantity, and before that of an output."""


def unfit(subject: Subject) -> str:
    """Return why there are no curves over time, in a few words; ``""`` where there are."""
    return by_step.unfit(subject.dimensions) or by_step.unfit_for_scale(subject)


def errors(subject: Subject) -> dict[str, np.ndarray]:
    """Return ``nrmse``, ``vrmse`` and ``correlation`` of every time, the sums over the samples, ``(steps,)`` each."""
    found = {"nrmse": by_step.nrmse(subject), "correlation": by_step.correlation(subject)}
    if np.prod(subject.dimensions.shape) > 1:
        found["vrmse"] = by_step.vrmse(subject)
    return {name: values.sum(axis=0) for name, values in found.items()}


def likeness(subject: Subject, fields: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return what predicted or true fields are like, the sums over the samples.

    Returns
    -------
    dict
        ``drift|NAME``, ``(steps,)``, the magnitude of the drift of what the problem conserves, see
        `ritz.compute.evaluation.rollouts.drift.drift`; ``spectrum|OUTPUT``, ``(times, wavenumbers)``, of the steps of
        `ritz.compute.evaluation.rollouts.spectra.shown_steps`. What is none for these fields is left out.
    """
    found: dict[str, np.ndarray] = {}
    if isinstance(subject.problem, Evolution) and not ConservedDrift().unfit_for(subject):
        drifts = drift(subject.problem, subject.inputs, fields)
        found |= {DRIFT + name: np.abs(values).sum(axis=0) for name, values in drifts.items()}
    if not spectra.unfit(subject.dimensions):
        steps, rings = spectra.shown_steps(len(subject.dimensions.times)), rings_of(subject.problem)
        found |= {
            SPECTRUM + name: spectra.spectra(values, subject.dimensions, name, rings, steps).sum(axis=0)
            for name, values in fields.items()
        }
    return found


def rings_of(problem: Problem | None) -> tuple[str, ...]:
    """Return the dimensions that close to a ring; none where the problem is not known."""
    return () if problem is None else problem.rings
