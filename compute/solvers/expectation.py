"""What a solver is expected to cost, before anything is measured."""

from __future__ import annotations

import numpy as np

from ritz.compute.solvers.direct import Direct
from ritz.compute.solvers.iterative import Krylov
from ritz.compute.solvers.multigrid.solver import Multigrid
from ritz.compute.solvers.operators import Stencil
from ritz.compute.solvers.recycled import Recycled
from ritz.compute.solvers.solver import Solver
from ritz.compute.solvers.systems import Systems
from ritz.compute.solvers.transform import Separable, Transform

_LOOKED_AT = 5
"""Operators whose coefficients are looked at: one may be far from the others."""


def expected(solver: Solver, systems: Systems) -> float | None:
    """Estimate the seconds a system takes on one core of 2020 or later, to a residual of 1e-8.

    The figures were measured on grids of 64² to 256² and 32³ and are good to a factor of two for families like
    those; only their ratios are used, to leave out what has no chance.

    Returns
    -------
    seconds
        None for a solver or a case that nothing is known of.
    """
    operators = systems.operators
    n = float(np.prod(operators.shape))
    solid = len(operators.shape) == 3 and isinstance(operators, Stencil)
    # Unknowns relative to those the figures were measured at.
    grown = n / (32_768 if solid else 16_384)
    if isinstance(solver, Multigrid):
        return n * (1.7e-7 if solid else 0.85e-7) * (1.0 if operators.symmetric else 3.5)
    if isinstance(solver, Transform) and isinstance(operators, Stencil):
        model = Separable.of(operators.coefficients[0])
        if model.exact:
            return n * (1.2e-8 if operators.constant else 3e-8)
        iterations = np.mean([_concus_golub(operators, i) for i in range(min(len(operators), _LOOKED_AT))])
        if operators.symmetric and operators.definite:
            return float(n * (3.5e-8 if solid else 1.8e-8) * iterations)
        # Measured: GMRES takes about four times as many where systems are indefinite or not symmetric.
        return float(n * 4.5e-8 * 4 * iterations)
    if isinstance(solver, Direct):
        return n * _direct(solver, operators.constant, operators.symmetric and operators.definite, solid, grown)
    if isinstance(solver, Krylov) and solver.preconditioner in ("ilu", "icc", "ssor"):
        per_unknown = 5e-6 if solver.method == "gmres" else 2.2e-6
        if solid:
            # Indefinite systems are another matter: some converge, some never do.
            return n * (8e-7 if operators.definite else 3 * per_unknown) * grown ** (1 / 3)
        if operators.definite and not operators.symmetric:
            return n * 1.2 * per_unknown * max(grown, 0.6) ** 0.5
        return n * (per_unknown if operators.definite else 1e-4) * grown**0.5
    if isinstance(solver, Recycled):
        if solid:
            return n * (1e-6 if operators.definite else 3e-6) * grown ** (1 / 3)
        return n * (3e-6 if operators.definite else 2.4e-5) * grown**0.5
    return None


def _concus_golub(operators: Stencil, i: int) -> float:
    """Bound the iterations with a constant stencil as preconditioner by how far its diagonal is from a multiple.

    For diffusion the quotients of the operators' quadratic forms lie between the smallest and the largest quotient
    of their coefficients, so the bound of conjugate gradients with that condition number holds (P. Concus,
    G. Golub, 1973).
    """
    ratio = operators.diagonal(i) / Separable.of(operators.coefficients[i]).diagonal
    least, most = float(ratio.min()), float(ratio.max())
    if not 0 < least <= most < np.inf:
        return np.inf
    root = np.sqrt(most / least)
    return float(np.log(2e8) / np.log((root + 1) / (root - 1))) if root > 1 else 1.0


def _direct(solver: Direct, constant: bool, definite: bool, solid: bool, grown: float) -> float:
    """Return seconds an unknown."""
    if constant:
        plane = {"cholmod": 1.6e-8, "pardiso": 3.3e-8}.get(solver.library, 6e-8)
        return 10 * plane * grown ** (1 / 3) if solid else plane
    if solid:
        return {"pardiso": 5.5e-6, "cholmod": 8.5e-6}.get(solver.library, 2e-5) * grown
    if solver.library == "pardiso":
        return (5.5e-7 if definite else 7.5e-7) * max(grown, 1.0) ** 0.15
    if solver.library == "cholmod":
        return 1.2e-6 * min(grown, 1.0) ** 0.7 * max(grown, 1.0) ** 0.15
    return 1.3e-6 * max(grown, 0.3) ** 0.3
