"""Draws of a problem as a function of coordinates in (0, 1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ritz.compute.problems.problem import Arrays, Problem

IDS = 2**30
"""The last coordinate names so many samples."""


def inputs_at(problem: Problem, seed: int, points: np.ndarray) -> Arrays:
    """Return the inputs at points whose last coordinate stands for all of a draw that the others leave open.

    With independent uniform coordinates the inputs have the law of the problem. So the index of the last coordinate is
    that of all that is not led together, and the others have the indices that they have under the law. Without the last
    coordinate the rest would be held at one sample, or be noise that belongs to no coordinate.

    Parameters
    ----------
    problem
        Whose leading coordinates the points have, the first k of them.
    seed
        Of the draws.
    points
        ``(n, k + 1)`` float64 in (0, 1), k at most `Problem.leading`.

    Returns
    -------
    inputs
        As `Problem.draw_at` returns them, the same for the same point.

    Raises
    ------
    ValueError
        A point lies outside of (0, 1), or has more coordinates than can be given.
    """
    if points.ndim != 2 or not 1 <= points.shape[1] <= problem.leading + 1:
        raise ValueError(
            f"points has shape {points.shape}, expected (n, k + 1) of k ≤ {problem.leading} leading coordinates of "
            f"problem {problem.kind!r}"
        )
    if not np.all((points > 0) & (points < 1)):
        raise ValueError("points has coordinates outside of (0, 1), expected all of them inside")
    return problem.draw_at(seed, *samples_at(points))


def samples_at(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the ids ``(n,)`` and the given coordinates ``(n, k)`` of the draws at points ``(n, k + 1)``."""
    return (points[:, -1] * IDS).astype(np.int64), points[:, :-1]
