from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from ritz.compute.kind import Source, in_units
from ritz.compute.solvers.expectation import extent
from ritz.compute.solvers.kept import Kept
from ritz.compute.solvers.multigrid import iterate
from ritz.compute.solvers.multigrid.workspace import Hierarchy, workspace
from ritz.compute.solvers.operators import Operators, Stencil
from ritz.compute.solvers.sequential import Sequential
from ritz.compute.solvers.solver import Attempt
from ritz.compute.solvers.systems import Systems

# The recursive residual of the iteration and the true one differ in the last digits.
_MARGIN = 0.9
_RESTARTS = 3

_HIERARCHY, _ITERATION, _SWEEP = 130.0, 25.0, 12.5
"""Passes of making a hierarchy, and of an iteration without its sweeps and with each of them, in the plane."""


class Multigrid(Sequential):
    """Krylov iteration with a multigrid V-cycle as preconditioner, for stencils in one to three dimensions.

    Transfers follow the operator and coarse operators are Galerkin products, so that jumps of the coefficients
    cost few iterations; any number of cells an axis. The smoother is a Chebyshev polynomial of the scaled
    operator, which needs no order of the cells and runs at the speed of vector instructions. The cycle runs in
    float32 inside a float64 iteration: conjugate gradients for symmetric operators, BiCGStab for others. Hierarchies
    of operators that come again with other right-hand sides, as in time stepping, are kept. ``iterations`` in the
    ledger counts those of the Krylov methods.

    Sources: J. E. Dendy, "Black box multigrid", J. Comput. Phys. 48 (1982); M. Adams, M. Brezina, J. Hu,
    R. Tuminaro, "Parallel multigrid smoothing: polynomial versus Gauss–Seidel", J. Comput. Phys. 188 (2003).
    """

    sources: ClassVar[tuple[Source, ...]] = (
        Source("J. E. Dendy", "Black box multigrid", 1982, "J. Comput. Phys. 48"),
        Source(
            "M. Adams, M. Brezina, J. Hu, R. Tuminaro",
            "Parallel multigrid smoothing: polynomial versus Gauss–Seidel",
            2003,
            "J. Comput. Phys. 188",
        ),
    )

    kind: Literal["multigrid"] = "multigrid"
    sweeps: int = Field(default=2, ge=1, le=10, json_schema_extra=in_units("sweeps"))
    """Chebyshev sweeps before and after each coarse correction."""
    lowest: float = Field(default=0.5, gt=0, lt=2)
    """Lower end of the eigenvalues of the scaled operator that the smoother damps; the upper end is 2."""
    damping: float = Field(default=0.7, gt=0, lt=1)
    """Factor of the Jacobi sweeps for operators that are not symmetric."""
    maxiter: int = Field(default=100, ge=1, le=10_000, json_schema_extra=in_units("iterations"))
    """Iterations after which a system is given up."""

    def unfit(self, systems: Systems) -> str:
        """Return what keeps it from solving such systems; see `Solver.unfit`."""
        operators = systems.operators
        if not isinstance(operators, Stencil):
            return "multigrid needs stencils on a grid"
        if systems.rhs.dtype.kind == "c" or operators.dtype.kind == "c":
            return "multigrid needs real systems"
        if len(operators.shape) > 3:
            return f"multigrid needs one to three axes, got {len(operators.shape)}"
        if not operators.definite:
            return "multigrid needs operators that are positive definite"
        return ""

    def expected(self, systems: Systems) -> float:
        """Estimate the seconds per system; see `Solver.expected`."""
        return extent(systems.operators).unknowns * 0.85e-7 * _weight(systems.operators)

    def attempt(
        self, systems: Systems, i: int, *, rtol: float, carry: Kept[Hierarchy] | None
    ) -> tuple[Attempt, Kept[Hierarchy]]:
        """Answer one system; see `Sequential.attempt`. The carry are the hierarchies of operators that came again."""
        operators, rhs = systems.operators, systems.rhs[i]
        kept = (carry or Kept()).of(operators)
        size = float(np.linalg.norm(rhs))
        if size == 0:
            return Attempt(np.zeros(rhs.size), 0, 0, residual=0.0, work=0.0), kept
        assert isinstance(operators, Stencil)
        space = workspace(operators.shape)
        hierarchy, work = kept.made.get(i), 0.0
        if hierarchy is None:
            work = _HIERARCHY
            wanted = kept.wants(i)
            hierarchy = space.built(operators.solid(i), operators.symmetric, fresh=wanted)
            kept = kept.having(i, hierarchy if wanted else None)
        sweeps = _chebyshev(self.sweeps, self.lowest) if operators.symmetric else _damped(self.sweeps, self.damping)
        x = None if systems.guess is None else systems.guess[i]
        total, ended, left = 0, iterate.NOT_CONVERGED, np.inf
        for _ in range(_RESTARTS):
            iterations, ended, left, x = space.iterate(hierarchy, rhs, x, _MARGIN * rtol * size, self.maxiter, sweeps)
            total += iterations
            if ended != iterate.CONVERGED or left <= 0.999 * rtol * size:
                break
        reason = {iterate.CONVERGED: "", iterate.NOT_CONVERGED: "not_converged"}.get(ended, "breakdown")
        products = (total if operators.symmetric else 2 * total) + 1
        work = _weight(operators) * (work + total * (_ITERATION + _SWEEP * self.sweeps))
        if x is None or not np.isfinite(left):
            return Attempt(None, total, products, reason, work=work), kept
        return Attempt(x.ravel(), total, products, reason, left / size, work), kept


def _weight(operators: Operators) -> float:
    """Return what a solve takes in relation to one of a symmetric operator in the plane."""
    return (2.0 if extent(operators).solid else 1.0) * (1.0 if operators.symmetric else 3.5)


def _chebyshev(sweeps: int, lowest: float) -> np.ndarray:
    """Return the weights of the Chebyshev iteration for eigenvalues in ``[lowest, 2]``, ``(sweeps, 2)`` float32."""
    theta, delta = 0.5 * (2 + lowest), 0.5 * (2 - lowest)
    rho = delta / theta
    weights = [(0.0, 1 / theta)]
    for _ in range(sweeps - 1):
        following = 1 / (2 * theta / delta - rho)
        weights.append((following * rho, 2 * following / delta))
        rho = following
    return np.array(weights, np.float32)


def _damped(sweeps: int, damping: float) -> np.ndarray:
    """Return the weights of damped Jacobi sweeps, ``(sweeps, 2)`` float32."""
    return np.array([(0.0, damping)] * sweeps, np.float32)
