"""Derivatives of the solution of ``F(x, u) = 0`` by the inputs x of a steady problem: one linear solve each."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from ritz.compute.problems.problem import Arrays, Problem, Solve
from ritz.compute.simulation.differentiation.agreement import refuse_others
from ritz.compute.simulation.differentiation.products import first, pulled, pushed
from ritz.compute.simulation.differentiation.variables import Variables
from ritz.compute.solvers.systems import Systems


def pulled_back(
    problem: Problem,
    inputs: Mapping[str, np.ndarray],
    fields: Mapping[str, np.ndarray],
    cotangents: Mapping[str, np.ndarray],
    wanted: Collection[str],
    solve: Solve,
) -> Arrays:
    """Return ``−λᵀ ∂F/∂x`` with ``(∂F/∂u)ᵀ λ = g``; see `ritz.compute.simulation.implicit.implicit_solve`.

    With the weights W of `Problem.weighted_derivatives`, ``∂F/∂u = B W⁻¹``, the system is ``Bᵀ λ = W g``.

    Parameters
    ----------
    problem, inputs, fields
        Whose solution is differentiated, and where; ``(n, *dims)`` float64.
    cotangents
        g, in the shapes of the outputs.
    wanted
        The inputs by which it is differentiated.
    solve
        Answers the batch of adjoint systems.
    """
    variables = Variables.of(problem)
    operators, weight = problem.weighted_derivatives(inputs, fields)
    transposed = operators.transposed()
    adjoints = solve(Systems(transposed, weight * variables.joined(cotangents, operators.shape)))
    weights = variables.parted(-adjoints)
    given, state, w = first(inputs, fields, weights)
    _, (by_fields,) = pulled(problem.equations, given, [state], w, (), by=1)
    product = -(weight * variables.joined(by_fields, operators.shape))[0]
    refuse_others(problem, transposed, adjoints[0], product)
    return pulled(problem.equations, inputs, [fields], weights, wanted, by=0)[0]


def pushed_forward(
    problem: Problem,
    inputs: Mapping[str, np.ndarray],
    fields: Mapping[str, np.ndarray],
    tangents: Mapping[str, np.ndarray],
    solve: Solve,
) -> Arrays:
    """Return ``u̇`` with ``∂F/∂u u̇ = −∂F/∂x ẋ``; with the weights of `Problem.weighted_derivatives`, ``u̇ = W y``.

    Parameters
    ----------
    problem, inputs, fields
        As in `pulled_back`.
    tangents
        ẋ by the names of inputs; others stay.
    solve
        Answers the batch of systems.
    """
    variables = Variables.of(problem)
    operators, weight = problem.weighted_derivatives(inputs, fields)
    left = pushed(problem.equations, inputs, [fields], tangents, [{}])
    unknowns = solve(Systems(operators, -variables.joined(left, operators.shape)))
    changes = variables.parted(weight * unknowns)
    given, state, along = first(inputs, fields, changes)
    moved = pushed(problem.equations, given, [state], {}, [along])
    refuse_others(problem, operators, unknowns[0], variables.joined(moved, operators.shape)[0])
    return changes
