"""How far to go along a step: all of it, a half, a quarter and so on, for every sample of a block by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

HALVINGS = 30
"""How many parts of a step are tried before it is given up."""

Enough = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""Takes the places after parts of the steps, ``(n, *shape)``, what the equations leave over there, and the parts
``(n,)``; says for which samples these are good enough, ``(n,)`` bool."""


@dataclass(frozen=True)
class Stepped:
    """Where the samples of a block are after a step.

    Attributes
    ----------
    x, left
        ``(n, *shape)`` the places, and what the equations leave over there.
    parts
        ``(n,)`` which part of its step each sample has gone.
    stuck
        ``(n,)`` bool, for which samples no part was good enough: they have not moved.
    """

    x: np.ndarray
    left: np.ndarray
    parts: np.ndarray
    stuck: np.ndarray


def rows(values: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Return one value per sample, ``(n,)``, as an array that is broadcast against fields ``(n, *shape)``."""
    return values.reshape(-1, *(1,) * (like.ndim - 1))


def backtracked(
    x: np.ndarray,
    change: np.ndarray,
    left: np.ndarray,
    wanted: np.ndarray,
    left_over: Callable[[np.ndarray], np.ndarray],
    enough: Enough,
    parts: np.ndarray,
    halvings: int = HALVINGS,
) -> Stepped:
    """Go the given parts of the steps, or a half, a quarter … of these, until it is enough.

    Parameters
    ----------
    x, change
        ``(n, *shape)`` float64, the places and the whole steps. One that is not finite is not taken.
    left
        What the equations leave over at x.
    wanted
        (n,) bool, which samples move.
    left_over
        What the equations leave over, of all samples of the block.
    enough
        When it is.
    parts
        (n,), which part is tried first.
    halvings
        How many parts are tried.

    References
    ----------
    L. Armijo, "Minimization of functions having Lipschitz continuous first partial derivatives", Pacific J. Math. 16
    (1966).
    """
    open_ = wanted & np.isfinite(change).all(axis=tuple(range(1, change.ndim)))
    stuck, x, left, parts = wanted & ~open_, x.copy(), left.copy(), parts.copy()
    for _ in range(halvings):
        if not open_.any():
            break
        there = np.where(rows(open_, x), x + rows(parts, x) * change, x)
        over = left_over(there)
        good = open_ & enough(there, over, parts)
        x[good], left[good] = there[good], over[good]
        open_ = open_ & ~good
        parts = np.where(open_, 0.5 * parts, parts)
    return Stepped(x, left, parts, stuck | open_)
