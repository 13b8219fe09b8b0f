"""Whether the operators of a problem are the derivatives of its equations, at a vector that they were solved for."""

from __future__ import annotations

import numpy as np

from ritz.compute.problems.problem import Problem
from ritz.compute.solvers.operators import Operators

_AGREE = 1e-10
"""Largest difference of operator and equations along a vector, relative to the entries and the vector."""


def refuse_others(problem: Problem, operators: Operators, vector: np.ndarray, product: np.ndarray) -> None:
    """Refuse operators of which the product of the first with a vector is not that of the equations' derivatives.

    Parameters
    ----------
    problem
        Whose they are.
    operators
        At least one.
    vector
        In the shape of the unknowns; one that is not finite is passed over.
    product
        What autograd made of it, in its shape.

    Raises
    ------
    ValueError
        With the problem, and by how much they differ.
    """
    allowed = _AGREE * operators.magnitude(0) * float(np.linalg.norm(vector))
    difference = float(np.linalg.norm(operators.matvec(0, vector) - product))
    if difference > allowed and np.isfinite(vector).all():
        raise ValueError(
            f"what problem {problem.kind!r} returns as the derivatives of its equations is not: a product with a "
            f"vector differs by {difference:.1e}, expected at most {allowed:.1e}; `linearised` is wrong, or leaves out "
            "couplings"
        )
