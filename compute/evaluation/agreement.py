"""Whether samples solve the equations that they are said to solve, and which of them stand out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from ritz.compute.fields.arrays import double
from ritz.compute.problems.sizes import joint_size
from ritz.compute.simulation.coarsening import Grids
from ritz.compute.simulation.correction import correct
from ritz.compute.simulation.quickest import quickest
from ritz.compute.simulation.simulate import simulate
from ritz.compute.solvers.estimate import Estimate

if TYPE_CHECKING:
    from ritz.compute.problems.problem import Arrays, Problem

STEP = 0.01
"""Relative residual to which the systems for the change are solved: two digits of an error are enough."""

ERROR_SCORE, RESIDUAL_SCORE, PEAK_SCORE = 6.0, 9.0, 6.0
"""Scores above which a sample stands out. Of 120 to 200 good Darcy samples of each of four laws, on 16² to 64² cells,
solved with harmonic and with arithmetic means, the largest scores were 4.6, 6.5 and 4.8."""

BEYOND = 10.0
"""Times the residual that its storing leaves, above which a sample stands out where most are solved."""

LEAST_SPREAD = 0.1
"""Spread of a logarithm that samples have at least, however alike they are."""

FEWEST = 8
"""Samples of which a spread is taken."""

ALIKE = 1.0
"""Largest spread of the logarithms of errors that come from the grid: most lie within a factor of e."""

OF_GRID = 4.0
"""Errors up to so many times those of a grid twice as coarse are of its order."""

SOLVED = 0.01
"""Errors below this share of those of a grid twice as coarse are of another order than any discretisation."""

Verdict = Literal["same", "discretisation", "other"]
"""What samples are to a problem: its discrete equations, another discretisation of it, other equations."""


class Agreement(NamedTuple):
    """How samples stand to the equations of a problem.

    Attributes
    ----------
    residual
        Relative residuals ‖A u − b‖ / ‖b‖, ``(n,)`` float64.
    peak
        What the worst single equation leaves over, as a share of the norm of all, ``(n,)`` float64.
    error
        Estimated relative L2 errors, the change by one step of the problem's iteration over the size of what it comes
        to, ``(n,)`` float64; NaN where there is no such step, or it had no answer.
    allowed
        Residuals that the tolerance and the rounding of the stored fields leave at most, ``(n,)`` float64.
    grid
        Relative L2 distances of solutions on a grid twice as coarse to what the step comes to, of the first samples,
        ``(k,)`` float64; empty where there is no such grid.
    """

    residual: np.ndarray
    peak: np.ndarray
    error: np.ndarray
    allowed: np.ndarray
    grid: np.ndarray

    @property
    def solved(self) -> np.ndarray:
        """Whether the samples solve the equations as well as they are stored, ``(n,)`` bool."""
        found: np.ndarray = self.residual <= self.allowed
        return found


def agreement(
    problem: Problem, inputs: Arrays, fields: Arrays, allowed: np.ndarray, rtol: float, coarse: int = 0
) -> Agreement:
    """Measure how samples stand to the equations of a problem; costs one solve a sample, mostly to two digits.

    Parameters
    ----------
    problem
        Whose equations are taken, on the grid of the fields.
    inputs, fields
        ``(n, *dims)`` each, finite.
    allowed
        Largest residual of a sample that is solved and stored, ``(n,)``.
    rtol
        To which the coarse systems are solved.
    coarse
        Of how many samples the solution on a grid twice as coarse is compared.
    """
    with np.errstate(all="ignore"):
        residual = problem.residual(inputs, fields)
        given, state = ({name: double(values) for name, values in one.items()} for one in (inputs, fields))
        left = problem.equations(given, state)
        worst = np.max([np.abs(values).reshape(len(values), -1).max(axis=1) for values in left.values()], axis=0)
        peak = worst / joint_size(left)
    if problem.uncorrectable():
        return Agreement(residual, peak, np.full(len(residual), np.nan), allowed, np.empty(0))
    corrected, _ = correct(problem, inputs, fields, Estimate(rtol=STEP), STEP)
    change = {name: values - fields[name].astype(np.float64) for name, values in corrected.items()}
    size = joint_size(corrected)
    with np.errstate(all="ignore"):
        error = joint_size(change) / size
    grid = _to_coarser_grid(problem, _first(inputs, coarse), _first(corrected, coarse), rtol) if coarse else np.empty(0)
    return Agreement(residual, peak, error, allowed, grid)


def _first(fields: Mapping[str, np.ndarray], count: int) -> Arrays:
    return {name: values[:count] for name, values in fields.items()}


def _to_coarser_grid(problem: Problem, inputs: Arrays, solutions: Arrays, rtol: float) -> np.ndarray:
    """Return distances of solutions on half the points, and half the steps, to those on all; none where it has none."""
    steps = getattr(problem, "steps", 1)
    grids = Grids.between(problem, 2, 2 if steps % 2 == 0 else 1)
    if isinstance(grids, str):
        return np.empty(0)
    down = grids.restrict(inputs)
    solver = quickest(grids.coarse, {name: values[:2] for name, values in down.items()}, rtol)
    coarse, _ = simulate(grids.coarse, down, solver, rtol)
    apart = {name: values - solutions[name] for name, values in grids.prolong(coarse).items()}
    distances = joint_size(apart) / joint_size(solutions)
    found: np.ndarray = distances[np.isfinite(distances)]
    return found


def scores(values: np.ndarray, solved: np.ndarray) -> np.ndarray:
    """Return by how many spreads the logarithm of each value is above the median one, ``(n,)`` float64.

    The spread is 1.4826 times the median distance to the median, which is the standard deviation where logarithms are
    normal, and at least `LEAST_SPREAD`; up to half of the values can be anything without changing it much. A sample
    that is solved has the score 0, one without a number an infinite one. Of fewer than `FEWEST` all scores are 0.

    Source: B. Iglewicz, D. C. Hoaglin, "How to detect and handle outliers", ASQC (1993), with logarithms in place of
    values: errors of good samples differ by factors.
    """
    known = np.isfinite(values) & (values > 0)
    if known.sum() < FEWEST:
        return np.zeros(len(values))
    logs = np.log(np.where(known, values, 1.0))
    middle, spread = middle_and_spread(values)
    above = (logs - np.log(middle)) / max(spread, LEAST_SPREAD)
    found: np.ndarray = np.where(solved | (values == 0), 0.0, np.where(known, above, np.inf))
    return found


def middle_and_spread(values: np.ndarray) -> tuple[float, float]:
    """Return the median of positive numbers, and the robust standard deviation of their logarithms; NaN of none."""
    known = values[np.isfinite(values) & (values > 0)]
    if not len(known):
        return float("nan"), float("nan")
    logs = np.log(known)
    middle = np.median(logs)
    return float(np.exp(middle)), 1.4826 * float(np.median(np.abs(logs - middle)))


def standing_out(found: Agreement) -> np.ndarray:
    """Return which samples stand out among the others, ``(n,)`` bool: by their error, their residual or its peak.

    A wrong field changes the error, a wrong value the residual, and its peak before that. What a rule can tell depends
    on how different the good samples are, see `scores`: among those of another discretisation, an error that is not
    larger than theirs passes. Where most samples solve the equations, one with `BEYOND` times the residual that storing
    it leaves stands out, too.
    """
    bounds = {"error": ERROR_SCORE, "residual": RESIDUAL_SCORE, "peak": PEAK_SCORE}
    parts = [values > bounds[name] for name, values in all_scores(found).items()]
    if np.mean(found.solved) > 0.5:
        # How different errors of rounding are says nothing of one that is none.
        parts.append(~(found.residual <= BEYOND * found.allowed))
    result: np.ndarray = np.any(parts, axis=0)
    return result


def all_scores(found: Agreement) -> dict[str, np.ndarray]:
    """Return the `scores` of errors, residuals and peaks; all 0 of errors that nobody has estimated."""
    known = {"error": found.error, "residual": found.residual, "peak": found.peak}
    return {
        name: np.zeros(len(values)) if np.isnan(values).all() else scores(values, found.solved)
        for name, values in known.items()
    }


def verdict(found: Agreement, spacing: float) -> tuple[Verdict, float]:
    """Return what most samples are to the problem, and the error that a discretisation on this grid makes.

    That error is the median distance to a grid twice as coarse, or where there is none the spacing of the points.

    Parameters
    ----------
    spacing
        Of the grid, over the length of its longest side.
    """
    scale = float(np.median(found.grid)) if len(found.grid) else spacing
    if np.mean(found.solved) > 0.5:
        return "same", scale
    middle, spread = middle_and_spread(found.error)
    if middle <= SOLVED * scale:
        return "same", scale
    return ("discretisation" if middle <= OF_GRID * scale and spread <= ALIKE else "other"), scale
