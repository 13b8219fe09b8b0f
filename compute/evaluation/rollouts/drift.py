"""What predictions in time make or lose of quantities that the equation keeps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

import numpy as np

from ritz.compute.evaluation.metric import Found, Subject, SubjectMetric
from ritz.compute.evaluation.rollouts import by_step
from ritz.compute.fields.arrays import double
from ritz.compute.problems.evolution import Evolution

OF_TRUTH = "_of_the_truth"
"""After the name of a quantity: the drift of the truth."""


class ConservedDrift(SubjectMetric):
    """The largest drift of a conserved quantity from its value at time zero, over all stored times.

    Relative to the mean magnitude of its density at time zero. The parts are the names of the quantities that the
    problem conserves (`Evolution.conserved`), such as ``integral``, and of each that of the truth beside it,
    ``integral_of_the_truth``: what the solver and rounding leave over.
    """

    kind: Literal["drift"] = "drift"
    title: ClassVar[str] = "drift of a conserved quantity"

    def unfit_for(self, subject: Subject) -> str:
        """Refuse a problem that is not known, or conserves nothing, and a quantity that is nowhere at time zero."""
        problem = subject.problem
        if reason := by_step.unfit(subject.dimensions):
            return reason
        if not isinstance(problem, Evolution):
            return "the problem is not known, nor what it conserves"
        kept = at_start(problem, subject.inputs)
        if not kept:
            return f"the problem {problem.kind!r} names no quantity that it conserves"
        nothing = [name for name, (_, size) in kept.items() if not np.all(size > 0)]
        return f"the conserved quantity {nothing[0]!r} is zero everywhere at time zero" if nothing else ""

    def of(self, subject: Subject) -> Found:
        """Measure the samples; see `SubjectMetric.of`."""
        assert isinstance(subject.problem, Evolution)
        found: Found = {}
        for fields, of_whom in ((subject.prediction, ""), (subject.truth, OF_TRUTH)):
            drifts = drift(subject.problem, subject.inputs, fields)
            found |= {name + of_whom: np.abs(values).max(axis=1) for name, values in drifts.items()}
        return found


def drift(
    problem: Evolution, inputs: Mapping[str, np.ndarray], fields: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Return the drift of each conserved quantity at every stored time.

    ``(Q(t) − Q(0)) / ⟨|q(0)|⟩``, where Q is the mean over space of the density q.

    Parameters
    ----------
    inputs, fields
        ``(n, *dims)`` for every input and output.

    Returns
    -------
    dict
        ``(n, steps)`` float64 by the name of the quantity.
    """
    wide = {name: double(values) for name, values in fields.items()}
    first = at_start(problem, inputs)
    return {
        name: (_over_space(density) - first[name][0][:, None]) / first[name][1][:, None]
        for name, density in problem.conserved(inputs, wide).items()
    }


def at_start(problem: Evolution, inputs: Mapping[str, np.ndarray]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return each conserved quantity at time zero and the mean magnitude of its density, ``(n,)`` float64 each."""
    first = {name: values[:, None] for name, values in problem.start(inputs).fields.items()}
    return {
        name: (_over_space(density)[:, 0], _over_space(np.abs(density))[:, 0])
        for name, density in problem.conserved(inputs, first).items()
    }


def _over_space(density: np.ndarray) -> np.ndarray:
    """Return the mean over space, ``(n, steps)``, of a density ``(n, steps, *space)``."""
    mean: np.ndarray = density.reshape(*density.shape[:2], -1).mean(axis=2)
    return mean
