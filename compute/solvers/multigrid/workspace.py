from __future__ import annotations

import threading

import numpy as np

from ritz.compute.solvers.multigrid import cycle, hierarchy, iterate
from ritz.compute.solvers.multigrid.plan import MARGIN, NX, NY, NZ, POINTS, SLOTS, Plan, plan


class Hierarchy:
    """What multigrid knows of one operator: its stencil in float64, and all levels in float32.

    Attributes
    ----------
    symmetric
        Whether the operator is; then prolongation and restriction are one buffer.
    stencil
        Of the operator, float64 and padded.
    stencils, scaling, prolongation, restriction, inverse
        As `ritz.compute.solvers.multigrid.hierarchy.build` fills them.
    """

    def __init__(self, plan: Plan, symmetric: bool) -> None:
        stencils, vectors, transfers, _ = plan.sizes
        level = plan.levels[0]
        self.symmetric = symmetric
        self.stencil = np.zeros(int(level[POINTS] * (level[SLOTS] + 2 * level[MARGIN])))
        self.stencils = np.zeros(stencils, np.float32)
        self.scaling = np.zeros(vectors, np.float32)
        self.prolongation = np.zeros(transfers, np.float32)
        self.restriction = self.prolongation if symmetric else np.zeros(transfers, np.float32)
        self.inverse = np.zeros((0, 0), np.float32)


class Workspace:
    """The buffers to build hierarchies on one grid, and to iterate with them, one after the other."""

    def __init__(self, plan: Plan) -> None:
        _, vectors, _, planes = plan.sizes
        self.plan = plan
        levels = plan.levels
        padded = int(levels[0, SLOTS] + 2 * levels[0, MARGIN])
        self.shape = tuple(int(levels[0, axis]) for axis in (NZ, NY, NX))
        self.planes = np.zeros(planes, np.float32)
        self.vectors = tuple(np.zeros(vectors, np.float32) for _ in range(3))
        self.build_work = np.zeros(hierarchy.WORK, np.float32)
        self.cycle_work = np.zeros(cycle.WORK, np.float32)
        self.x, self.rhs = np.zeros(padded), np.zeros(padded)
        self.space = np.zeros((7, padded))
        self._own: Hierarchy | None = None

    def built(self, coefficients: np.ndarray, symmetric: bool, *, fresh: bool) -> Hierarchy:
        """Build the hierarchy of an operator.

        Parameters
        ----------
        coefficients, symmetric
            Of the operator, as `Stencil.solid` gives them.
        fresh
            Whether it gets buffers of its own, and so may be kept; else it is lost to the next one.
        """
        plan, made = self.plan, None if fresh else self._own
        if made is None or made.symmetric != symmetric:
            made = Hierarchy(plan, symmetric)
            self._own = self._own if fresh else made
        made.inverse = iterate.load(
            coefficients,
            made.stencil,
            (plan.levels, plan.begin, plan.points, plan.interpolate, plan.apply, plan.collect),
            (made.stencils, made.scaling, made.prolongation, made.restriction),
            (self.planes, self.build_work),
            symmetric,
        )
        return made

    def iterate(
        self,
        made: Hierarchy,
        rhs: np.ndarray,
        guess: np.ndarray | None,
        target: float,
        maxiter: int,
        sweeps: np.ndarray,
    ) -> tuple[int, int, float, np.ndarray]:
        """Solve from a guess, or from zero, to a norm of the residual; return iterations, end, residual, x."""
        plan = self.plan
        x = np.empty(self.shape) if guess is None else np.array(guess).reshape(self.shape)
        iterations, ended, left = iterate.solve(
            rhs.reshape(self.shape),
            x,
            guess is not None,
            made.stencil,
            self.rhs,
            self.x,
            target,
            maxiter,
            self.space,
            (plan.levels, plan.begin, plan.points, plan.gather),
            (made.stencils, made.scaling, made.prolongation, made.restriction, made.inverse),
            (*self.vectors, self.planes, self.cycle_work),
            (sweeps, made.symmetric),
        )
        return iterations, ended, left, x.reshape(rhs.shape)


_local = threading.local()


def workspace(shape: tuple[int, ...]) -> Workspace:
    """Return this thread's buffers for a grid; those of the last grid are kept, since fresh memory is slow."""
    if getattr(_local, "shape", None) != shape:
        _local.shape, _local.workspace = shape, Workspace(plan(shape))
    found: Workspace = _local.workspace
    return found
