"""How wrong the truth is that models are measured by: distances of solutions to better ones, for a few samples."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ritz.compute.fields.errors import relative_l2
from ritz.compute.simulation.correction import correct
from ritz.compute.simulation.refinement import STRANGE, on_own_points, refined, strangeness
from ritz.compute.simulation.simulate import simulate

if TYPE_CHECKING:
    from ritz.compute.problems.problem import Problem
    from ritz.compute.solvers.solver import Solver

STEP_RTOL = 1e-3
"""Tolerance of the step that estimates the error of a solution, relative to that error."""


LIMIT = 15.0
"""Seconds after which no further solve is begun."""


@dataclass(frozen=True)
class Distances:
    """How far solutions are from better ones.

    Attributes
    ----------
    relative_l2
        ``(m,)``, of those samples that had a better solution in the time; at least one.
    seconds
        For all of them, by the clock on the wall.
    points
        Points along each dimension of the better solutions.
    """

    relative_l2: np.ndarray
    seconds: float
    points: Mapping[str, int]


def to_finer_grid(
    problem: Problem,
    inputs: Mapping[str, np.ndarray],
    truth: Mapping[str, np.ndarray],
    *,
    seed: int,
    ids: np.ndarray,
    solver: Solver,
    rtol: float,
    expected: float = 0.0,
    limit: float = LIMIT,
) -> Distances | str:
    """Measure the distance of solutions to those on a grid twice as fine, with half the time steps; or say why not.

    The finer inputs are those that the law of the problem draws for the same ids, so the distance counts what the
    problem's own grid does not resolve of them, too. It is no bound: where the order of the discretisation is p, the
    distance to the solution of the PDE is about 1/(1 − 2⁻ᵖ) times as large: 4/3 for second order, 2 for first.

    Parameters
    ----------
    problem
        What the truth solves.
    inputs, truth
        ``(n, *dims)`` of some samples.
    seed, ids
        By which the inputs were drawn.
    solver, rtol
        Solve on the finer grid.
    expected
        Seconds that a solve took on the problem's own grid. Four times the ratio of the numbers of values as much is
        taken for one on the finer grid, and refused above the limit.
    limit
        Seconds after which no further solve is begun.
    """
    fine = refined(problem)
    if isinstance(fine, str):
        return fine
    seconds = 4 * expected * _values(fine) / _values(problem)
    if seconds > limit:
        return f"a solve on a grid twice as fine may take {seconds:.0f} s, above the limit of {limit:.0f} s"
    drawn = fine.draw(seed, ids)
    difference = strangeness(problem, fine, inputs, drawn)
    if not difference <= STRANGE:
        return (
            "on a grid twice as fine the inputs of an id are other functions: "
            f"they differ by {difference:.0%} of their deviation"
        )
    start = time.perf_counter()
    errors: list[np.ndarray] = []
    for row in range(len(ids)):
        if errors and time.perf_counter() - start > limit:
            break
        one = {name: values[row : row + 1] for name, values in drawn.items()}
        solved, ledger = simulate(fine, one, solver, rtol)
        if ledger["status"] == ["ok"]:
            better = on_own_points(problem, fine, solved)
            errors.append(_distance({name: values[row : row + 1] for name, values in truth.items()}, better))
    if not errors:
        return f"no solve on a grid twice as fine came to the tolerance {rtol:g}"
    points = {str(dim): int(size) for dim, size in fine.template(1).sizes.items() if dim != "sample"}
    return Distances(np.concatenate(errors), time.perf_counter() - start, points)


def to_discrete_solution(
    problem: Problem,
    inputs: Mapping[str, np.ndarray],
    truth: Mapping[str, np.ndarray],
    *,
    solver: Solver,
    expected: float = 0.0,
    limit: float = LIMIT,
) -> Distances | str:
    """Measure the distance of stored solutions to the exact ones of the same discrete equations; or say why not.

    It is what tolerance and rounding left in them: no model of these labels can be measured to be better. One step of
    the problem's own iteration gives it, see `Problem.corrected`.

    Parameters
    ----------
    problem, inputs, truth
        As in `to_finer_grid`.
    solver
        Solves the step, to `STEP_RTOL` of the change. Its systems may be others than those of a solve.
    expected, limit
        Seconds that a solve took, and those that may be spent. Four times as much is taken for the step of a sample;
        where it is too much for all, the first ones are measured.
    """
    if reason := problem.uncorrectable():
        return f"no step of its iteration is known: {reason}"
    if 4 * expected > limit:
        return f"a step may take {4 * expected:.0f} s, above the limit of {limit:.0f} s"
    samples = len(next(iter(truth.values())))
    rows = min(samples, int(limit / (4 * expected))) if expected else samples
    given, stored = ({name: values[:rows] for name, values in part.items()} for part in (inputs, truth))
    start = time.perf_counter()
    corrected, ledger = correct(problem, given, stored, solver, STEP_RTOL)
    good = np.array(ledger["status"]) == "ok"
    if not good.any():
        return "the systems of the step were not solved"
    errors = _distance(*({name: values[good] for name, values in part.items()} for part in (stored, corrected)))
    points = {str(dim): int(size) for dim, size in problem.template(1).sizes.items() if dim != "sample"}
    return Distances(errors, time.perf_counter() - start, points)


def _values(problem: Problem) -> int:
    """Return the number of output values of a sample."""
    return sum(one.size for one in problem.template(1).values() if one.attrs["role"] == "output")


def _distance(fields: Mapping[str, np.ndarray], better: Mapping[str, np.ndarray]) -> np.ndarray:
    distances: np.ndarray = np.mean([relative_l2(fields[name], true) for name, true in better.items()], axis=0)
    return distances
