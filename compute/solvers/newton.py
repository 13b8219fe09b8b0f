"""Newton's method for blocks of nonlinear discrete equations, a batch of linear systems a step."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ritz.compute.solvers.backtracking import HALVINGS, Enough, backtracked, rows
from ritz.compute.solvers.operators import Operators
from ritz.compute.solvers.scaling import norms
from ritz.compute.solvers.systems import Systems

DECREASE = 1e-4
"""Least part of a step by which the norm of what is left over has to fall."""


def newton(
    left_over: Callable[[np.ndarray], np.ndarray],
    linearised: Callable[[np.ndarray], tuple[Operators, np.ndarray | float]],
    x: np.ndarray,
    solve: Callable[[Systems], np.ndarray],
    *,
    bound: np.ndarray,
    steps: int,
    whole: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Solve ``F(x) = 0`` for every sample of a block; what is done does not depend on the others of the block.

    A sample goes by as much of a step, a half, a quarter …, as makes ``‖F‖`` fall. One whose equations hold gets a
    zero right-hand side in what follows. Equations that are the derivatives of a convex energy are better solved by
    `ritz.compute.solvers.minimisers.damped_newton.DampedNewton`, which sees the energy fall.

    Parameters
    ----------
    left_over
        ``-F(x)``, ``(n, *shape)`` float64, each row by its sample alone.
    linearised
        The operators ``∂F/∂x W``, one per sample, and the weight ``W`` that turns their solutions into steps of x.
    x
        ``(n, *shape)`` float64, where to begin.
    solve
        Answers a batch of systems, one per sample.
    bound
        (n,), the norms of ``F`` at which samples are done.
    steps
        Most steps.
    whole
        Whether to try whole steps first, which may overshoot and then converge: from near a solution, as of time steps.
        Samples that they lose begin again, with as many steps.

    Returns
    -------
    x
        The answers.
    lost
        (n,) bool, which samples have not come there: after all steps, with a system that had no answer, or where no
        part of a step is good enough. One that was not finite to begin with is not among them.

    References
    ----------
    C. T. Kelley, "Solving Nonlinear Equations with Newton's Method", SIAM, 2003.
    """
    if whole:
        found, lost = _stepped(left_over, linearised, x, solve, bound, steps, halvings=1)
        if not lost.any():
            return found, lost
        begun, wanted = np.where(rows(lost, x), x, found), np.where(lost, bound, np.inf)
        return _stepped(left_over, linearised, begun, solve, wanted, steps, halvings=HALVINGS)
    return _stepped(left_over, linearised, x, solve, bound, steps, halvings=HALVINGS)


def _stepped(
    left_over: Callable[[np.ndarray], np.ndarray],
    linearised: Callable[[np.ndarray], tuple[Operators, np.ndarray | float]],
    x: np.ndarray,
    solve: Callable[[Systems], np.ndarray],
    bound: np.ndarray,
    steps: int,
    halvings: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Take steps, or with one halving whole ones, as long as they are finite; see `newton`."""
    left, lost = left_over(x), np.zeros(len(x), dtype=bool)
    for _ in range(steps):
        sizes = norms(left)
        wanted = (sizes > bound) & ~lost
        if not wanted.any():
            break
        operators, weight = linearised(x)
        change = weight * solve(Systems(operators, np.where(rows(wanted, left), left, 0.0)))
        enough = _finite if halvings == 1 else _smaller(sizes)
        stepped = backtracked(x, change, left, wanted, left_over, enough, np.ones(len(x)), halvings)
        x, left, lost = stepped.x, stepped.left, lost | stepped.stuck
    return x, lost | (norms(left) > bound)


def _smaller(sizes: np.ndarray) -> Enough:
    """Return whether what is left over is smaller than before by a part."""

    def enough(_: np.ndarray, left: np.ndarray, parts: np.ndarray) -> np.ndarray:
        smaller: np.ndarray = norms(left) <= (1 - DECREASE * parts) * sizes
        return smaller

    return enough


def _finite(_: np.ndarray, left: np.ndarray, __: np.ndarray) -> np.ndarray:
    """Return whether what is left over is finite."""
    finite: np.ndarray = np.isfinite(norms(left))
    return finite
