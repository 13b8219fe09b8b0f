"""Newton's method for blocks of nonlinear discrete equations, a batch of linear systems a step."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ritz.compute.solvers.operators import Operators
from ritz.compute.solvers.scaling import norm, norms
from ritz.compute.solvers.systems import Systems

Move = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
"""Takes x, the step, what the equations leave over at x, and which samples want a step; gives the next x, and for which
samples no step was found."""

HALVINGS = 30
"""How often a step is halved before it is given up."""

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
    move: Move | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Solve ``F(x) = 0`` for every sample of a block; what is done does not depend on the others of the block.

    A sample whose equations hold gets a zero right-hand side in what follows.

    Parameters
    ----------
    left_over
        ``-F(x)``, ``(n, *shape)`` float64.
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
    move
        How far to go; whole steps by default. See `halving`.

    Returns
    -------
    x
        The answers.
    lost
        (n,) bool, which samples have not come there. One that is no longer finite is not among them.

    References
    ----------
    C. T. Kelley, "Solving Nonlinear Equations with Newton's Method", SIAM, 2003.
    """
    lost = np.zeros(len(x), dtype=bool)
    for step in range(steps + 1):
        left = left_over(x)
        wanted = (norms(left) > bound) & ~lost
        if step == steps or not wanted.any():
            break
        operators, weight = linearised(x)
        rows = wanted.reshape(-1, *(1,) * (left.ndim - 1))
        change = weight * solve(Systems(operators, np.where(rows, left, 0.0)))
        if move is None:
            x = x + change
        else:
            x, stuck = move(x, change, left, wanted)
            lost |= stuck
    return x, lost | wanted


def halving(left_over: Callable[[int, np.ndarray], np.ndarray]) -> Move:
    """Return a move by as much of a step, a half, a quarter …, as makes what is left over smaller.

    Parameters
    ----------
    left_over
        ``-F`` of one sample, by its position, at its x.

    References
    ----------
    L. Armijo, "Minimization of functions having Lipschitz continuous first partial derivatives", Pacific J. Math. 16
    (1966).
    """

    def moved(i: int, x: np.ndarray, step: np.ndarray, size: float) -> np.ndarray | None:
        if not np.isfinite(step).all():
            return None
        for halvings in range(HALVINGS):
            part = 0.5**halvings
            if norm(left_over(i, x + part * step).ravel()) <= (1 - DECREASE * part) * size:
                return x + part * step
        return None

    def move(x: np.ndarray, change: np.ndarray, left: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        x, stuck = x.copy(), np.zeros(len(x), dtype=bool)
        for i in map(int, np.flatnonzero(wanted)):
            there = moved(i, x[i], change[i], norm(left[i].ravel()))
            stuck[i] = there is None
            x[i] = x[i] if there is None else there
        return x, stuck

    return move
