"""For how long a prediction in time is one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from ritz.compute.evaluation.metric import Found, Subject, SubjectMetric
from ritz.compute.evaluation.rollouts import by_step
from ritz.compute.kind import Source, in_units
from ritz.compute.problems.evolution import Evolution

LYAPUNOV_TIMES = "lyapunov_times"
"""The part that counts in Lyapunov times."""


class ValidTime(SubjectMetric):
    """The first time at which the correlation of prediction and truth over space falls below a bound; large is good.

    It is interpolated between the stored times, from 1 at time zero. The parts are ``""``, in the unit of the times;
    ``to_the_end``, 1 for a sample whose correlation never falls below the bound, which has the last time, and 0 for
    another; and ``lyapunov_times``, the time multiplied by the Lyapunov exponent, where that is given or the problem
    knows those of the samples (`Evolution.lyapunov_exponents`).
    """

    sources: ClassVar[tuple[Source, ...]] = (
        Source(
            "Lippe, Veeling, Perdikaris, Turner, Brandstetter",
            "PDE-Refiner: achieving accurate long rollouts with neural PDE solvers",
            2023,
            "NeurIPS",
        ),
    )

    kind: Literal["valid_time"] = "valid_time"
    title: ClassVar[str] = "valid time"
    large_is_good: ClassVar[bool] = True

    bound: float = Field(default=0.8, gt=0, lt=1)
    """The correlation below which a prediction is none."""
    exponent: float | None = Field(default=None, gt=0, json_schema_extra=in_units("1 per unit of time"))
    """Largest Lyapunov exponent of every sample; without it those that the problem knows, if any."""

    def unfit_for(self, subject: Subject) -> str:
        """Refuse outputs without times."""
        return by_step.unfit(subject.dimensions)

    def of(self, subject: Subject) -> Found:
        """Measure the samples; see `SubjectMetric.of`."""
        time, fell = first_below(by_step.correlation(subject), subject.dimensions.times, self.bound)
        found, exponents = {"": time, "to_the_end": 1.0 - fell}, self._exponents(subject)
        return found if exponents is None else {**found, LYAPUNOV_TIMES: exponents * time}

    def _exponents(self, subject: Subject) -> np.ndarray | float | None:
        if self.exponent is not None or not isinstance(subject.problem, Evolution):
            return self.exponent
        return subject.problem.lyapunov_exponents(subject.inputs)


def first_below(correlation: np.ndarray, times: Sequence[float], bound: float) -> tuple[np.ndarray, np.ndarray]:
    """Return when correlations fall below a bound for the first time, and whether they do.

    Parameters
    ----------
    correlation
        ``(n, steps)``, −1 to 1; 1 at time zero.
    times
        ``(steps,)`` rising from above zero.
    bound
        Below 1.

    Returns
    -------
    time
        ``(n,)`` float64, interpolated linearly between the times; the last one where the correlation never falls.
    fell
        ``(n,)`` bool.

    Examples
    --------
    >>> first_below(np.array([[0.9, 0.7], [0.95, 0.9]]), (1.0, 2.0), 0.8)
    (array([1.5, 2. ]), array([ True, False]))
    """
    below = correlation < bound
    fell = np.asarray(below.any(axis=1))
    step = np.where(fell, below.argmax(axis=1), 0)
    rows = np.arange(len(correlation))
    from_zero = np.concatenate([np.ones((len(correlation), 1)), correlation], axis=1)
    before, after = from_zero[rows, step], from_zero[rows, step + 1]
    moments = np.array([0.0, *times])
    share = np.where(fell, (before - bound) / np.where(fell, before - after, 1.0), 0.0)
    crossing = moments[step] + share * (moments[step + 1] - moments[step])
    return np.where(fell, crossing, moments[-1]), fell
