"""Samples of a population: the same id, with the same coordinates, is the same sample on every rung."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy

REPLICATES = 16
"""Independent scrambles of quasi-random points: their spread is the error of the mean."""

FIRST = 4
"""Points of a replicate in the pilot, and to begin with."""

BASE = 2**41
"""First id of a population: no dataset has ids that large, so no network has learnt from them."""

_LEVEL, _REPLICATE = 2**36, 2**32

_PILOT = 15
"""In the place of a term, for the ids and scrambles of the pilot."""


@dataclass(frozen=True)
class Points:
    """Some samples of a population.

    Attributes
    ----------
    seed
        Of the population.
    ids
        ``(n,)`` int64.
    given
        ``(n, k)`` float64 in (0, 1), their leading coordinates; None where all come from the ids. See
        `ritz.compute.problems.problem.Problem.draw_at`.
    """

    seed: int
    ids: np.ndarray
    given: np.ndarray | None = None

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.ids)

    def taken(self, rows: slice) -> Points:
        """Return some of them."""
        return Points(self.seed, self.ids[rows], None if self.given is None else self.given[rows])


def pilot(seed: int, leading: int) -> Points:
    """Return the samples on which all rungs are compared, replicate by replicate; none of them is in an estimate."""
    parts = [of_term(seed, _PILOT, replicate, 0, FIRST, leading) for replicate in range(REPLICATES)]
    given = [part.given for part in parts if part.given is not None]
    return Points(seed, np.concatenate([part.ids for part in parts]), np.concatenate(given) if given else None)


def of_term(seed: int, term: int, replicate: int, start: int, stop: int, leading: int) -> Points:
    """Return the points ``start`` to ``stop`` of a replicate of a term.

    With leading coordinates they are Sobol' points with a random scramble of their own (A. B. Owen, "Scrambling Sobol'
    and Niederreiter–Xing points", J. Complexity 14, 1998); coordinates beyond these come from the ids.

    Parameters
    ----------
    start, stop
        Powers of two, or ``start`` is 0, so that the first ``stop`` points of a replicate are balanced.
    leading
        Number of coordinates; 0 for random samples.
    """
    ids = BASE + term * _LEVEL + replicate * _REPLICATE + np.arange(start, stop, dtype=np.int64)
    if not leading:
        return Points(seed, ids)
    generator = np.random.default_rng(np.random.SeedSequence((seed, term, replicate)))
    sobol = scipy.stats.qmc.Sobol(leading, scramble=True, rng=generator)
    if start:
        sobol.fast_forward(start)
    tiny = np.finfo(np.float64).tiny
    return Points(seed, ids, np.clip(sobol.random(stop - start), tiny, 1 - 2**-53))
