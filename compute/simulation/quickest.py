"""The solver that is quickest for the systems of a problem."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from ritz.compute.simulation.posing import first_systems
from ritz.compute.solvers.choice.auto import Auto

if TYPE_CHECKING:
    from ritz.compute.problems.problem import Problem
    from ritz.compute.solvers.solver import Solver


def quickest(problem: Problem, inputs: Mapping[str, np.ndarray], rtol: float) -> Solver:
    """Return the solver that is measured to be the quickest on the first systems; `Auto` where there are none.

    Parameters
    ----------
    problem, inputs
        Whose systems; a few samples as drawn.
    rtol
        Largest true relative residual of a good answer.
    """
    systems = first_systems(problem, inputs)
    return Auto() if systems is None else Auto().choose(systems, rtol=rtol)[0]
