"""The systems that a problem poses while it is simulated.

A problem asks for answers by calling ``solve``; who wants the systems themselves stops it there by an exception. That
is done here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ritz.compute.solvers.solver import Solver
from ritz.compute.solvers.systems import Systems

if TYPE_CHECKING:
    from ritz.compute.problems.problem import Arrays, Problem, Solve


class _Stopped(Exception):
    """Ends a simulation at systems that are not answered."""

    def __init__(self, systems: Systems) -> None:
        self.systems = systems


def simulated(
    problem: Problem, inputs: Mapping[str, np.ndarray], answer: Callable[[Systems], np.ndarray | None]
) -> Arrays | Systems:
    """Simulate samples until some systems get no answer.

    Parameters
    ----------
    problem
        Poses the systems.
    inputs
        Fields of the samples, as drawn.
    answer
        Returns the solutions of a batch of systems; None ends the simulation there.

    Returns
    -------
    dict of numpy.ndarray, or Systems
        The outputs; the systems where it ended, if it did.
    """
    return _until(lambda solve: problem.simulate(inputs, solve), answer)


def _until(work: Callable[[Solve], Arrays], answer: Callable[[Systems], np.ndarray | None]) -> Arrays | Systems:
    def solve(systems: Systems) -> np.ndarray:
        x = answer(systems)
        if x is None:
            raise _Stopped(systems)
        return x

    try:
        return work(solve)
    except _Stopped as stopped:
        return stopped.systems


def first_of_correction(
    problem: Problem, inputs: Mapping[str, np.ndarray], fields: Mapping[str, np.ndarray]
) -> Systems | None:
    """Return the first systems that a problem poses for a change of given fields; see `Problem.corrected`."""
    found = _until(lambda solve: problem.corrected(inputs, fields, solve), lambda _: None)
    return found if isinstance(found, Systems) else None


def first_systems(problem: Problem, inputs: Mapping[str, np.ndarray]) -> Systems | None:
    """Return the first systems that a problem poses for some samples; None if it poses none. Nothing is solved."""
    found = simulated(problem, inputs, lambda _: None)
    return found if isinstance(found, Systems) else None


def all_systems(problem: Problem, inputs: Mapping[str, np.ndarray], solver: Solver, rtol: float) -> list[Systems]:
    """Return all systems that a problem poses for some samples, batch by batch: one per time step or Newton step."""
    posed: list[Systems] = []
    carry: Any = None

    def solve(systems: Systems) -> np.ndarray:
        nonlocal carry
        posed.append(systems)
        solutions, carry = solver.solve(systems, rtol=rtol, carry=carry)
        return solutions.x

    problem.simulate(inputs, solve)
    return posed
