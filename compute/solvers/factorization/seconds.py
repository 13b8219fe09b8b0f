"""How long sparse factorisations are expected to take, on one core of 2020 or later."""

from __future__ import annotations

from ritz.compute.solvers.expectation import extent
from ritz.compute.solvers.operators import Operators


def again(library: str, operators: Operators) -> float:
    """Return the seconds of an answer by factors that are there."""
    unknowns, solid, grown = extent(operators)
    plane = {"cholmod": 1.6e-8, "pardiso": 3.3e-8}.get(library, 6e-8)
    return unknowns * (10 * plane * grown ** (1 / 3) if solid else plane)


def once(library: str, operators: Operators) -> float:
    """Return the seconds of a factorisation and an answer."""
    unknowns, solid, grown = extent(operators)
    if solid:
        per_unknown = {"pardiso": 5.5e-6, "cholmod": 8.5e-6}.get(library, 2e-5) * grown
    elif library == "pardiso":
        definite = operators.symmetric and operators.definite
        per_unknown = (5.5e-7 if definite else 7.5e-7) * max(grown, 1.0) ** 0.15
    elif library == "cholmod":
        per_unknown = 1.2e-6 * min(grown, 1.0) ** 0.7 * max(grown, 1.0) ** 0.15
    else:
        per_unknown = 1.3e-6 * max(grown, 0.3) ** 0.3
    return float(unknowns * per_unknown)
