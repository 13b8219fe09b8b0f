from __future__ import annotations

import threading
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from ritz.compute.kind import Source, in_units
from ritz.compute.solvers.expectation import extent
from ritz.compute.solvers.multigrid import cycle, hierarchy, iterate
from ritz.compute.solvers.multigrid.plan import MARGIN, NX, NY, NZ, POINTS, SLOTS, Plan, plan
from ritz.compute.solvers.operators import Stencil
from ritz.compute.solvers.sequential import Sequential
from ritz.compute.solvers.solver import Attempt
from ritz.compute.solvers.systems import Systems

# The recursive residual of the iteration and the true one differ in the last digits.
_MARGIN = 0.9
_RESTARTS = 3


class Multigrid(Sequential):
    """Krylov iteration with a multigrid V-cycle as preconditioner, for stencils in one to three dimensions.

    Transfers follow the operator and coarse operators are Galerkin products, so that jumps of the coefficients
    cost few iterations; any number of cells an axis. The smoother is a Chebyshev polynomial of the scaled
    operator, which needs no order of the cells and runs at the speed of vector instructions. The cycle runs in
    float32 inside a float64 iteration: conjugate gradients for symmetric operators, BiCGStab for others.
    ``iterations`` in the ledger counts theirs.

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
        unknowns, solid, _ = extent(systems.operators)
        return unknowns * (1.7e-7 if solid else 0.85e-7) * (1.0 if systems.operators.symmetric else 3.5)

    def attempt(self, systems: Systems, i: int, *, rtol: float, carry: None) -> tuple[Attempt, None]:
        """Answer one system; see `Sequential.attempt`. There is nothing to carry."""
        operators, rhs = systems.operators, systems.rhs[i]
        size = float(np.linalg.norm(rhs))
        if size == 0:
            return Attempt(np.zeros(rhs.size), 0, 0, residual=0.0), carry
        assert isinstance(operators, Stencil)
        space = _workspace(operators.shape)
        space.load(operators.solid(i), operators.symmetric)
        sweeps = _chebyshev(self.sweeps, self.lowest) if operators.symmetric else _damped(self.sweeps, self.damping)
        x = None if systems.guess is None else systems.guess[i]
        total, ended, left = 0, iterate.NOT_CONVERGED, np.inf
        for _ in range(_RESTARTS):
            iterations, ended, left, x = space.iterate(rhs, x, _MARGIN * rtol * size, self.maxiter, sweeps)
            total += iterations
            if ended != iterate.CONVERGED or left <= 0.999 * rtol * size:
                break
        reason = {iterate.CONVERGED: "", iterate.NOT_CONVERGED: "not_converged"}.get(ended, "breakdown")
        products = (total if operators.symmetric else 2 * total) + 1
        if x is None or not np.isfinite(left):
            return Attempt(None, total, products, reason), carry
        return Attempt(x.ravel(), total, products, reason, left / size), carry


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


class Workspace:
    """The buffers of a hierarchy on one grid, used for one operator after the other."""

    def __init__(self, plan: Plan) -> None:
        stencils, vectors, transfers, planes = plan.sizes
        self.plan = plan
        levels = plan.levels
        self.shape = tuple(int(levels[0, axis]) for axis in (NZ, NY, NX))
        self.padded = int(levels[0, SLOTS] + 2 * levels[0, MARGIN])
        self.points = int(levels[0, POINTS])
        self.stencils = np.zeros(stencils, np.float32)
        self.scaling = np.zeros(vectors, np.float32)
        self.prolongation = np.zeros(transfers, np.float32)
        self.restriction = np.zeros(0, np.float32)
        self.planes = np.zeros(planes, np.float32)
        self.vectors = tuple(np.zeros(vectors, np.float32) for _ in range(3))
        self.build_work = np.zeros(hierarchy.WORK, np.float32)
        self.cycle_work = np.zeros(cycle.WORK, np.float32)
        self.stencil = np.zeros(self.points * self.padded)
        self.x, self.rhs = np.zeros(self.padded), np.zeros(self.padded)
        self.space = np.zeros((7, self.padded))
        self.inverse = np.zeros((0, 0), np.float32)
        self.symmetric = True

    def load(self, coefficients: np.ndarray, symmetric: bool) -> None:
        """Build the hierarchy of an operator; its coefficients as `Stencil.solid` gives them."""
        if not symmetric and not len(self.restriction):
            self.restriction = np.zeros_like(self.prolongation)
        self.symmetric = symmetric
        plan = self.plan
        self.inverse = iterate.load(
            coefficients,
            self.stencil,
            (plan.levels, plan.begin, plan.points, plan.interpolate, plan.apply, plan.collect),
            (self.stencils, self.scaling, self.prolongation, self.prolongation if symmetric else self.restriction),
            (self.planes, self.build_work),
            symmetric,
        )

    def iterate(
        self, rhs: np.ndarray, guess: np.ndarray | None, target: float, maxiter: int, sweeps: np.ndarray
    ) -> tuple[int, int, float, np.ndarray]:
        """Solve from a guess, or from zero, to a norm of the residual; return iterations, end, residual, x."""
        plan = self.plan
        restriction = self.prolongation if self.symmetric else self.restriction
        x = np.empty(self.shape) if guess is None else np.array(guess).reshape(self.shape)
        iterations, ended, left = iterate.solve(
            rhs.reshape(self.shape),
            x,
            guess is not None,
            self.stencil,
            self.rhs,
            self.x,
            target,
            maxiter,
            self.space,
            (plan.levels, plan.begin, plan.points, plan.gather),
            (self.stencils, self.scaling, self.prolongation, restriction, self.inverse),
            (*self.vectors, self.planes, self.cycle_work),
            (sweeps, self.symmetric),
        )
        return iterations, ended, left, x.reshape(rhs.shape)


_local = threading.local()


def _workspace(shape: tuple[int, ...]) -> Workspace:
    """Return this thread's buffers for a grid; those of the last grid are kept, since fresh memory is slow."""
    if getattr(_local, "shape", None) != shape:
        _local.shape, _local.workspace = shape, Workspace(plan(shape))
    workspace: Workspace = _local.workspace
    return workspace
