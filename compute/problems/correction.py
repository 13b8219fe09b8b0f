"""A step of Newton's method for the fields of a block."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.problems.problem import Arrays, Problem, Solve
from ritz.compute.solvers.operators import Operators
from ritz.compute.solvers.systems import Systems


def newton_step(
    problem: Problem,
    operators: Operators,
    left_over: Mapping[str, np.ndarray],
    fields: Mapping[str, np.ndarray],
    solve: Solve,
) -> Arrays:
    """Return ``u − (∂F/∂u)⁻¹ F(u)``.

    Parameters
    ----------
    problem
        Whose fields they are; its template has the order of the unknowns.
    operators
        ``∂F/∂u``, one per sample.
    left_over, fields
        F(u) and u by output, ``(n, *dims)`` float64; of one time where there are steps.
    solve
        Answers the systems.
    """
    names = list(fields)
    if len(names) > 1:
        # A template takes as long to make as a hundred small systems to solve.
        dimensions = Dimensions.of(problem.template(1))
        names = [name for name in dimensions.variables if name not in dimensions.inputs]
    count = len(operators)
    rhs = -np.concatenate([left_over[name].reshape(count, -1) for name in names], axis=1)
    change = solve(Systems(operators, rhs.reshape(count, *operators.shape))).reshape(count, -1)
    ends = np.cumsum([fields[name][0].size for name in names])[:-1]
    parts = np.split(change, ends, axis=1)
    return {name: fields[name] + part.reshape(fields[name].shape) for name, part in zip(names, parts, strict=True)}
