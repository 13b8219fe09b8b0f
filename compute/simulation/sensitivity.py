"""How far the outputs of a problem move when its systems are answered less exactly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ritz.compute.solvers.factorization.direct import Direct
from ritz.compute.solvers.scaling import norms
from ritz.compute.solvers.systems import Systems

if TYPE_CHECKING:
    from ritz.compute.problems.problem import Arrays, Problem


def disturbed(problem: Problem, inputs: Mapping[str, np.ndarray], rtol: float) -> Arrays:
    """Solve samples with errors of relative residual ``rtol`` in the answer to every system.

    Every error lies in a direction to which its matrix answers strongly, found by two steps of inverse iteration from
    the answer; for a symmetric matrix that nears the strongest of all. So the difference to exact outputs is about the
    largest that answers good to ``rtol`` may have, through all steps of a time-dependent or nonlinear problem.

    Parameters
    ----------
    problem
        Poses the systems.
    inputs
        Fields of the samples, as drawn.
    rtol
        Relative residual of every answer.

    Returns
    -------
    dict of numpy.ndarray
        Outputs in float64; NaN where a system could not be solved.
    """
    solver, carry = Direct(), None

    def solve(systems: Systems) -> np.ndarray:
        nonlocal carry
        answers: list[np.ndarray] = []
        asked = systems
        for _ in range(3):
            solutions, carry = solver.solve(asked, rtol=max(rtol, 1e-8), carry=carry)
            answers.append(solutions.x)
            asked = replace(systems, rhs=_unit(solutions.x), guess=None)
        values: np.ndarray = answers[0] + rtol * _sizes(systems.rhs) * answers[2]
        return values

    return problem.simulate(inputs, solve)


def _sizes(x: np.ndarray) -> np.ndarray:
    """Return the Euclidean norm of every system's vector, ``(n, 1, …)``."""
    return norms(x).reshape(-1, *(1,) * (x.ndim - 1))


def _unit(x: np.ndarray) -> np.ndarray:
    """Return the vectors with norm 1, zero where they are zero."""
    sizes = _sizes(x)
    values: np.ndarray = np.divide(x, sizes, out=np.zeros_like(x), where=sizes > 0)
    return values
