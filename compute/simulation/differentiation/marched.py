"""Derivatives of the states of an evolution in explicit steps by its inputs: no systems, autograd of `Marching.again`.

From one stored state to the next there are ``store_every`` steps, s. They are taken again in √s segments: the states
between these are checkpoints, and the graph of one segment of one block of samples is held, √s steps of each.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping

import numpy as np

from ritz.compute.fields.arrays import Array
from ritz.compute.problems.evolutions.marching import Marching
from ritz.compute.problems.problem import Arrays
from ritz.compute.simulation.differentiation.products import Function, pulled, pushed
from ritz.compute.simulation.differentiation.stepped import around, from_start, start_along
from ritz.compute.simulation.differentiation.variables import Variables


def pulled_back(
    problem: Marching,
    inputs: Mapping[str, np.ndarray],
    fields: Mapping[str, np.ndarray],
    cotangents: Mapping[str, np.ndarray],
    wanted: Collection[str],
) -> Arrays:
    """Return the gradient by the inputs x of states ``uⁿ⁺¹ = Φ(uⁿ, x)``, from stored state to stored state backwards.

    Parameters
    ----------
    problem, inputs, fields, cotangents, wanted
        As in `ritz.compute.simulation.differentiation.stepped.pulled_back`.
    """
    gradient = {name: np.zeros(inputs[name].shape) for name in wanted}
    behind = {name: np.zeros((len(fields[name]), *shape)) for name, shape in Variables.of(problem).states.items()}
    for step in reversed(range(len(problem.times))):
        behind = {name: cotangents[name][:, step] + values for name, values in behind.items()}
        if not any(values.any() for values in behind.values()):
            continue
        before, _ = around(problem, inputs, fields, step)
        for state, steps in reversed(_segments(problem, inputs, before)):
            by_inputs, (behind,) = pulled(_steps(problem, steps), inputs, [state], behind, wanted, by=1)
            for name, values in by_inputs.items():
                gradient[name] += values
    return from_start(problem, inputs, behind, gradient)


def pushed_forward(
    problem: Marching,
    inputs: Mapping[str, np.ndarray],
    fields: Mapping[str, np.ndarray],
    tangents: Mapping[str, np.ndarray],
) -> Arrays:
    """Return the changes of all states along a change of inputs, from stored state to stored state.

    Parameters
    ----------
    problem, inputs, fields, tangents
        As in `ritz.compute.simulation.differentiation.stepped.pushed_forward`.
    """
    found = {name: np.empty(values.shape) for name, values in fields.items()}
    changes = start_along(problem, inputs, tangents)
    for step in range(len(problem.times)):
        before, _ = around(problem, inputs, fields, step)
        for state, steps in _segments(problem, inputs, before):
            changes = pushed(_steps(problem, steps), inputs, [state], tangents, [changes])
        for name, values in changes.items():
            found[name][:, step] = values
    return found


def _segments(problem: Marching, inputs: Mapping[str, np.ndarray], before: Arrays) -> list[tuple[Arrays, int]]:
    """Return the states from one stored state on at which segments begin, and how many steps each has."""
    every = problem.store_every
    length = math.isqrt(every - 1) + 1
    found, state = [], before
    for begin in range(0, every, length):
        steps = min(length, every - begin)
        found.append((state, steps))
        if begin + steps < every:
            state = problem.march(state, inputs, steps)
    return found


def _steps(problem: Marching, steps: int) -> Function:
    """Return so many steps as a function of inputs and the state before them."""

    def function(inputs: Mapping[str, Array], before: Mapping[str, Array]) -> dict[str, Array]:
        after = problem.again({name: values[:, None] for name, values in before.items()}, inputs, steps)
        return {name: values[:, 0] for name, values in after.items()}

    return function
