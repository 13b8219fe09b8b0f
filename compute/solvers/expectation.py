"""In what the figures are given of how long a solver is expected to take."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ritz.compute.solvers.operators import Operators, Stencil


class Extent(NamedTuple):
    """How large systems are.

    Attributes
    ----------
    unknowns
        Their number.
    solid
        Whether they lie on a grid in three dimensions.
    grown
        Unknowns relative to those that the figures are for, 128² or 32³.
    """

    unknowns: float
    solid: bool
    grown: float


def extent(operators: Operators) -> Extent:
    """Return how large the systems of operators are."""
    unknowns = float(np.prod(operators.shape))
    solid = len(operators.shape) == 3 and isinstance(operators, Stencil)
    return Extent(unknowns, solid, unknowns / (32_768 if solid else 16_384))
