"""Derivatives of the fields of any problem by its inputs, of arrays of NumPy."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from ritz.compute.problems.evolution import Evolution
from ritz.compute.problems.evolutions.marching import Marching
from ritz.compute.problems.problem import Arrays, Problem, Solve
from ritz.compute.simulation.differentiation import marched, steady, stepped


def undifferentiable(problem: Problem) -> str:
    """Return why fields of a problem have no derivatives by its inputs, in a few words; empty where they have."""
    if reason := problem.unsolvable():
        return reason
    if not problem.in_torch:
        return "its equations take NumPy arrays alone, expected `equations` that take torch tensors too"
    return "" if isinstance(problem, Marching) else problem.unlinearisable()


def pulled_back(
    problem: Problem,
    inputs: Mapping[str, np.ndarray],
    fields: Mapping[str, np.ndarray],
    cotangents: Mapping[str, np.ndarray],
    wanted: Collection[str],
    solve: Solve,
) -> Arrays:
    """Return the product of cotangents of the fields with their derivatives by some inputs: a gradient.

    Parameters
    ----------
    problem, inputs, fields
        Whose fields, and where; ``(n, *dims)`` float64 by name. The fields solve the problem's equations.
    cotangents
        For every output, in its shape.
    wanted
        Names of inputs.
    solve
        Answers the adjoint systems, one batch for a steady problem, one per step for one in implicit steps.

    Returns
    -------
    gradient
        ``(n, *dims)`` float64 for every wanted input.

    Raises
    ------
    ValueError
        If the operators of the problem are not the derivatives of its equations.
    """
    if isinstance(problem, Marching):
        return marched.pulled_back(problem, inputs, fields, cotangents, wanted)
    if isinstance(problem, Evolution):
        return stepped.pulled_back(problem, inputs, fields, cotangents, wanted, solve)
    return steady.pulled_back(problem, inputs, fields, cotangents, wanted, solve)


def pushed_forward(
    problem: Problem,
    inputs: Mapping[str, np.ndarray],
    fields: Mapping[str, np.ndarray],
    tangents: Mapping[str, np.ndarray],
    solve: Solve,
) -> Arrays:
    """Return the change of the fields along a change of inputs.

    Parameters
    ----------
    problem, inputs, fields
        As in `pulled_back`.
    tangents
        By the names of inputs, in their shapes; others stay.
    solve
        Answers the systems.

    Returns
    -------
    changes
        ``(n, *dims)`` float64 for every output.

    Raises
    ------
    ValueError
        As in `pulled_back`.
    """
    if isinstance(problem, Marching):
        return marched.pushed_forward(problem, inputs, fields, tangents)
    if isinstance(problem, Evolution):
        return stepped.pushed_forward(problem, inputs, fields, tangents, solve)
    return steady.pushed_forward(problem, inputs, fields, tangents, solve)
