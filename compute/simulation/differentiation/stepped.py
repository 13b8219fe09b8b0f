"""Derivatives of the states of an evolution in implicit steps by its inputs: one linear solve per step.

Every state is stored, so the fields themselves are the checkpoints: beside them one step's derivatives are held.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from ritz.compute.fields.arrays import Array
from ritz.compute.problems.evolution import Evolution
from ritz.compute.problems.problem import Arrays, Solve
from ritz.compute.simulation.differentiation.agreement import refuse_others
from ritz.compute.simulation.differentiation.products import Function, first, pulled, pushed
from ritz.compute.simulation.differentiation.variables import Variables
from ritz.compute.solvers.operators import Operators
from ritz.compute.solvers.systems import Systems


def pulled_back(
    problem: Evolution,
    inputs: Mapping[str, np.ndarray],
    fields: Mapping[str, np.ndarray],
    cotangents: Mapping[str, np.ndarray],
    wanted: Collection[str],
    solve: Solve,
) -> Arrays:
    """Return the gradient by the inputs x, step by step backwards.

    With ``F(x, v, u) = 0`` of the step from v to u, ``(∂F/∂u)ᵀ λ = g`` and g the cotangent of u and of what the steps
    behind it made of theirs, the step adds ``−λᵀ ∂F/∂x`` to the gradient and ``−λᵀ ∂F/∂v`` to the cotangent of v.
    Steps behind the last cotangent that is not zero are left out.

    Parameters
    ----------
    problem, inputs, fields
        Whose states are differentiated, and where; ``(n, *dims)`` float64.
    cotangents
        In the shapes of the outputs.
    wanted
        The inputs by which they are differentiated.
    solve
        Answers the adjoint systems, a batch per step.
    """
    variables, kept = Variables.of(problem), _Kept(problem, inputs, turned=True)
    gradient = {name: np.zeros(inputs[name].shape) for name in wanted}
    steps = len(problem.times)
    behind = {name: np.zeros((len(fields[name]), *shape)) for name, shape in variables.states.items()}
    for step in reversed(range(steps)):
        g = {name: cotangents[name][:, step] + behind[name] for name in behind}
        if not any(values.any() for values in g.values()):
            continue
        before, after = around(problem, inputs, fields, step)
        operators = kept.of(before, after, step)
        adjoints = solve(Systems(operators, variables.joined(g, operators.shape)))
        function, weights = of_step(problem, step), variables.parted(-adjoints)
        given, now, then, w = first(inputs, before, after, weights)
        _, (_, by_after) = pulled(function, given, [now, then], w, (), by=2)
        refuse_others(problem, operators, adjoints[0], -variables.joined(by_after, operators.shape)[0])
        by_inputs, (behind,) = pulled(function, inputs, [before, after], weights, wanted, by=1)
        for name, values in by_inputs.items():
            gradient[name] += values
    return from_start(problem, inputs, behind, gradient)


def pushed_forward(
    problem: Evolution,
    inputs: Mapping[str, np.ndarray],
    fields: Mapping[str, np.ndarray],
    tangents: Mapping[str, np.ndarray],
    solve: Solve,
) -> Arrays:
    """Return the changes of all states along a change ẋ of inputs: ``∂F/∂u u̇ = −∂F/∂x ẋ − ∂F/∂v v̇`` step by step.

    Parameters
    ----------
    problem, inputs, fields
        As in `pulled_back`.
    tangents
        ẋ by the names of inputs; others stay.
    solve
        Answers the systems, a batch per step.
    """
    variables, kept = Variables.of(problem), _Kept(problem, inputs, turned=False)
    found = {name: np.empty(values.shape) for name, values in fields.items()}
    changes = start_along(problem, inputs, tangents)
    for step in range(len(problem.times)):
        before, after = around(problem, inputs, fields, step)
        function, operators = of_step(problem, step), kept.of(before, after, step)
        left = pushed(function, inputs, [before, after], tangents, [changes, {}])
        unknowns = solve(Systems(operators, -variables.joined(left, operators.shape)))
        changes = variables.parted(unknowns)
        given, now, then, along = first(inputs, before, after, changes)
        moved = pushed(function, given, [now, then], {}, [{}, along])
        refuse_others(problem, operators, unknowns[0], variables.joined(moved, operators.shape)[0])
        for name, values in changes.items():
            found[name][:, step] = values
    return found


def around(
    problem: Evolution, inputs: Mapping[str, np.ndarray], fields: Mapping[str, np.ndarray], step: int
) -> tuple[Arrays, Arrays]:
    """Return the states before and after a step, ``(n, *space)``."""
    before = (
        dict(problem.start(inputs).fields)
        if step == 0
        else {name: np.ascontiguousarray(values[:, step - 1]) for name, values in fields.items()}
    )
    return before, {name: np.ascontiguousarray(values[:, step]) for name, values in fields.items()}


def of_step(problem: Evolution, step: int) -> Function:
    """Return what the equations of a step leave over as a function of inputs and the states around it."""

    def function(
        inputs: Mapping[str, Array], before: Mapping[str, Array], after: Mapping[str, Array]
    ) -> dict[str, Array]:
        now, then = ({name: values[:, None] for name, values in states.items()} for states in (before, after))
        left = problem.step_equations(inputs, now, then, np.array([step]))
        return {name: values[:, 0] for name, values in left.items()}

    return function


def from_start(
    problem: Evolution, inputs: Mapping[str, np.ndarray], behind: Mapping[str, np.ndarray], gradient: Arrays
) -> Arrays:
    """Return a gradient with what the cotangent ``behind`` of the first states adds to it."""
    by_inputs, _ = pulled(_start(problem), inputs, [], behind, gradient, by=0)
    return {name: values + by_inputs[name] for name, values in gradient.items()}


def start_along(problem: Evolution, inputs: Mapping[str, np.ndarray], tangents: Mapping[str, np.ndarray]) -> Arrays:
    """Return the change of the first states along a change of inputs."""
    return pushed(_start(problem), inputs, [], tangents, [])


def _start(problem: Evolution) -> Function:
    """Return the first states as a function of inputs."""

    def function(inputs: Mapping[str, Array]) -> dict[str, Array]:
        return dict(problem.start(inputs).fields)

    return function


class _Kept:
    """The operators of the last step, or their transposes, for steps that have the same: solvers know them again."""

    def __init__(self, problem: Evolution, inputs: Mapping[str, np.ndarray], *, turned: bool) -> None:
        self.problem, self.inputs, self.turned = problem, dict(inputs), turned
        self.first: int | None = None
        self.operators: Operators | None = None

    def of(self, before: Arrays, after: Arrays, step: int) -> Operators:
        """Return the operators of a step."""
        first = self.problem.same_derivatives(step)
        if self.operators is None or first != self.first:
            operators = self.problem.step_linearised(self.inputs, before, after, step)
            self.first, self.operators = first, operators.transposed() if self.turned else operators
        return self.operators
