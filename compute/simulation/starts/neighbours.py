"""Which solved samples are most alike to others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ritz.compute.problems.problem import Problem


def nearest(problem: Problem, inputs: Mapping[str, np.ndarray], pool: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the sample of a pool that is nearest to each of some samples, by `Problem.features`.

    Parameters
    ----------
    inputs, pool
        ``(n, *dims)`` and ``(m, *dims)`` for every input, m ≥ 1.

    Returns
    -------
    positions
        ``(n,)`` in the pool; the first of those that are equally near.
    """
    from scipy.spatial.distance import cdist

    wanted, there = (problem.features(one).astype(np.float64) for one in (inputs, pool))
    found: np.ndarray = cdist(wanted, there).argmin(axis=1)
    return found
